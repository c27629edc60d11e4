"""Runs a study from a scenario to its result folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.metrics import MEMORY_AVAILABLE
from edgesim.errors import EdgesimError, Finding, ScenarioError
from edgesim.interfaces import Progress, Silent
from edgesim.processes import n_cpus
from edgesim.scenario.build import build
from edgesim.scenario.files.places import portable
from edgesim.study.changes.sensitivity import sensitivity
from edgesim.study.folder.contents import changed, file_entries, set_changed_aside
from edgesim.study.folder.growth import put_earlier, remove_earlier
from edgesim.study.folder.lock import check_free, locked
from edgesim.study.folder.manifest_file import EMPTIED, MANIFEST, digest_of, read_manifest, write_manifest
from edgesim.study.folder.parts import NOT_WHOLE, Parts, set_aside
from edgesim.study.folder.store import Result
from edgesim.study.folder.tables_on_disk import (
    DIFFERENCES,
    SCENARIO,
    SENSITIVITY,
    SUMMARY,
    write_budget,
    write_differences,
    write_json,
    write_queues,
    write_sensitivity,
    write_summary,
)
from edgesim.study.folder.target import check_target, clear
from edgesim.study.preparation.prepare import prepare
from edgesim.study.tables.paired import differences_of
from edgesim.study.tables.summary import UNITS, summarise_unfit
from edgesim.study.trials.batch import checked
from edgesim.study.trials.budget import BUDGET, N_MOST, NO_BUDGET, budgets
from edgesim.study.trials.queues import QUEUES, queues
from edgesim.study.trials.timeline import TIMELINE, timelines
from edgesim.study.trials.trial import perform
from edgesim.study.work.division import check_goals, plan_work
from edgesim.study.work.earlier import Earlier
from edgesim.study.work.evaluation import evaluate
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import PATIENCE_S, OpenPool, local_pool
from edgesim.study.work.manifest import facts, identity

if TYPE_CHECKING:
    from edgesim.domain.records import Sample
    from edgesim.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a study is run; nothing of it but `replications` and `seed` changes a number, beyond rounding.

    Parameters
    ----------
    workers : processes that simulate; one worker runs in this process. By default one worker at first, and when the study takes
        longer than some seconds, a process for each processor.
    output : the result folder; by default ``results/<name>``. A study that is there and not finished goes on.
    replications, seed : in place of the scenario's.
    scheduler : address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, whose workers simulate in place of local processes.
    fresh : whether to begin again when the study is there already.
    check_invariants : whether every trial is checked while it runs (`edgesim.engine.state.invariants`), which only the event engine
        can; the numbers are those of a study without checks, to rounding.
    progress : where training and trials report; by default nowhere.
    command : what repeats this study, for the manifest; by default the command that runs the scenario stored in the folder.

    Raises
    ------
    ScenarioError
        When there is no worker.
    """

    workers: int | None = None
    output: Path | str | None = None
    replications: int | None = None
    seed: int | None = None
    scheduler: str | None = None
    fresh: bool = False
    check_invariants: bool = False
    progress: Progress = Silent()  # noqa: RUF009 - it holds nothing
    command: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ScenarioError((Finding(f"workers: {self.workers} is out of range", expected="at least 1"),))

    @property
    def n_workers(self) -> int:
        """Most processes that simulate."""
        return n_cpus() if self.workers is None else self.workers

    def applied_to(self, scenario: Scenario) -> Scenario:
        """Return the scenario with these replications and this seed."""
        if self.replications is None and self.seed is None:
            return scenario
        return scenario.with_(replications=self.replications, seed=self.seed)

    def folder_of(self, scenario: Scenario) -> Path:
        """Return the result folder."""
        return Path("results") / scenario.name if self.output is None else Path(self.output)

    def command_for(self, folder: Path) -> str:
        """Return what repeats the study."""
        return self.command or f"edgesim run {folder / SCENARIO}" + " --check-invariants" * self.check_invariants


_DEFAULTS = RunOptions()


