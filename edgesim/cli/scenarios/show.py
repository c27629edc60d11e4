"""`edgesim show`: draw or export a scenario's topology."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.code import AllowCode


def show(
    file: Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Picture to write, .png, .svg or .pdf. Default: NAME-topology.png."
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the topology as .graphml, .gml or node-link .json instead."),
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Draw the topology of a scenario: names, rates and roles of devices; or export it as a graph.

    An exported graph is read again with `topology: {file: lab.graphml}`.

    \b
    Examples:
      edgesim show scenarios/wearables.yaml
      edgesim show scenarios/wearables.yaml --output wearables.svg
      edgesim show scenarios/wearables.yaml --export lab.graphml
    """
    from edgesim.scenario.build import build
    from edgesim.scenario.scenario import Scenario

    scenario = Scenario.load(file, allow_code=allow_code)
    system = build(scenario)
    written = export or output or Path(f"{scenario.name}-topology.png")
    if export is not None:
        from edgesim.scenario.graphs.files import SUFFIXES
        from edgesim.scenario.graphs.writing import write_graph

        if export.suffix.lower() not in SUFFIXES:
            raise typer.BadParameter(f"{export.name} is none of {', '.join(SUFFIXES)}", param_hint="--export")
        write_graph(system.topology, export)
    else:
        from edgesim.report.draw.style import FORMATS, figure_of, save
        from edgesim.report.draw.topology import roles_of, topology

        kind = written.suffix.removeprefix(".")
        if kind not in FORMATS:
            raise typer.BadParameter(
                f"{written.name} is none of {', '.join(f'.{one}' for one in FORMATS)}", param_hint="--output"
            )
        ax = topology(system.topology, roles=roles_of(system.source_id, system.sink_id, system.strategies))
        save(figure_of(ax), written, (kind,))
    typer.echo(f"{written}: {len(system.topology.devices)} devices, {len(system.topology.links)} links")
