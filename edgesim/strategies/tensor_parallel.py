"""A decoder for language cut over devices, matrix by matrix; of one token, and of its cost only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Le

from edgesim.domain.plan import Compute, LayerWork, Plan, Step, Transfer
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.ends import answer_steps, input_transfers, known_device, require_delivered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.costs import LayerCost
    from edgesim.interfaces import Deployment, DeploymentContext

FLOAT_BIT = 32.0
_MATRICES = ("q", "k", "v", "o", "w1", "w3", "w2")
Exchange = Literal["gather", "reduce"]
"""Slices of outputs are gathered after each matrix, or partial sums are added after attention and after the feed-forward part."""
_ROUNDS: dict[Exchange, tuple[tuple[str, ...], ...]] = {
    "gather": (("q", "k", "v"), ("o",), ("w1", "w3"), ("w2",)),
    "reduce": (("q", "k", "v", "o"), ("w1", "w3", "w2")),
}
"""What each node computes between two messages."""


@dataclass(frozen=True, slots=True)
class TensorParallel:
    """Cut every matrix of a decoder over a root and workers, and count what one token costs.

    Each node holds and multiplies an equal share of every matrix. The root holds the whole vector: it sends it to each worker, gets back
    slices of outputs or partial sums, and joins them; it also does the classifier alone. This is what distributed-llama did in 2024: it
    gathered four times a block in version 0.1.0, and reduced twice a block in 0.3.1. The network must be of the model ``decoder-token``.

    Parameters
    ----------
    root : device that has the token and joins.
    workers : devices that compute beside it; by default none.
    weight_bits : bits of a weight in memory, e.g. 4.5 for 4 bits with a scale of 16 bits for 32 weights.
    message_bits : bits of a number in a message, e.g. 8.5.
    exchange : ``gather`` cuts all matrices by outputs; ``reduce`` cuts every second one by inputs, so that whole vectors of partial sums
        come back, but only after attention and after the feed-forward part.

    Formula
    -------
    Per block and worker, with n nodes, width D, width of keys K and hidden units H: down D, D, D and H (n - 1) / n numbers, up (D + 2 K) / n,
    D / n, H / n and D / n: in all 3 D + H + (3 D + 2 K) / n. With ``reduce``: 2 D down and 2 D up. Both give the bytes that
    distributed-llama printed.

    Validity
    --------
    Short contexts; norms, activations and the softmax are not counted: they are small beside the matrices, and a profile's overhead per
    layer, which is paid once between two messages, stands for them.

    References
    ----------
    B. Tadych, distributed-llama, report.pdf and README of June 2024. The order of its messages is our reading of the bytes printed there.
    """

    root: DeviceId
    workers: DeviceGlob | None = None
    weight_bits: Annotated[float, Gt(0), Le(32)] = FLOAT_BIT
    message_bits: Annotated[float, Gt(0), Le(32)] = FLOAT_BIT
    exchange: Exchange = "gather"

    needs_training: ClassVar[bool] = False

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When the topology has no such device, the network is no decoder, or samples want an answer.
        """
        root = known_device(context, "tensor-parallel.root", self.root)
        ids = sorted(context.topology.device_of)
        workers = tuple(name for name in ids if self.workers and name != root and is_selected(name, self.workers))
        if len(context.dataset.test):
            raise PlanError(
                "tensor-parallel counts the cost of a token and gives no answers; write `input` and `classes` without a `dataset`"
            )
        return _Tokens(_Cutter(self, context, root, workers).plan(), context.dataset.task.output.shape)


