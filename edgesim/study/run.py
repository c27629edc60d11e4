"""Runs a study from a scenario to its result folder; what is finished is only looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgesim.study.folder.store import Result
from edgesim.study.folder.target import check_target, is_done
from edgesim.study.options import RunOptions
from edgesim.study.work.identity import identity

if TYPE_CHECKING:
    from edgesim.scenario.scenario import Scenario

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
    scenario = options.applied_to(scenario)
    folder = options.folder_of(scenario)
    made_by = identity(scenario, is_checked=options.check_invariants)
    if is_done(folder, check_target(folder, made_by, scenario, is_fresh=options.fresh)):
        return Result(folder)
    from edgesim.study.completion import complete

    return complete(scenario, made_by, folder, options, illustrate)
