"""Runs a study and draws its figures: what the command line and ``edgesim.run`` do."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.files.whole import write_text
from edgesim.interfaces import Silent
from edgesim.study import run as study
from edgesim.study.folder.names import SHOWN
from edgesim.study.options import RunOptions

if TYPE_CHECKING:
    from edgesim.interfaces import Progress
    from edgesim.report.result import Result
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
    report: bool = True,
) -> Result:
    """Run a study, write its result folder, and return the result; see `edgesim.study.options.RunOptions`.

    Without `report` there are no figures and no report in the folder; the tables are the same.
    """
    options = RunOptions(
        workers, output, replications, seed, scheduler, fresh, check_invariants, progress or Silent(), command
    )
    from edgesim.report.result import Result

    return Result(run_with(scenario, options, report=report).folder)


def run_with(scenario: Scenario, options: RunOptions, *, report: bool = True) -> store.Result:
    """Do what `run` does, with options that are one value; matplotlib is loaded only where something is drawn."""
    told = options.applied_to(scenario)
    return study.run(scenario, options, illustrate=partial(illustrate, told, is_drawn=report))


def illustrate(scenario: Scenario, result: store.Result, *, is_drawn: bool) -> None:
    """Write what a finished study shows into its folder, and draw the two figures that answer most questions, and the report, if they are wanted."""
    from edgesim.report.said.shown import shown_as_json, shown_of

    write_text(result.folder / SHOWN, shown_as_json(shown_of(result, scenario)))
    if is_drawn:
        draw(result.folder)


def draw(folder: Path) -> None:
    """Draw the two figures of a result's folder, and write its report."""
    from edgesim.report.draw.style import figure_of, save
    from edgesim.report.html.page import write_page
    from edgesim.report.result import Result

    result = Result(folder)
    drawn = {"tradeoff": result.plot_tradeoff()}
    if result.factors:
        drawn["resilience"] = result.plot_resilience()
    for name, ax in drawn.items():
        save(figure_of(ax), folder / name)
    write_page(result, drawn=drawn)
