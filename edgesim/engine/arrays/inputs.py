"""What each step of a plan waits for, and what of it the array engine looks at again."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.domain.plan import Step
    from edgesim.engine.program.compiled import Program


@dataclass(frozen=True, slots=True)
class InputTable:
    """What the steps of a plan wait for; positions are the step indices of a program.

    Parameters
    ----------
    of : the inputs of each step.
    groups : of each step: its groups of alternatives.
    gathered : steps whose inputs are looked at together when they begin: those with alternatives, or with a deadline that a computation
        starts. Of the others the last one is found while they come.
    users : of each step: those that need it and are not gathered.
    limits_s : of steps whose deadline starts with the trial: when it is, in s.
    rows : of each step: its number among the transfers, if it is known when it comes whether it is in time; otherwise -1.
    late_s : of each step: when it is late for those that need it, if that is known; otherwise inf.
    traced : steps that may meet others at a server at the same moment, and that several inputs let begin: which one was the last?
    kept : steps whose ends are looked at more than once.
    is_sure : whether the answer comes whatever messages are lost, if nothing is down.
    """

    of: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[tuple[int, ...], ...], ...]
    gathered: frozenset[int]
    users: tuple[tuple[int, ...], ...]
    limits_s: Mapping[int, float]
    rows: tuple[int, ...]
    late_s: tuple[float, ...]
    traced: frozenset[int]
    kept: frozenset[int]
    is_sure: bool


def input_table(
    program: Program, position: Mapping[str, int], order: Sequence[int], queued: frozenset[int]
) -> InputTable:
    """Return what the steps of a program wait for.

    Parameters
    ----------
    program : the plan, made ready.
    position : index of each step, by its id.
    order : the steps, each behind its inputs.
    queued : steps that begin at a server that others use, too.
    """
    steps = program.steps
    of = tuple(tuple(position[name] for name in step.inputs) for step in steps.step)
    groups = tuple(_groups(step, position) for step in steps.step)
    deadlines_s = _deadlines_s(program)
    local = {index for index in deadlines_s if _local(program, of[index])}
    gathered = frozenset(local) | {index for index, some in enumerate(groups) if some}
    limits_s = {index: deadline_s for index, deadline_s in deadlines_s.items() if index not in local}
    late_s = tuple(min((limits_s.get(user, inf) for user in users), default=inf) for users in steps.users)
    traced = frozenset(index for index in queued - gathered - set(deadlines_s) if len(of[index]) > 1)
    return InputTable(
        of=of,
        groups=groups,
        gathered=gathered,
        users=tuple(tuple(user for user in users if user not in gathered) for users in steps.users),
        limits_s=limits_s,
        rows=_rows(program, gathered),
        late_s=late_s,
        traced=traced,
        kept=frozenset(one for index in gathered | traced for one in of[index]) | {program.spans[0].answer},
        is_sure=program.spans[0].answer in _sure(program, of, order),
    )


def _groups(step: Step, position: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """Return the groups of alternatives of a step."""
    alternatives = step.alternatives if isinstance(step, Compute) else ()
    return tuple(tuple(position[name] for name in group) for group in alternatives)


def _rows(program: Program, gathered: frozenset[int]) -> tuple[int, ...]:
    """Return the number of each step among the transfers; -1 where it is no transfer, or for a step whose inputs are looked at together."""
    steps = program.steps
    return tuple(
        -1 if gathered.intersection(users) else row
        for row, users in zip(steps.transfer_index, steps.users, strict=True)
    )


def _deadlines_s(program: Program) -> dict[int, float]:
    """Return the deadlines of steps that wait for something, in s."""
    return {
        index: step.deadline_s
        for index, step in enumerate(program.steps.step)
        if isinstance(step, Compute) and step.deadline_s is not None and step.inputs
    }


def _local(program: Program, inputs: Sequence[int]) -> list[int]:
    """Return the inputs that are computations."""
    return [one for one in inputs if program.steps.device[one] >= 0]


def _sure(program: Program, of: Sequence[Sequence[int]], order: Sequence[int]) -> set[int]:
    """Return the computations that begin whatever messages are lost: if they wait for some, they go on at a deadline."""
    deadlines_s = _deadlines_s(program)
    sure: set[int] = set()
    for index in order:
        needed = _local(program, of[index]) if index in deadlines_s else of[index]
        if program.steps.device[index] >= 0 and sure.issuperset(needed):
            sure.add(index)
    return sure
