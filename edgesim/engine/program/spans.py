"""Where each plan of a program lies among its steps, and how a request that follows it begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesim.domain.plan import Compute, Plan, Step

_NOT_OURS, _COMPUTED = 1, 2


@dataclass(frozen=True, slots=True)
class Span:
    """The steps of one plan among all those of a program; a request begins and counts only these.

    Parameters
    ----------
    steps : all of them.
    first : the steps without inputs, but those that pools let begin; messages before computations.
    with_deadline : the computations whose deadline counts from the release: they wait for messages only.
    answer : the step whose end is the answer.
    delivered : by step of the program, when a request begins: 0 for a transfer of this plan, of which nothing has come, 1 for one of
        another plan or one that asks for work, which nobody misses, and 2 for any computation.
    n_before, n_transfers : transfers of the program before those of this plan, and of this plan.
    """

    steps: range
    first: tuple[int, ...]
    with_deadline: tuple[int, ...]
    answer: int
    delivered: bytes
    n_before: int
    n_transfers: int

    def own(self, lost: int) -> int:
        """Return which transfers of this plan are lost, given a number of which bit i stands for transfer i of the program.

        >>> Span(range(0), (), (), 0, b"", 2, 3).own(0b1101100) == 0b011  # the lowest two bits and the highest two are of other plans
        True
        """
        return lost >> self.n_before & ((1 << self.n_transfers) - 1)


def is_computed(step: Step) -> bool:
    """Return whether a step is a computation: at one moment, a device sends what it has before it computes."""
    return isinstance(step, Compute)


def spans_of(plans: Sequence[Plan], n_errands: int = 0) -> tuple[Span, ...]:
    """Return where each plan lies among the steps of all, one plan after another, and messages of no request behind them."""
    others = bytes(_COMPUTED if isinstance(step, Compute) else _NOT_OURS for plan in plans for step in plan.steps)
    others += bytes([_NOT_OURS]) * n_errands
    spans: list[Span] = []
    start, n_before = 0, 0
    for plan in plans:
        end = start + len(plan.steps)
        asks = {name for pool in plan.pools for name in pool.asks}
        own = bytes(_at_first(step, asks) for step in plan.steps)
        place = {step.step_id: start + position for position, step in enumerate(plan.steps)}
        spans.append(
            Span(
                steps=range(start, end),
                first=tuple(
                    place[step.step_id]
                    for step in sorted(plan.steps, key=is_computed)
                    if not (step.inputs or step.step_id in plan.held)
                ),
                with_deadline=tuple(place[name] for name in _timed(plan)),
                answer=place[plan.answer_id],
                delivered=others[:start] + own + others[end:],
                n_before=n_before,
                n_transfers=len(plan.transfers),
            )
        )
        start, n_before = end, n_before + len(plan.transfers)
    return tuple(spans)


def _at_first(step: Step, asks: set[str]) -> int:
    if isinstance(step, Compute):
        return _COMPUTED
    return _NOT_OURS if step.step_id in asks else 0


def _timed(plan: Plan) -> list[str]:
    """Return the computations that wait until a deadline, and for messages only, or for what a pool gives to others."""
    pooled = {row[-1] for pool in plan.pools for copies in pool.tasks for row in copies}
    computed = {step.step_id for step in plan.computes} - pooled
    return [
        step.step_id
        for step in plan.computes
        if step.deadline_s is not None and step.inputs and computed.isdisjoint(step.inputs)
    ]
