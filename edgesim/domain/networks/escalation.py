"""Which answers a person looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from edgesim.domain.bounds import not_negative, one_of, share
from edgesim.domain.system.people import People
from edgesim.errors import PlanError

Uncertainty = Literal["entropy", "least-confidence", "second-network", "random", "oracle"]


@dataclass(frozen=True, slots=True)
class Escalation:
    """Give the samples whose answers are uncertain to a person, whose answers are right.

    The uncertainty of a sample is the mean over its places that count. Those above a bound are escalated, each for itself, so that lost messages, which make answers
    uncertain, cost work; or the most uncertain share of the test split, whatever was lost. A request without an answer is not escalated.

    Parameters
    ----------
    uncertainty : ``entropy`` of the class probabilities, ``least-confidence`` (1 - the largest of them), what a ``second-network`` adds to them, and two
        for comparison: ``random``, and an ``oracle`` that knows the share of wrong places.
    above : bound of the uncertainty; the entropy of c equal classes is ln c.
    share : of the samples, in place of a bound.
    people : who looks, and how long that takes; under load only. By default it takes no time.

    Raises
    ------
    PlanError
        Unless there is one of bound and share, and a share where the choice is random.
    """

    uncertainty: Uncertainty = "entropy"
    above: Annotated[float, Ge(0)] | None = None
    share: Annotated[float, Ge(0), Le(1)] | None = None
    people: People | None = None

    def __post_init__(self) -> None:
        one_of("an escalation", Uncertainty, uncertainty=self.uncertainty)
        if (self.above is None) == (self.share is None):
            raise PlanError("an escalation has a bound or a share; give one of `above` and `share`")
        if self.above is not None:
            not_negative("an escalation", above=self.above)
            if self.uncertainty == "random":
                raise PlanError(
                    "a random escalation takes a `share` of the samples; a bound `above` says nothing about it"
                )
        if self.share is not None:
            share("an escalation", share=self.share)
