"""What sets of students reach on the validation split, by which options may be chosen."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Dataset

MOST = 10
"""Students of which all sets are asked: 1024 sets."""


def validation_facts(
    answer: Callable[[Sequence[bool]], NDArray[np.float32]], n_students: int, dataset: Dataset
) -> dict[str, list[float]]:
    """Return the main score on the validation split with 0, 1, ... students lost, each a mean over all sets; nothing for many students.

    Parameters
    ----------
    answer : whether each student is left -> the answers to the validation split.
    n_students : more than 10 have too many sets.
    dataset : has the validation split and the task.
    """
    if n_students > MOST:
        return {}
    score, targets = dataset.task.scores[0], dataset.validation.targets
    reached: list[list[float]] = [[] for _ in range(n_students + 1)]
    for left in product((True, False), repeat=n_students):
        reached[left.count(False)].append(score.of(answer(left), targets))
    return {f"validation_{score.name}_by_lost": [sum(values) / len(values) for values in reached]}
