"""How much of the scores is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from edgesim.domain.bounds import whole
from edgesim.domain.networks.attack import Attack
from edgesim.errors import PlanError

Engine = Literal["auto", "event", "array"]
"""Which engine simulates: the array engine where it can, always the event engine, or the array engine and nothing else."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Bounds on what the networks are asked; without them every trial's losses are evaluated on the whole test split.

    Parameters
    ----------
    samples : size of the part of the test split that is asked, drawn from the stream ``evaluation/samples``; the same for all
        strategies and factor points. All of it when not given, or when there are fewer.
    patterns : most patterns of losses that are evaluated for a strategy at a factor point: those of so many replications, drawn from
        the stream ``evaluation/patterns``, the same for all strategies and factor points. The mean score is then over these; its
        number of values says so. There is no exact expectation of the scores when there are more possible outcomes.
    scores : names of the scores of the task that are computed; the first is the main one, with which strategies are compared. By default
        the main one of the task alone, with an attack also both robust ones of it.
    attack : what test samples are attacked by, for the scores ``robust_SCORE_transfer`` (attacked through all networks, whatever is lost
        later) and ``robust_SCORE_adaptive`` (attacked anew through the networks of which something arrived). Of strategies that run
        the whole network in one place, and of students.
    """

    samples: Annotated[int, Ge(1)] | None = None
    patterns: Annotated[int, Ge(1)] | None = None
    scores: tuple[str, ...] = ()
    attack: Attack | None = None

    def __post_init__(self) -> None:
        given = {"samples": self.samples, "patterns": self.patterns}
        whole("an evaluation", 1, **{name: bound for name, bound in given.items() if bound is not None})
        if len(set(self.scores)) < len(self.scores):
            raise PlanError(f"an evaluation names a score twice: {', '.join(self.scores)}")


EVERYTHING = Evaluation()
"""No bounds."""
