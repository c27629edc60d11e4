"""Which tasks of a study run when: all at once, or batch by batch until the intervals are narrow enough.

Whether a factor point goes on is decided from all its parts up to a checkpoint and nothing else, so the decisions are the same
with any number of workers, and when an interrupted study goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgesim.study.cases.design import same_point
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import PART_OF_FEW, Block, Stop
from edgesim.study.tables.known import known_of
from edgesim.study.tables.summary import summarise, values_of

if TYPE_CHECKING:
    from edgesim.domain.stopping import Stopping
    from edgesim.study.folder.parts import Parts


@dataclass(slots=True)
class _Point:
    """A factor point on its way: tasks of its cases, and those of the present batch that are not written yet."""

    cases: tuple[int, ...]
    blocks: list[Block]
    checkpoints: Iterator[int]
    n: int = 0
    awaited: set[Block] = field(default_factory=set)
    stop: Stop | None = None


class Batches:
    """The tasks of a study, given out as far as it is known that they are needed.

    Parameters
    ----------
    shared, blocks, parts : of the study; all tasks that can be needed, in order.
    stopping : when a factor point has enough; None: all tasks are needed.
    """

    def __init__(self, shared: Shared, blocks: Sequence[Block], parts: Parts, stopping: Stopping | None) -> None:
        self._shared, self._parts, self._stopping = shared, parts, stopping
        self.there: list[Block] = []
        """Tasks whose parts are there from an earlier run."""
        self._points: dict[int, _Point] = {}
        self._needed = [block for block in blocks if stopping is None or block.is_enumeration]
        if stopping is not None:
            for cases in same_point(shared.cases):
                own = [block for block in blocks if block.case in cases and not block.is_enumeration]
                point = _Point(cases, own, iter(stopping.checkpoints(PART_OF_FEW)))
                self._points.update(dict.fromkeys(cases, point))

    def first(self) -> list[Block]:
        """Return the tasks to begin with; parts that are there are taken into account."""
        missing = self._missing(self._needed)
        for point in self._distinct():
            missing += self._next(point)
        return missing

    def after(self, block: Block) -> list[Block]:
        """Return the tasks that are needed now that the part of `block` is written."""
        point = None if block.is_enumeration else self._points.get(block.case)
        if point is None:
            return []
        point.awaited.discard(block)
        return [] if point.awaited else self._next(point)

    def used(self) -> tuple[Block, ...]:
        """Return the tasks of the finished study, in the order of the results."""
        blocks = [*self._needed]
        for point in self._distinct():
            blocks += [block for block in point.blocks if block.start < point.n]
        return tuple(sorted(blocks, key=lambda block: (block.case, block.is_enumeration, block.start)))

    def stops(self) -> tuple[Stop, ...]:
        """Return where each factor point stopped; nothing without a rule."""
        return tuple(point.stop for point in self._distinct() if point.stop is not None)

    def _distinct(self) -> list[_Point]:
        return [point for case, point in self._points.items() if case == point.cases[0]]

    def _missing(self, blocks: Sequence[Block]) -> list[Block]:
        missing = self._parts.missing(blocks)
        left = set(missing)
        self.there += [block for block in blocks if block not in left]
        return missing

    def _next(self, point: _Point) -> list[Block]:
        """Return the next batch of a factor point whose present one is written; nothing when it stops."""
        if self._stopping is None:
            return []
        while not (point.n and self._is_met(point)):
            n = next(point.checkpoints, None)
            if n is None:
                point.stop = Stop(point.cases[0], point.n, is_met=False, rare=self._rare(point))
                return []
            batch = [block for block in point.blocks if point.n <= block.start < n]
            point.n = n
            missing = self._missing(batch)
            if missing:
                point.awaited = set(missing)
                return missing
        point.stop = Stop(point.cases[0], point.n, is_met=True)
        return []

    def _rare(self, point: _Point) -> tuple[str, ...]:
        """Return what can strike at a factor point and is not expected often enough, in words."""
        found = (known_of(self._shared, self._shared.cases[case]).rare(point.n) for case in point.cases)
        return tuple(dict.fromkeys(str(rare) for some in found for rare in some))

    def _is_met(self, point: _Point) -> bool:
        """Return whether all strategies of a factor point meet all targets, and all that can strike has done so often enough."""
        if self._rare(point):
            return False
        targets = () if self._stopping is None else self._stopping.targets
        for case in point.cases:
            blocks = [block for block in point.blocks if block.case == case and block.start < point.n]
            drawn, scores = self._parts.read(blocks)
            nothing, no_scores = self._parts.read(())
            rows = summarise(
                values_of(drawn, scores),
                drawn.weight,
                values_of(nothing, no_scores),
                nothing.weight,
                0,
                known=known_of(self._shared, self._shared.cases[case]),
                scores=self._parts.scores,
            )
            found: dict[str, Any] = {row.metric: row.estimate for row in rows}
            for target in targets:
                estimate = found.get(target.metric)
                if estimate is None or not target.is_met(estimate.value, estimate.low, estimate.high):
                    return False
        return True
