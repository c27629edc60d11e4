"""The tasks that a study is divided into, and where its factor points stop."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.stopping import Stopping
    from edgesim.study.cases.design import Case

PART = 60_000
"""Trials per task of the array engine, and rows per part of the results."""
PART_BY_EVENTS = 1_000
"""The same of the event engine."""
PART_OF_FEW = 100
"""The same where a trial takes long or the number of trials is to be found: under load, and with a rule when to stop."""
REQUESTS = 100_000
"""Requests of a task of the array engine under load, if that makes more trials than `PART_OF_FEW`."""
SIZES = (PART, 40_000, 20_000, 10_000, 5_000, 2_000, PART_BY_EVENTS, 500, PART_OF_FEW, 50, 10, 1)
"""Sizes of tasks. Those below `PART_OF_FEW` divide it, since a rule decides after so many."""
PART_OF_OUTCOMES = 2**14
"""Enumerated outcomes per task."""
MOST_BYTE = 200_000_000
"""Memory of the trials of a task of the array engine."""
MOST_STEPS = 8_000_000
"""Steps x trials of a task of the event engine."""
FEWEST_PARTS = 32
"""Tasks share parts where a study has at least so many even then: a part is lost when the study is killed before all of it is there."""
MOST_TOGETHER = 100
"""Most tasks that share a part."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some trials of one case: replications, or enumerated outcomes.

    Parameters
    ----------
    case : position of the case.
    start, stop : replications, or positions among the outcomes.
    is_enumeration : which of the two.
    name : what it is, for messages.
    """

    case: int
    start: int
    stop: int
    is_enumeration: bool
    name: str

    def __str__(self) -> str:
        kind = "outcomes" if self.is_enumeration else "replications"
        return f"{self.name}, {kind} {self.start} to {self.stop - 1}"


def blocks(
    cases: Sequence[Case], replications: int, n_outcomes: Sequence[int], sizes: Sequence[tuple[int, int]]
) -> list[Block]:
    """Divide a study into tasks, in the order of its results: all trials of a case, then its enumerated outcomes.

    The size of a task is part of the layout of the results: it must not depend on the number of workers.

    Parameters
    ----------
    cases : the cases.
    replications : number per case.
    n_outcomes : number of enumerated outcomes of each case, 0 for none.
    sizes : for each case: most replications per task, and most enumerated outcomes.
    """
    return [
        Block(position, start, min(start + most, n), is_enumeration, str(case))
        for position, case in enumerate(cases)
        for n, is_enumeration, most in (
            (replications, False, sizes[position][0]),
            (n_outcomes[position], True, sizes[position][1]),
        )
        for start in range(0, n, most)
    ]


def together(blocks: Sequence[Block], most: Sequence[tuple[int, int]]) -> tuple[tuple[Block, ...], ...]:
    """Return the tasks of each part: neighbours of one kind share one while they are small. Part of the layout of the results, too.

    Parameters
    ----------
    blocks : the tasks, in order.
    most : for each case: most rows of a part that its replications share with others, and its enumerated outcomes; 0 for none.
    """
    n_most = min(MOST_TOGETHER, len(blocks) // FEWEST_PARTS)
    parts: list[list[Block]] = []
    n_rows, n_most_rows = 0, 0
    for block in sorted(blocks, key=lambda one: one.is_enumeration):
        n, own = block.stop - block.start, most[block.case][block.is_enumeration]
        is_near = bool(parts) and len(parts[-1]) < n_most and parts[-1][-1].is_enumeration == block.is_enumeration
        if is_near and n_rows + n <= min(own, n_most_rows):
            parts[-1].append(block)
            n_rows, n_most_rows = n_rows + n, min(own, n_most_rows)
        else:
            parts.append([block])
            n_rows, n_most_rows = n, own
    return tuple(map(tuple, parts))


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a factor point stopped.

    Parameters
    ----------
    case : position of the first case of the point.
    replications : number of them, for each strategy.
    is_met : whether the targets were met and everything that can strike did so often enough, or it stopped at the ceiling.
    rare : what did not strike often enough, in words.
    """

    case: int
    replications: int
    is_met: bool
    rare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """All tasks of a study.

    Parameters
    ----------
    blocks : in the order of the results.
    n_outcomes : number of enumerated outcomes of each case, 0 for none.
    is_asked : for each case, in which replications the networks are asked.
    stopping : when a factor point has enough replications; None: when all are done.
    stops : where each factor point stopped, of an executed study.
    together : the tasks of each part; those that are missing here have one each.
    """

    blocks: tuple[Block, ...]
    n_outcomes: tuple[int, ...]
    is_asked: tuple[NDArray[np.bool_], ...]
    stopping: Stopping | None = None
    stops: tuple[Stop, ...] = ()
    together: tuple[tuple[Block, ...], ...] = ()

    def of_case(self, case: int, *, is_enumeration: bool) -> list[Block]:
        """Return the tasks of one case, in order."""
        own = (case, is_enumeration)
        first, end = (
            side(self.blocks, own, key=lambda one: (one.case, one.is_enumeration))
            for side in (bisect_left, bisect_right)
        )
        return list(self.blocks[first:end])
