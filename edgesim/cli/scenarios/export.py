"""``edgesim export``: what each device executes, as files that hold no code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.code import AllowCode


def export(
    file: Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file.", show_default=False)],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that is made.", show_default=False)],
    strategy: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Only this strategy; may be given several times.")
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Write what each device executes: a folder per strategy and device.

    Networks are trained, or taken from the cache. A device's folder has steps.json (its computations as graphs of named operators,
    and its messages), weights.safetensors, and checksums.json; nothing in it is code.

    \b
    Examples:
      edgesim export scenarios/wearables.yaml bundles
      edgesim export scenarios/wearables.yaml bundles --strategy single
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.errors import ResultError
    from edgesim.scenario.scenario import Scenario
    from edgesim.testbed.devices import device_bundles
    from edgesim.testbed.folder import folder_name, write_device
    from edgesim.testbed.prepared import prepared

    if folder.exists():
        raise ResultError(f"{folder} is there already; name a folder that is not")
    n_devices = 0
    for one in prepared(Scenario.load(file, allow_code=allow_code), strategy or (), progress_on_stderr()):
        for device_id, bundle in device_bundles(one.bundle.plan, one.bundle.programs).items():
            write_device(bundle, folder / folder_name(one.label) / folder_name(device_id))
            n_devices += 1
    typer.echo(f"{folder}: {n_devices} folders, one for each strategy and device", err=True)
