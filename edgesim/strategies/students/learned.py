"""Students whose lost parts are predicted from those that came."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from edgesim.errors import PlanError
from edgesim.strategies.ends import received_answers, require_delivered
from edgesim.strategies.students.networks import StudentDeployment, Workload, workload_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.partition import Denominator
    from edgesim.nn.distill.students import TrainedStudents
    from edgesim.nn.merging.stand_ins import StandIns


@dataclass(frozen=True, slots=True, eq=False)
class LearnedStudents(StudentDeployment):
    """Student networks on their devices, with the features of each and a network that stands in for lost parts.

    Parameters
    ----------
    outputs : what the merger has of each student for each test sample, shape (n, features of its part) each.
    stand_in : fills in lost parts; None only as a default.
    weight : of the head, shape (numbers of an answer, features).
    """

    outputs: tuple[NDArray[np.float32], ...] = ()
    stand_in: StandIns | None = None
    weight: NDArray[np.float32] | None = None

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split: the head on the means of what arrived, and on what is predicted of lost parts.

        Raises
        ------
        PlanError
            When the answer itself did not arrive at the sink.
        """
        from edgesim.nn.merging.stand_ins import fill

        require_delivered(self.required, delivery)
        arrived = [delivery.are_whole(needed) for needed in self.needs]
        there = {part for part, is_there in zip(self.part_of, arrived, strict=True) if is_there}
        network, weight = self.stand_in, self.weight
        if network is None or weight is None or len(there) == len(network.part_sizes):
            return StudentDeployment.predict(self, delivery)
        filled = fill(network, self._merged(arrived, network.part_sizes), there)
        answers: NDArray[np.float32] = (filled @ weight.T).reshape(len(filled), *self.bias.shape) + self.bias
        return received_answers(self.plan, self.messages, answers)

    def _merged(self, arrived: list[bool], part_sizes: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the mean over what arrived of each part, side by side; zeros where nothing did."""
        import numpy as np

        n_samples = len(self.outputs[0])
        parts = []
        for part, size in enumerate(part_sizes):
            some = [
                output
                for output, own, is_there in zip(self.outputs, self.part_of, arrived, strict=True)
                if own == part and is_there
            ]
            parts.append(np.mean(some, axis=0) if some else np.zeros((n_samples, size), np.float32))
        return np.concatenate(parts, axis=1)


def with_stand_ins(head: Workload, network: StandIns) -> Workload:
    """Return what head and stand-ins ask of the merger; the stand-ins are counted in every inference, lost or not."""
    inner = workload_of(network.inner, (sum(network.part_sizes) + len(network.part_sizes),))
    kept_byte = 4 * 2 * sum(network.part_sizes)  # mean and scale of each feature
    return Workload(
        (*inner.work, *head.work),
        head.weight_byte + inner.weight_byte + kept_byte,
        max(head.activation_byte, inner.activation_byte),
        head.output_byte,
    )


def learned(
    deployment: StudentDeployment,
    network: StandIns,
    students: TrainedStudents,
    outputs: Sequence[NDArray[np.float32]],
) -> LearnedStudents:
    """Return the deployment with a network that stands in for lost parts."""
    known = {field.name: getattr(deployment, field.name) for field in fields(StudentDeployment)}
    return LearnedStudents(
        **known,
        outputs=tuple(outputs),
        stand_in=network,
        weight=students.ensemble.head.weight.detach().numpy(),
    )


def check_missing(missing: str, *, n_parts: int, denominator: Denominator = "arrived") -> None:
    """Refuse stand-ins that make no sense.

    Raises
    ------
    PlanError
        When a lost part has no other to be predicted from, or a part counts for less when some of its students are lost.
    """
    if missing == "learned" and n_parts < 2:
        raise PlanError(
            "missing: learned predicts a lost part from the others, but there is one part; take mean, or more parts"
        )
    if missing == "learned" and denominator == "all":
        raise PlanError(
            "missing: learned predicts whole parts from means over what arrived; leave out denominator: all, or take missing: mean"
        )
