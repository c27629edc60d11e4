"""Runs a study and draws its figures: what the command line and ``edgesim.run`` do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.report.kinds import FIGURES
from edgesim.report.page import write_page
from edgesim.report.select import loss_factor
from edgesim.report.style import save
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
    scheduler: str | None = None,
    fresh: bool = False,
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
        scheduler=scheduler,
        fresh=fresh,
        progress=progress,
        command=command,
        illustrate=illustrate,
    )


def illustrate(result: Result) -> None:
    """Draw the two figures that answer most questions into a result's folder, and write the report beside them."""
    kinds = ["tradeoff"] if loss_factor(result) is None else ["tradeoff", "resilience"]
    for kind in kinds:
        save(FIGURES[kind](result), result.folder / kind)
    write_page(result)
