"""Strategy `offload`: another device computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.delivery import Delivery
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.system.topology import DeviceId
from edgesim.nn.train.training import forward
from edgesim.units import Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.interfaces import DeploymentContext


@dataclass(frozen=True)
class Offload:
    """Send the input to another device and wait for its answer; guess when it does not come in time.

    Parameters
    ----------
    device : id of the device that computes.
    deadline_s : how long the answer is waited for.
    """

    device: DeviceId
    deadline_s: Seconds = 0.1

    def deploy(self, context: DeploymentContext) -> OffloadDeployment:
        """Return the plan, and the answers of the network and of a guess."""
        graph, task = context.graph, context.dataset.task
        work = tuple(
            LayerWork(one.layer_id, one.operator, one.work_flop, one.input_byte + one.output_byte)
            for one in graph.layers
        )
        answer_byte = 4 * task.output.size
        steps = (
            Transfer("ask", context.source_id, self.device, graph.input_byte, "input", "input"),
            Compute("think", self.device, work, ("ask",)),
            Transfer("tell", self.device, context.sink_id, answer_byte, "answer", "result", ("think",)),
            Compute("know", context.sink_id, (), ("tell",), on_missing="degrade", deadline_s=self.deadline_s),
        )
        answers = forward(context.network, context.dataset.test.inputs)
        guesses = np.broadcast_to(task.guess(context.dataset.train.targets), answers.shape)
        return OffloadDeployment(Plan(steps, "know", {self.device: graph.weight_byte}), answers, guesses.copy())


@dataclass(frozen=True)
class OffloadDeployment:
    """What `edgesim.interfaces.Deployment` asks for."""

    plan: Plan
    answers: NDArray[np.float32]
    guesses: NDArray[np.float32]

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the network's answers when its message came, and guesses else."""
        return self.answers if delivery == Delivery() else self.guesses

    def describe(self) -> dict[str, Any]:
        """Return where the network is."""
        return {"device": next(iter(self.plan.weight_byte))}
