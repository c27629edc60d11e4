"""Plans that depend on the sample, seen together: means over the samples, and the ways that samples take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean over samples, with the least and the most of any."""

    mean: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class PlannedWay:
    """What samples have in common whose plans have the same steps.

    Parameters
    ----------
    steps : ids of the computations, in order.
    n_samples, n_plans : how many test samples take it, with how many different plans.
    n_messages : that each sends.
    latency_s : end of the answer without contention, in s.
    sent_byte : size of all messages, in byte.
    work_flop : arithmetic work, in FLOP.
    """

    steps: tuple[str, ...]
    n_samples: int
    n_plans: int
    n_messages: int
    latency_s: Spread
    sent_byte: Spread
    work_flop: Spread


@dataclass(frozen=True, slots=True)
class Followed:
    """A plan, how many test samples follow it, and the end of its answer without contention, in s; 1 sample where there is one plan for all."""

    plan: Plan
    n_samples: int
    latency_s: float


def ways_of(plans: Sequence[Followed]) -> tuple[PlannedWay, ...]:
    """Return the ways that samples take, that of the most samples first; empty where there is one plan."""
    if len(plans) == 1:
        return ()
    together: dict[tuple[str, ...], list[Followed]] = {}
    for one in plans:
        together.setdefault(tuple(step.step_id for step in one.plan.steps), []).append(one)
    found = [
        PlannedWay(
            tuple(step.step_id for step in own[0].plan.computes),
            sum(one.n_samples for one in own),
            len(own),
            len(own[0].plan.transfers),
            spread((one.latency_s, one.n_samples) for one in own),
            spread((sent_byte(one.plan), one.n_samples) for one in own),
            spread((work_flop(one.plan), one.n_samples) for one in own),
        )
        for own in together.values()
    ]
    return tuple(sorted(found, key=lambda way: -way.n_samples))


def spread(values: Iterable[tuple[float, int]]) -> Spread:
    """Return the spread of values, each of so many samples.

    >>> spread([(1.0, 3), (5.0, 1)])
    Spread(mean=2.0, least=1.0, most=5.0)
    """
    pairs = list(values)
    numbers = [value for value, _ in pairs]
    return Spread(mean_of(pairs), min(numbers), max(numbers))


def mean_of(pairs: Sequence[tuple[float, int]]) -> float:
    """Return the mean of values, each of so many samples; of equal values the value itself."""
    if len({value for value, _ in pairs}) == 1:
        return pairs[0][0]
    return sum(value * n for value, n in pairs) / sum(n for _, n in pairs)


def sent_byte(plan: Plan) -> int:
    """Return the size of all messages of a plan, in byte."""
    return sum(transfer.size_byte for transfer in plan.transfers)


def work_flop(plan: Plan) -> float:
    """Return the arithmetic work of a plan, in FLOP."""
    return sum(work.work_flop for step in plan.computes for work in step.work)