def run(
    scenario: Scenario, options: RunOptions = _DEFAULTS, *, illustrate: Callable[[Result], None] | None = None
) -> Result:
    """Run a study and write its result folder, or what is missing of it.

    Every strategy meets the same failures in the same replication. The tables and trials are the same, byte for byte, with any
    number of workers, on a cluster, and when a study was interrupted and run again.

    Parameters
    ----------
    scenario : what is studied.
    options : how it is run.
    illustrate : draws figures into the folder of the result it is given.

    Raises
    ------
    ScenarioError
        When the scenario or an option is not valid.
    PlanError
        When a strategy does not fit the topology, or the invariants of trials of the array engine are to be checked.
    SimulationError
        When an invariant is broken.
    ResultError
        When the folder holds something else, is being written by another process, or cannot be written.
    EdgesimError
        When a worker or a plug-in fails. What is finished stays, and the same call goes on from there.
    """
    started = datetime.now(UTC)
    scenario = options.applied_to(scenario)
    folder = options.folder_of(scenario)
    made_by = identity(scenario, is_checked=options.check_invariants)
    if _is_done(folder, check_target(folder, made_by, scenario, is_fresh=options.fresh)):
        return Result(folder)
    check_free(folder)  # before anything is trained
    points = scenario.points()
    shared = prepare([(point, build(scenario.at(point))) for point in points], options.progress)
    shared = checked(shared) if options.check_invariants else shared
    check_goals(scenario.goals, shared)
    work = plan_work(shared, scenario.rule)
    open_pool = _pool(options, scenario, len(work.blocks))
    with locked(folder):
        state = check_target(folder, made_by, scenario, is_fresh=options.fresh, is_locked=True)
        if _is_done(folder, state):
            return Result(folder)  # another process has finished it meanwhile
        about: dict[str, Any] = {**made_by, "status": "unfinished", "command": options.command_for(folder)}
        _make_room(folder, state, about, is_fresh=options.fresh)
        write_manifest(folder, about)
        write_json(folder / SCENARIO, portable(type(scenario), made_by["scenario"], folder))
        parts = Parts(folder, shared.cases, digest_of(made_by), scores=[score.name for score in shared.scores])
        earlier = Earlier.found_in(folder, scenario, shared.cases, parts.scores, is_checked=options.check_invariants)
        sampled: dict[str, Sequence[Sample]] = {}
        work = execute(shared, work, parts, open_pool, options.progress, earlier=earlier, sampled=sampled)
        for path in parts.stray(work.blocks):
            path.unlink()
        found = evaluate(shared, work, parts)
        units = {**{score.name: score.unit for score in shared.scores}, **UNITS}
        summed_up = shared.with_unfit(found.rows, lambda one: summarise_unfit(one, found.metrics))
        write_summary(folder / SUMMARY, *summed_up, {**units, MEMORY_AVAILABLE.name: MEMORY_AVAILABLE.unit})
        write_differences(folder / DIFFERENCES, shared.cases, differences_of(shared, work, parts.read), units)
        write_json(folder / TIMELINE, timelines(shared))
        write_queues(folder / QUEUES, queues(shared, sampled))
        n_divided = scenario.rule if isinstance(scenario.rule, int) else N_MOST
        write_sensitivity(
            folder / SENSITIVITY, [row._asdict() for row in sensitivity(shared, scenario, n_most=n_divided)]
        )
        write_budget(folder / BUDGET, *shared.with_unfit(budgets(shared, n_divided), lambda _: NO_BUDGET))
        remove_earlier(folder)
        about |= facts(shared, work, found, workers=options.n_workers, scheduler=options.scheduler, started=started)
        write_manifest(folder, about)
        if illustrate is not None:
            illustrate(Result(folder))
        write_manifest(folder, {**about, "status": "complete", "files": file_entries(folder)})
    return Result(folder)


def _is_done(folder: Path, state: str) -> bool:
    """Return whether a folder holds the finished study as it was written."""
    return state == "complete" and not changed(folder)


def _make_room(folder: Path, state: str, about: Mapping[str, Any], *, is_fresh: bool) -> None:
    """Set aside what is damaged or changed in a folder, and empty it where the study begins again."""
    if state == "damaged":
        set_aside(folder, folder / MANIFEST, NOT_WHOLE)
    if state == "complete":
        set_changed_aside(folder)
    if state == "smaller":
        put_earlier(folder, read_manifest(folder))
    if is_fresh or state == EMPTIED:
        clear(folder, {name: value for name, value in about.items() if name != "status"})


def _pool(options: RunOptions, scenario: Scenario, n_tasks: int) -> OpenPool:
    """Return what opens the workers."""
    if options.scheduler is not None:
        return _on_cluster(options.scheduler, scenario)
    patience_s = PATIENCE_S if options.workers is None else 0.0
    return partial(local_pool, min(options.n_workers, n_tasks), perform, patience_s=patience_s)


def _on_cluster(scheduler: str, scenario: Scenario) -> OpenPool:
    try:
        from edgesim.study.work.cluster import dask_pool
    except ModuleNotFoundError as error:
        raise EdgesimError("the executor dask needs the package distributed: pip install 'edgesim[dask]'") from error
    return partial(dask_pool, scheduler, perform, scenario.plugins)
