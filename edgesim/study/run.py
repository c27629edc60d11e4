"""Runs a study from a scenario to its result folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.errors import Finding, ScenarioError
from edgesim.interfaces import Progress, Task
from edgesim.scenario.build import build
from edgesim.study.execute import accuracy_of, evaluate, execute
from edgesim.study.executor import n_cpus
from edgesim.study.manifest import manifest
from edgesim.study.prepare import prepare
from edgesim.study.store import (
    MANIFEST,
    SCENARIO,
    SUMMARY,
    TRIALS,
    Result,
    check_target,
    file_hashes,
    published,
    write_json,
    write_summary,
    write_trials,
)
from edgesim.study.timeline import TIMELINE, timelines

if TYPE_CHECKING:
    from edgesim.scenario.schema import Scenario


class Silent:
    """Progress that shows nothing."""

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Task]:  # noqa: ARG002 - the seam's form
        """Open a piece of work."""
        yield self

    def advance(self, n_done: int = 1, note: str = "") -> None:
        """Show nothing."""


def run(
    scenario: Scenario,
    *,
    workers: int | None = None,
    output: Path | str | None = None,
    replications: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    command: str | None = None,
    illustrate: Callable[[Result], None] | None = None,
) -> Result:
    """Run a study and write its result folder.

    Every strategy meets the same failures in the same replication, and the numbers are the same with any number of workers.

    Parameters
    ----------
    scenario : what is studied.
    workers : processes that simulate; by default one per processor. One worker runs in this process.
    output : the result folder; by default ``results/<name>``. A folder of the same scenario is replaced.
    replications, seed : in place of the scenario's.
    progress : where training and trials report; by default nowhere.
    command : what repeats this study, for the manifest; by default the command that runs the scenario stored in the folder.
    illustrate : draws figures into the folder of the result it is given, before the folder takes its place.

    Raises
    ------
    ScenarioError
        When the scenario or an option is not valid.
    PlanError
        When a strategy does not fit the topology.
    ResultError
        When the folder holds something else or cannot be written.
    EdgesimError
        When a worker or a plug-in fails.
    """
    started = datetime.now(UTC)
    if replications is not None or seed is not None:
        scenario = scenario.with_(replications=replications, seed=seed)
    workers = n_cpus() if workers is None else workers
    if workers < 1:
        raise ScenarioError((Finding(f"workers: {workers} is out of range", expected="at least 1"),))
    folder = Path("results") / scenario.name if output is None else Path(output)
    progress = Silent() if progress is None else progress
    points = scenario.points()
    check_target(folder, scenario.resolved(), scenario.hash())
    shared = prepare([(point, build(scenario.at(point))) for point in points], progress)
    outcomes, accuracy = execute(shared, scenario.replications, workers, progress)
    rows, intact = evaluate(shared, outcomes, accuracy)
    about = manifest(
        scenario,
        shared,
        intact,
        command=command or f"edgesim run {folder / SCENARIO}",
        workers=workers,
        started=started,
    )
    drawn = [outcome.drawn for outcome in outcomes]
    with published(folder) as partial:
        write_summary(partial / SUMMARY, shared.cases, rows)
        right = [accuracy_of(case, trials, accuracy) for case, trials in zip(shared.cases, drawn, strict=True)]
        write_trials(partial / TRIALS, shared.cases, drawn, right)
        write_json(partial / SCENARIO, about["scenario"])
        write_json(partial / TIMELINE, timelines(shared))
        write_json(partial / MANIFEST, about)
        if illustrate is not None:
            illustrate(Result(partial))
        write_json(partial / MANIFEST, {**about, "files": file_hashes(partial)})
    return Result(folder)
