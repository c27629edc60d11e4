"""Students whose test samples are attacked."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol

from edgesim.strategies.ends import require_delivered
from edgesim.strategies.students.networks import StudentDeployment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.attack import Against, Attack
    from edgesim.domain.networks.samples import Samples
    from edgesim.domain.networks.task import Task
    from edgesim.interfaces import DeploymentContext


class Merged(Protocol):
    """Students and what makes one answer of theirs."""

    def features(self, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Return what each student gives."""

    def answers(self, features: Sequence[torch.Tensor], arrived: Sequence[bool] | None = None) -> torch.Tensor:
        """Return the answers of those that arrived."""


@dataclass(frozen=True, slots=True, eq=False)
class AttackedStudents(StudentDeployment):
    """Student networks on their devices, with the networks themselves, for attacks go through them.

    Parameters
    ----------
    merged : the networks; None only as a default.
    network_of : which of them each student is.
    samples, task, attack, seed : the test split and how it is attacked.
    transferred : `contributions` to the samples that were attacked with everything delivered.
    """

    merged: Merged | None = None
    network_of: tuple[int, ...] = ()
    samples: Samples | None = None
    task: Task | None = None
    attack: Attack | None = None
    seed: int = 0
    transferred: NDArray[np.float32] | None = None

    def predict_attacked(self, delivery: Delivery, against: Against) -> NDArray[np.float32]:
        """Return the answers to the attacked test split.

        Raises
        ------
        PlanError
            When the answer itself did not arrive at the sink.
        """
        require_delivered(self.required, delivery)
        if against == "transfer" and self.transferred is not None:
            return StudentDeployment.predict(replace(self, contributions=self.transferred), delivery)
        return self._adaptive([delivery.are_whole(needed) for needed in self.needs])

    def _adaptive(self, there: list[bool]) -> NDArray[np.float32]:
        """Return the answers to samples that were attacked through the students that are there."""
        import numpy as np
        import torch

        from edgesim.nn.attacks.projected_gradient import attacked_samples
        from edgesim.nn.train.training import forward_of

        merged, samples, task, attack = self.merged, self.samples, self.task, self.attack
        if merged is None or samples is None or task is None or attack is None:
            return np.empty((0, *self.bias.shape), np.float32)
        stood_in = torch.from_numpy(self.constant(there) - self.bias)
        arrived = [False] * (max(self.network_of) + 1)
        for network, is_there in zip(self.network_of, there, strict=True):
            arrived[network] |= is_there

        def answer(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
            return merged.answers(merged.features(inputs), arrived) + stood_in

        return forward_of(answer, attacked_samples(answer, samples, task, attack, self.seed))


def attackable(
    deployment: StudentDeployment,
    context: DeploymentContext,
    merged: Merged,
    network_of: tuple[int, ...],
    contribute: Callable[[Mapping[str, NDArray[np.float32]]], NDArray[np.float32]],
) -> StudentDeployment:
    """Return the deployment, with its networks and the attacked samples if the context has an attack.

    Parameters
    ----------
    deployment, context : of the students.
    merged, network_of : the networks, and which of them each student is.
    contribute : inputs -> what each student adds to the answers, as `StudentDeployment.contributions`.
    """
    if context.attack is None:
        return deployment
    from edgesim.nn.attacks.projected_gradient import attacked_samples

    task, test = context.dataset.task, context.dataset.test

    def answer(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return merged.answers(merged.features(inputs))

    moved = attacked_samples(answer, test, task, context.attack, context.seed)
    known = {field.name: getattr(deployment, field.name) for field in fields(StudentDeployment)}
    known["facts"] = {**deployment.facts, **robust_facts(answer, context)}
    return AttackedStudents(
        **known, merged=merged, network_of=network_of, samples=test, task=task, attack=context.attack, seed=context.seed,
        transferred=contribute(moved),
    )  # fmt: skip


def robust_facts(
    answer: Callable[[Mapping[str, torch.Tensor]], torch.Tensor], context: DeploymentContext
) -> dict[str, float]:
    """Return the main score on attacked validation samples with nothing lost, by which options may be chosen."""
    from edgesim.nn.attacks.projected_gradient import attacked_samples
    from edgesim.nn.train.training import forward_of

    if context.attack is None:
        return {}
    task, split = context.dataset.task, context.dataset.validation
    moved = attacked_samples(answer, split, task, context.attack, context.seed)
    score = task.scores[0]
    return {f"validation_robust_{score.name}": score.of(forward_of(answer, moved), split.targets)}
