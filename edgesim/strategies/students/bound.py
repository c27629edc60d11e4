"""What perfect students would keep: the teacher's own filters on the devices, without any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.domain.networks.partition import surviving_parts
from edgesim.errors import PlanError

if TYPE_CHECKING:
    from edgesim.domain.networks.partition import Partition
    from edgesim.interfaces import DeploymentContext

MOST_PARTS = 10
"""Above that, 2^M sets of parts would be asked too long."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What perfect students keep.

    Parameters
    ----------
    score : name of the main score of the task.
    teacher : what the teacher reaches on the test split.
    by_lost : the mean over all sets of lost students of one size, for 0, 1, ... of them.
    """

    score: str
    teacher: float
    by_lost: tuple[float, ...]


def perfect_student_bound(partition: Partition, n_students: int, layer: str, context: DeploymentContext) -> Bound:
    """Return what students would keep that say exactly what the teacher's filters of their parts say, with zeros for lost parts.

    Student i stands for part i mod M; the head is the rest of the teacher. Students that are trained can be better where their head, or
    what stands in for a lost part, is made for losses: it is a bound for students that imitate the teacher, not for all.

    Parameters
    ----------
    partition, layer : of the teacher's filters.
    n_students : S, at least as many as parts.
    context : has the teacher and the test split.

    Raises
    ------
    PlanError
        When there are more than 10 parts.
    DataError
        When the teacher's answer depends on something besides these filters.
    """
    from edgesim.nn.parts.perfect import answers_of_survivors

    n_parts = len(partition.parts)
    if n_parts > MOST_PARTS:
        raise PlanError(f"the bound asks every set of parts, 2^{n_parts} here; it is for at most {MOST_PARTS} parts")
    part_of = tuple(index % n_parts for index in range(n_students))
    shares = [surviving_parts(part_of, n_lost) for n_lost in range(n_students + 1)]
    sets = sorted({parts for one in shares for parts in one}, key=lambda parts: (len(parts), sorted(parts)))
    test, score = context.dataset.test, context.dataset.task.scores[0]
    answers = answers_of_survivors(context.network, layer, partition, sets, test.inputs)
    reached = {parts: score.of(given, test.targets) for parts, given in zip(sets, answers, strict=True)}
    by_lost = tuple(sum(share * reached[parts] for parts, share in one.items()) for one in shares)
    from edgesim.nn.train.training import scored

    return Bound(score.name, scored(context.network, test, context.dataset.task), by_lost)
