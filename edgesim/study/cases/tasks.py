"""The tasks that a study is divided into, and where its factor points stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.stopping import Stopping
    from edgesim.study.cases.design import Case

PART = 10_000
"""Trials per task of the array engine, and rows per part of the results."""
PART_BY_EVENTS = 1_000
"""The same of the event engine."""
PART_OF_FEW = 100
"""The same where a trial takes long or the number of trials is to be found: under load, and with a rule when to stop."""
SIZES = (PART, 5_000, 2_000, PART_BY_EVENTS, 500, PART_OF_FEW, 50, 10, 1)
"""Sizes of tasks. Those below `PART_OF_FEW` divide it, since a rule decides after so many."""
PART_OF_OUTCOMES = 2**14
"""Enumerated outcomes per task."""
MOST_AT_ONCE = 4_000_000
"""Steps x trials of a task."""


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
    """

    blocks: tuple[Block, ...]
    n_outcomes: tuple[int, ...]
    is_asked: tuple[NDArray[np.bool_], ...]
    stopping: Stopping | None = None
    stops: tuple[Stop, ...] = ()

    def of_case(self, case: int, *, is_enumeration: bool) -> list[Block]:
        """Return the tasks of one case, in order."""
        return [block for block in self.blocks if block.case == case and block.is_enumeration == is_enumeration]
