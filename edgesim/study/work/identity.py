"""What determines the results of a study, so that a folder goes on only with the same one."""

from __future__ import annotations

import platform
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim import __version__
from edgesim.scenario.code.plugins import is_file
from edgesim.study.folder.manifest_file import FORMAT

if TYPE_CHECKING:
    from edgesim.scenario.scenario import Scenario

PACKAGES = ("torch", "numpy", "scipy", "simpy", "pandas", "pyarrow", "matplotlib")


def identity(scenario: Scenario, *, is_checked: bool = False) -> dict[str, Any]:
    """Return what determines the results: a folder goes on only when it is the same.

    It holds the scenario, the files that its plug-ins stand in, the releases that draw, compute and train, and whether the
    invariants are checked: that changes who simulates, and what a finished result has stood.
    """
    files = {Path(name).name: sha256(Path(name).read_bytes()).hexdigest() for name in scenario.plugins if is_file(name)}
    return {
        "format": FORMAT,
        "name": scenario.name,
        "question": scenario.question,
        "hash": scenario.hash(),
        "plugin_files": files,
        "seed": scenario.seed,
        "replications": scenario.rule if isinstance(scenario.rule, int) else scenario.rule.ceiling,
        "factors": list(scenario.sweep),
        "versions": {"python": platform.python_version(), "edgesim": __version__}
        | {name: version(name) for name in PACKAGES},
        **({"invariants": "checked"} if is_checked else {}),
        "scenario": scenario.resolved(),
    }
