"""A loss over sets of survivors: all of them, or some that are drawn for each batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from edgesim.domain.bounds import one_of, whole
from edgesim.domain.networks.partition import Missing
from edgesim.errors import PlanError
from edgesim.interfaces import FailureModel

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.objective import Lesson

MOST = 12
"""Students of which all sets are listed: 4095 sets."""


@dataclass(frozen=True, slots=True)
class MEL:
    """Learn to answer with every set of students that may be left, each set counting as much as another of its size.

    Parameters
    ----------
    sampled : sets that are drawn for each batch; 0 for all of them.
    weights : whether each of the sets counts alike (``sets``), or each size of a set (``sizes``), among which half-lost students are not
        the most.

    Formula
    -------
    beta L_act + sum over non-empty sets S of students lambda_S (2 alpha T^2 I_T + (1 - alpha) L)(answers of S), lambda_S = 1 / (2^n - 1) with
    ``sets``, 1 / (n C(n, |S|)) with ``sizes``. Drawn sets are drawn with probability lambda_S, and count alike.

    Validity
    --------
    Nothing is known of what fails. All sets of more than 12 students are too many; draw some.

    Notes
    -----
    MEL has a combiner for each set, which learns with the networks. Here one linear head serves all sets while students learn;
    ``head: per-survivors`` of the strategy solves one for each set afterwards.

    References
    ----------
    MEL: Multi-level Ensemble Learning for Resource-Constrained Environments, 2025, arXiv 2506.20094.
    """

    sampled: Annotated[int, Ge(0)] = 0
    weights: Literal["sets", "sizes"] = "sets"

    def __post_init__(self) -> None:
        whole("mel", 0, sampled=self.sampled)
        one_of("mel", Literal["sets", "sizes"], weights=self.weights)

    def learns_for(self, failures: Mapping[str, FailureModel]) -> Mapping[str, FailureModel] | None:  # noqa: ARG002 - the seam's form
        """Return that it learns for no failures of the scenario."""
        return None

    def stand_in(self, missing: Missing) -> Missing:
        """Return that what stands in for a lost part does so in training, too."""
        return missing

    def loss(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss of a batch. Raises `PlanError` when there are too many sets."""
        given = lesson.taught(lesson.inputs)
        if self.sampled:
            return lesson.imitation(given.answers(self.drawn(lesson), lesson.missing)) + given.transfer
        total = given.transfer
        groups = all_sets(lesson.n_students, self.weights)
        for weight, sets in groups:
            total = total + weight * lesson.imitation(given.answers(sets, lesson.missing))
        return total

    def drawn(self, lesson: Lesson) -> torch.Tensor:
        """Return the sets of a batch, shape (sets, students), none of them empty."""
        import torch

        n, draws = lesson.n_students, lesson.draws
        order = torch.rand(self.sampled, n, generator=draws).argsort(dim=1).argsort(dim=1)
        if self.weights == "sizes":
            sizes = torch.randint(1, n + 1, (self.sampled, 1), generator=draws)
        else:
            binomial = torch.tensor([_choose(n, size) for size in range(1, n + 1)], dtype=torch.float64)
            sizes = 1 + torch.multinomial(binomial, self.sampled, replacement=True, generator=draws)[:, None]
        return order < sizes


def _choose(n: int, k: int) -> float:
    from math import comb

    return float(comb(n, k))


def all_sets(n_students: int, weights: str) -> list[tuple[float, torch.Tensor]]:
    """Return all non-empty sets of students, with the weight of their mean loss: together, or by size.

    Raises
    ------
    PlanError
        When they are too many.
    """
    import torch

    if n_students > MOST:
        raise PlanError(
            f"objective mel: {n_students} students have {2**n_students - 1} sets; draw some of them with `sampled: 64`"
        )
    sets = torch.tensor(list(product((True, False), repeat=n_students)))[:-1]
    if weights == "sets":
        return [(1.0, sets)]
    sizes = sets.sum(dim=1)
    return [(1 / n_students, sets[sizes == size]) for size in range(1, n_students + 1)]
