"""What an earlier, smaller study has simulated of a grown one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.study.cases.design import Case, show_point
from edgesim.study.folder.growth import EARLIER
from edgesim.study.folder.manifest_file import MANIFEST, digest_of, read_manifest
from edgesim.study.folder.parts import Parts
from edgesim.study.trials.trials import Trials
from edgesim.study.work.identity import identity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.scenario.scenario import Scenario
    from edgesim.study.cases.tasks import Block

    Kept = tuple[Trials, Mapping[str, NDArray[np.float64]]]


class Earlier:
    """What an earlier study has simulated of the cases of a grown one.

    Parameters
    ----------
    parts : of the earlier study; None: there is none.
    blocks : its tasks, by the position of their case among those of the grown study, and whether they are enumerated outcomes.
    """

    def __init__(self, parts: Parts | None, blocks: Mapping[tuple[int, bool], Sequence[Block]]) -> None:
        self.parts, self._own = parts, blocks

    @classmethod
    def found_in(
        cls, folder: Path, scenario: Scenario, cases: Sequence[Case], scores: Sequence[str], *, is_checked: bool
    ) -> Earlier:
        """Return what is in a result folder; parts that are not whole, and those whose scores are of chosen patterns, are left.

        Parameters
        ----------
        folder : the result folder.
        scenario, cases : of the grown study.
        scores : names of the scores of the task.
        is_checked : whether the invariants are checked.
        """
        if not (folder / EARLIER / MANIFEST).is_file():
            return NOTHING
        old = type(scenario).from_data(read_manifest(folder / EARLIER)["scenario"])
        place = {(show_point(case.point), case.strategy): position for position, case in enumerate(cases)}
        named = [(show_point(point), label) for point in old.points() for label in old.strategies]
        order = [place[name] for name in named if name in place]  # but those that do not fit
        study = digest_of(identity(old, is_checked=is_checked))
        parts = Parts(folder / EARLIER, [cases[position] for position in order], study, scores=scores)
        blocks: dict[tuple[int, bool], list[Block]] = {}
        for block in parts.found():
            if parts.cases[block.case].evaluation.patterns is None:
                blocks.setdefault((order[block.case], block.is_enumeration), []).append(block)
        return cls(parts, blocks)

    @property
    def blocks(self) -> list[Block]:
        """The tasks of the earlier study; positions of cases are its own."""
        return [block for own in self._own.values() for block in own]

    def n_of(self, block: Block) -> int:
        """Return how many of the first trials of a task of the grown study the earlier one has."""
        return sum(stop - start for _, start, stop in self._slices(block))

    def of(self, block: Block) -> Kept:
        """Return these trials and their scores."""
        if self.parts is None:
            raise LookupError(f"there is no earlier study that has some of {block}")
        found: list[Kept] = []
        for own, start, stop in self._slices(block):
            trials, scores = self.parts.read([own])
            chosen = slice(start - own.start, stop - own.start)
            found.append((rows_of(trials, chosen), {name: values[chosen] for name, values in scores.items()}))
        return joined(found)

    def _slices(self, block: Block) -> Iterator[tuple[Block, int, int]]:
        """Yield what a task begins with: tasks of the earlier study, and from where to where."""
        reached = block.start
        for own in sorted(self._own.get((block.case, block.is_enumeration), ()), key=lambda one: one.start):
            if own.start <= reached < min(own.stop, block.stop):
                yield own, reached, min(own.stop, block.stop)
                reached = min(own.stop, block.stop)


NOTHING = Earlier(None, {})
"""No earlier study."""


_BY_TRIAL = ("weight", "latency_s", "input_byte", "intermediate_byte", "result_byte", "energy_j", "outcome", "engine", "lost", "partial", "sample")  # fmt: skip


def rows_of(trials: Trials, chosen: slice) -> Trials:
    """Return some of several trials, without what the networks are asked."""
    values = {name: getattr(trials, name)[chosen] for name in _BY_TRIAL}
    return Trials(**values, load={name: of[chosen] for name, of in trials.load.items()})


def joined(kept: Sequence[Kept]) -> Kept:
    """Return trials one after another, and their scores, without what the networks are asked."""
    all_trials = [trials for trials, _ in kept]
    has_partial = any(trials.partial for trials in all_trials)
    filled = [replace(one, partial=("",) * len(one)) if has_partial and not one.partial else one for one in all_trials]
    has_sample = any(trials.sample for trials in all_trials)
    filled = [replace(one, sample=(-1,) * len(one)) if has_sample and not one.sample else one for one in filled]
    values: dict[str, Any] = {}
    for name in _BY_TRIAL:
        columns = [getattr(one, name) for one in filled]
        is_tuple = isinstance(columns[0], tuple)
        values[name] = tuple(value for column in columns for value in column) if is_tuple else np.concatenate(columns)
    load = {name: np.concatenate([one.load[name] for one in filled]) for name in filled[0].load}
    scores = {name: np.concatenate([of[name] for _, of in kept]) for name in kept[0][1]}
    return Trials(**values, load=load), scores
