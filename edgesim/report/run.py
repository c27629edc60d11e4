"""Runs a study and draws its figures: what the command line and ``edgesim.run`` do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.interfaces import Silent
from edgesim.report.draw.style import figure_of, save
from edgesim.report.html.page import write_page
from edgesim.report.result import Result
from edgesim.study import run as study
from edgesim.study.run import RunOptions

if TYPE_CHECKING:
    from edgesim.interfaces import Progress
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.folder import store


def run(
    scenario: Scenario,
    *,
    workers: int | None = None,
    output: Path | str | None = None,
    replications: int | None = None,
    seed: int | None = None,
    scheduler: str | None = None,
    fresh: bool = False,
    check_invariants: bool = False,
    progress: Progress | None = None,
    command: str | None = None,
) -> Result:
    """Run a study, write its result folder with figures and report, and return the result; see `edgesim.study.run.RunOptions`."""
    options = RunOptions(
        workers, output, replications, seed, scheduler, fresh, check_invariants, progress or Silent(), command
    )
    return run_with(scenario, options)


def run_with(scenario: Scenario, options: RunOptions) -> Result:
    """Do what `run` does, with options that are one value."""
    return Result(study.run(scenario, options, illustrate=illustrate).folder)


def illustrate(study_result: store.Result) -> None:
    """Draw the two figures that answer most questions into a result's folder, and write the report beside them."""
    result = Result(study_result.folder)
    save(figure_of(result.plot_tradeoff()), result.folder / "tradeoff")
    if result.factors:
        save(figure_of(result.plot_resilience()), result.folder / "resilience")
    write_page(result)
