"""Does what is missing of a study: trains, simulates, sums up, and writes the result folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.metrics import MEMORY_AVAILABLE, UNITS
from edgesim.errors import EdgesimError
from edgesim.scenario.build import build
from edgesim.scenario.files.places import portable
from edgesim.study.changes.sensitivity import sensitivity
from edgesim.study.folder.contents import file_entries, set_changed_aside
from edgesim.study.folder.growth import put_earlier, remove_earlier
from edgesim.study.folder.lock import check_free, locked
from edgesim.study.folder.manifest_file import EMPTIED, MANIFEST, digest_of, read_manifest, write_manifest
from edgesim.study.folder.names import BUDGET, DIFFERENCES, QUEUES, SCENARIO, SENSITIVITY, SUMMARY, TIMELINE
from edgesim.study.folder.parts import Parts
from edgesim.study.folder.seal import NOT_WHOLE, set_aside
from edgesim.study.folder.store import Result
from edgesim.study.folder.tables_on_disk import (
    write_budget,
    write_differences,
    write_json,
    write_queues,
    write_sensitivity,
    write_summary,
)
from edgesim.study.folder.target import check_target, clear, is_done
from edgesim.study.preparation.prepare import prepare
from edgesim.study.tables.summary import summarise_unfit
from edgesim.study.trials.batch import checked
from edgesim.study.trials.budget import N_MOST, NO_BUDGET, budgets
from edgesim.study.trials.queues import queues
from edgesim.study.trials.timeline import timelines
from edgesim.study.trials.trial import perform
from edgesim.study.work.division import check_goals, plan_work
from edgesim.study.work.earlier import Earlier
from edgesim.study.work.evaluation import evaluate
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import PATIENCE_S, OpenPool, local_pool
from edgesim.study.work.manifest import facts

if TYPE_CHECKING:
    from edgesim.domain.records import Sample
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.options import RunOptions


def complete(
    scenario: Scenario,
    made_by: Mapping[str, Any],
    folder: Path,
    options: RunOptions,
    illustrate: Callable[[Result], None] | None,
) -> Result:
    """Do what is missing in a result folder that may be written; `edgesim.study.run.run` has the parameters and errors."""
    started = datetime.now(UTC)
    check_free(folder)  # before anything is trained
    points = scenario.points()
    shared = prepare([(point, build(scenario.at(point))) for point in points], options.progress)
    shared = checked(shared) if options.check_invariants else shared
    check_goals(scenario.goals, shared)
    work = plan_work(shared, scenario.rule)
    open_pool = _pool(options, scenario, len(work.blocks))
    with locked(folder):
        state = check_target(folder, made_by, scenario, is_fresh=options.fresh, is_locked=True)
        if is_done(folder, state):
            return Result(folder)  # another process has finished it meanwhile
        about: dict[str, Any] = {**made_by, "status": "unfinished", "command": options.command_for(folder)}
        _make_room(folder, state, about, is_fresh=options.fresh)
        write_manifest(folder, about)
        write_json(folder / SCENARIO, portable(type(scenario), made_by["scenario"], folder))
        names = [score.name for score in shared.scores]
        parts = Parts(folder, shared.cases, digest_of(made_by), scores=names, together=work.together)
        earlier = Earlier.found_in(folder, scenario, shared.cases, parts.scores, is_checked=options.check_invariants)
        sampled: dict[str, Sequence[Sample]] = {}
        work = execute(shared, work, parts, open_pool, options.progress, earlier=earlier, sampled=sampled)
        for path in parts.stray(work.blocks):
            path.unlink()
        found = evaluate(shared, work, parts)
        units = {**{score.name: score.unit for score in shared.scores}, **UNITS}
        summed_up = shared.with_unfit(found.rows, lambda one: summarise_unfit(one, found.metrics))
        write_summary(folder / SUMMARY, *summed_up, {**units, MEMORY_AVAILABLE.name: MEMORY_AVAILABLE.unit})
        write_differences(folder / DIFFERENCES, shared.cases, found.differences, units)
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