class _Cutter:
    """From the costs of a decoder to the plan of one token."""

    def __init__(self, options: TensorParallel, context: DeploymentContext, root: str, workers: Sequence[str]) -> None:
        self.options, self.context, self.root, self.workers = options, context, root, workers
        self.n_nodes = 1 + len(workers)
        self.cost = {layer.layer_id: layer for layer in context.graph.layers}
        self.steps: list[Step] = []

    def plan(self) -> Plan:
        names = [name for name in self.cost if name.startswith("blocks.")]
        n_blocks = 1 + max((int(name.split(".")[1]) for name in names), default=-1)
        wanted = [f"blocks.{index}.{matrix}" for index in range(n_blocks) for matrix in _MATRICES]
        if not n_blocks or any(name not in self.cost for name in (*wanted, "classifier")):
            raise PlanError(
                "tensor-parallel cuts networks of the model decoder-token only; write `model: {type: decoder-token, ...}`"
            )
        first = input_transfers(self.context, self.root, self.context.graph.input_byte)
        self.steps += [*first, Compute("embedded", self.root, inputs=tuple(one.step_id for one in first))]
        for index in range(n_blocks):
            for matrices in _ROUNDS[self.options.exchange]:
                self._round(index, matrices)
        classifier = self.cost["classifier"]
        last = Compute(
            "classifier", self.root, (self._work([classifier], 1.0),), (self.steps[-1].step_id,), classifier.output_byte
        )
        self.steps += [last, *answer_steps(self.context, last, classifier.output_byte)]
        held = sum(self._stored_byte(self.cost[name], 1.0 / self.n_nodes) for name in wanted)
        weights = dict.fromkeys(self.workers, held) | {self.root: held + self._stored_byte(classifier, 1.0)}
        return Plan(tuple(self.steps), self.steps[-1].step_id, weights)

    def _round(self, index: int, matrices: Sequence[str]) -> None:
        """Send the vector to the workers, multiply it everywhere, and join the slices at the root."""
        costs = [self.cost[f"blocks.{index}.{matrix}"] for matrix in matrices]
        name = f"blocks.{index}.{'+'.join(matrices)}"
        before = (self.steps[-1].step_id,)
        n_inputs = costs[0].input_byte // 4
        down = n_inputs * (self.n_nodes - 1) / self.n_nodes if matrices == ("w2",) else n_inputs
        n_numbers = self._answers(matrices, costs)
        work = (self._work(costs, 1.0 / self.n_nodes),)
        held_byte = costs[0].input_byte + ceil(4 * n_numbers)
        for worker in self.workers:
            self._send(f"{name}/down/{worker}", (self.root, worker), down, before)
        for device in (self.root, *self.workers):
            inputs = before if device == self.root else (f"{name}/down/{device}",)
            self.steps.append(Compute(f"{name}/compute/{device}", device, work, inputs, held_byte))
        for worker in self.workers:
            self._send(f"{name}/up/{worker}", (worker, self.root), n_numbers, (f"{name}/compute/{worker}",))
        joined = (f"{name}/compute/{self.root}", *(f"{name}/up/{worker}" for worker in self.workers))
        self.steps.append(Compute(f"{name}/join", self.root, inputs=joined))

    def _send(self, name: str, ends: tuple[str, str], n_numbers: float, inputs: tuple[str, ...]) -> None:
        size_byte = ceil(n_numbers * self.options.message_bits / 8 - 1e-9)
        self.steps.append(Transfer(name, *ends, size_byte, f"{n_numbers:g} numbers", "intermediate", inputs))

    def _answers(self, matrices: Sequence[str], costs: Sequence[LayerCost]) -> float:
        """Return how many numbers a worker sends back."""
        if self.options.exchange == "reduce":  # the outputs of the last matrix, as partial sums
            return costs[-1].output_byte / 4
        answers = costs[:1] if matrices == ("w1", "w3") else costs  # their product is one vector
        return sum(cost.output_byte for cost in answers) / 4 / self.n_nodes

    def _stored_byte(self, cost: LayerCost, share: float) -> int:
        return ceil(cost.weight_byte * share * self.options.weight_bits / FLOAT_BIT)

    def _work(self, costs: Sequence[LayerCost], share: float) -> LayerWork:
        """Return the work of matrices that are multiplied one after another without a pause."""
        moved_byte = (
            sum(self._stored_byte(cost, share) + share * cost.output_byte for cost in costs) + costs[0].input_byte
        )
        names = "+".join(cost.layer_id for cost in costs)
        return LayerWork(names, "linear", share * sum(cost.work_flop for cost in costs), moved_byte)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The plan of one token; there are no samples to answer."""

    plan: Plan
    output: tuple[int, ...]

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return no answers. Raises `PlanError` when a message was lost: no vector is whole without it."""
        import numpy as np

        require_delivered(tuple(transfer.step_id for transfer in self.plan.transfers), delivery)
        return np.empty((0, *self.output), np.float32)

    def describe(self) -> dict[str, Any]:
        """Return the bytes of weights by device."""
        return {"weight_byte": dict(self.plan.weight_byte)}
