"""The whole network on one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.plan import Compute, Plan
from edgesim.domain.system.topology import DeviceId
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import (
    ANSWER_ID,
    answer_steps,
    check_gradients,
    input_transfers,
    kernels_here,
    known_device,
    received_answers,
    require_delivered,
)

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.attack import Against
    from edgesim.interfaces import Deployment, DeploymentContext, Kernel


@dataclass(frozen=True, slots=True)
class Single:
    """Run the whole network on one device.

    The source sends the input to the device, if it is another one, and the device sends the answer to the sink. There is no
    answer without both messages. This is what every distribution is compared with.

    Parameters
    ----------
    device : id of the device; the sink when it is not given.
    messages : how numbers of input and answer are written in messages, `dtype` ``float32``, ``float16`` or ``int8``; see `edgesim.domain.networks.messages.Messages`.

    Formula
    -------
    Traffic = input + answer (4 byte a number, unless `messages` says less), each only if it has a way to go. Latency = both messages + sum over layers
    of (max(work / rate, bytes / memory bandwidth) + overhead).

    Validity
    --------
    What every distribution is compared with; the device must hold all weights and the largest activations.

    References
    ----------
    Our own reading of the undistributed case.
    """

    device: DeviceId | None = None
    messages: Messages = AS_COMPUTED

    needs_training: ClassVar[bool] = False

    def check_attack(self) -> None:
        """Refuse attacks on messages that are rounded."""
        check_gradients(self.messages)

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment; its answers are computed here, once.

        Raises
        ------
        PlanError
            When the topology has no such device.
        """
        import numpy as np

        from edgesim.nn.cost.layers import graph_work
        from edgesim.nn.tensors import ask
        from edgesim.nn.train.training import forward

        device_id = known_device(context, "single.device", context.sink_id if self.device is None else self.device)
        if context.attack is not None:
            self.check_attack()
        graph = context.graph
        first = input_transfers(context, device_id, graph.input_byte, self.messages)
        inference = Compute(
            "network",
            device_id,
            graph_work(graph),
            tuple(transfer.step_id for transfer in first),
            graph.peak_activation_byte,
        )
        last = answer_steps(context, inference, graph.layers[-1].output_byte, self.messages)
        steps = (*first, inference, *last)
        plan = Plan(steps, steps[-1].step_id, {device_id: graph.weight_byte})
        dataset = context.dataset
        empty = np.empty((0, *dataset.task.output.shape), np.float32)
        inputs = self.messages.received_inputs(dataset.test.inputs) if first else dataset.test.inputs
        answers = forward(context.network, inputs) if len(dataset.test) else empty
        answers = received_answers(plan, self.messages, answers)
        here = kernels_here(plan, self.messages, partial(_kernels, plan, context.network, list(dataset.inputs)))
        if context.attack is None:
            return WholeNetwork(plan, device_id, answers, here)
        from edgesim.nn.attacks.projected_gradient import attacked_samples

        answer = partial(ask, context.network)
        moved = attacked_samples(answer, dataset.test, dataset.task, context.attack, context.seed)
        return AttackedNetwork(plan, device_id, answers, here, attacked=forward(context.network, moved))


def _kernels(plan: Plan, network: torch.nn.Module, names: list[str]) -> Mapping[str, Kernel]:
    from edgesim.nn.kernels.whole import WholeKernel, arrival

    return {plan.answer_id: arrival, "network": WholeKernel(network, names, [ANSWER_ID])}


@dataclass(frozen=True, slots=True)
class WholeNetwork:
    """A network on one device.

    Parameters
    ----------
    plan : the steps of one inference.
    device_id : where it runs.
    answers : to the test split, shape (n, *output).
    here : makes the kernels.
    """

    plan: Plan
    device_id: str
    answers: NDArray[np.float32]
    here: Here = field(default_factory=Here)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what the device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split.

        Raises
        ------
        PlanError
            When the input or the answer was lost: nothing can stand in for it, so there is no answer.
        """
        require_delivered(tuple(transfer.step_id for transfer in self.plan.transfers), delivery)
        return self.answers

    def describe(self) -> dict[str, Any]:
        """Return the device and the bytes of its weights."""
        return {"device": self.device_id, "weight_byte": dict(self.plan.weight_byte)}


@dataclass(frozen=True, slots=True)
class AttackedNetwork(WholeNetwork):
    """A network on one device whose test samples are attacked; there is one attack, since there is no answer without all of it.

    Parameters
    ----------
    plan, device_id, answers, here : as in `WholeNetwork`.
    attacked : answers to the attacked test split, shape (n, *output).
    """

    attacked: NDArray[np.float32] = field(kw_only=True)

    def predict_attacked(self, delivery: Delivery, against: Against) -> NDArray[np.float32]:  # noqa: ARG002 - one attack
        """Return the answers to the attacked test split. Raises `PlanError` as `predict` does."""
        require_delivered(tuple(transfer.step_id for transfer in self.plan.transfers), delivery)
        return self.attacked
