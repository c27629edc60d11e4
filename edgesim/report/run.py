"""Runs a study and draws its figures: what the command line and ``edgesim.run`` do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.report.figures import draw
from edgesim.study import run as study
from edgesim.study.store import Result

if TYPE_CHECKING:
    from edgesim.interfaces import Progress
    from edgesim.scenario.schema import Scenario


def run(
    scenario: Scenario,
    *,
    workers: int | None = None,
    output: Path | str | None = None,
    replications: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    command: str | None = None,
) -> Result:
    """Run a study and write its result folder, figures included; see `edgesim.study.run.run`."""
    return study.run(
        scenario,
        workers=workers,
        output=output,
        replications=replications,
        seed=seed,
        progress=progress,
        command=command,
        illustrate=draw,
    )
