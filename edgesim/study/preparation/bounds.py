"""The perfect-student bound of a scenario: for its own strategies, and for every partitioner and number of parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgesim.errors import EdgesimError, PlanError, UnknownNameError, nearest_name
from edgesim.registry import FILTER_GRAPHS, PARTITIONERS
from edgesim.scenario.build import build
from edgesim.strategies.students.bound import MOST_PARTS, Bound, perfect_student_bound
from edgesim.strategies.students.distilled import DistilledStudents, divide, filter_layer
from edgesim.study.preparation.prepare import context_of, load_teacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.interfaces import DeploymentContext, Progress, Strategy
    from edgesim.plugins import Registry
    from edgesim.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class BoundRow:
    """The bound of one way to divide the filters.

    Parameters
    ----------
    label : of the strategy; empty for a partitioner that is looked at besides.
    graph, partitioner : what divides, by name; of a class of others its own name.
    parts : M.
    dropped : filters in no part.
    lost_correlation : share of co-activation between filters of different parts or dropped.
    bound : what perfect students keep.
    """

    label: str
    graph: str
    partitioner: str
    parts: int
    dropped: int
    lost_correlation: float
    bound: Bound


def bound_of(strategy: Strategy, context: DeploymentContext) -> Bound | None:
    """Return the bound of a strategy; None of one that divides no filters, or where there is none."""
    if not isinstance(strategy, DistilledStudents) or not len(context.dataset.test):
        return None
    try:
        options = strategy.followed()
        partition, _ = divide(options, options.n_parts, context)
        return perfect_student_bound(partition, options.students, filter_layer(context), context)
    except EdgesimError:
        return None


def bounds(scenario: Scenario, labels: Sequence[str], graph: str, progress: Progress) -> list[BoundRow]:
    """Return the bounds of some strategies of a scenario, or of all that divide filters, and of every partitioner for M = S, S / 2 and S / 4.

    The teacher is trained, or taken from the cache; no student is.

    Parameters
    ----------
    scenario, labels : at the values that it gives without its sweep.
    graph : filter graph that the partitioners besides divide.
    progress : of the teacher's training.

    Raises
    ------
    UnknownNameError
        When a label names no strategy of the scenario, or a name no filter graph.
    PlanError
        When no strategy divides filters, or one has more than 10 parts.
    DataError
        When the teacher's answer depends on something besides the filters that are divided.
    """
    affinity_of = FILTER_GRAPHS.get(graph)()
    system = build(scenario)
    known = tuple(system.strategies)
    for label in labels:
        if label not in known:
            raise UnknownNameError("strategy of this scenario", label, known, nearest_name(label, known))
    chosen = {
        label: one
        for label, one in system.strategies.items()
        if isinstance(one, DistilledStudents) and label in (labels or known)
    }
    if not chosen:
        raise PlanError(
            "no strategy that was asked for divides filters of a teacher; the bound is for nonn and resilient"
        )
    context = context_of(system, load_teacher(system, progress), progress)
    if not len(context.dataset.test):
        raise PlanError("the bound is measured on test samples, but the workload has none; give it a data set")
    rows = [_row(label, one.followed(), one.n_parts, context) for label, one in chosen.items()]
    first = next(iter(chosen.values()))
    for name in PARTITIONERS.names():
        options = replace(first.followed(), graph=affinity_of, partitioner=PARTITIONERS.get(name)())
        rows += [_row("", options, parts, context) for parts in _halvings(first.students)]
    return rows


def _halvings(n_students: int) -> list[int]:
    """Return S, S / 2 and S / 4, as far as they are from 2 to the most parts.

    Examples
    --------
    >>> _halvings(8), _halvings(12)
    ([8, 4, 2], [6, 3])
    """
    return [parts for parts in (n_students, n_students // 2, n_students // 4) if 2 <= parts <= MOST_PARTS]


def _row(label: str, options: DistilledStudents, n_parts: int, context: DeploymentContext) -> BoundRow:
    from edgesim.nn.parts.cuts import cut_ratio
    from edgesim.nn.parts.filters import CoActivation

    partition, activities = divide(options, n_parts, context)
    return BoundRow(
        label,
        _name(FILTER_GRAPHS, options.graph),
        _name(PARTITIONERS, options.partitioner),
        n_parts,
        len(partition.dropped),
        cut_ratio(partition, CoActivation().affinity(activities)),
        perfect_student_bound(partition, options.students, filter_layer(context), context),
    )


def _name(registry: Registry[Any], plugin: object) -> str:
    try:
        return registry.name_of(type(plugin))
    except UnknownNameError:
        return type(plugin).__name__
