"""What the division of vertices deploys: the plan, round by round, and the answers with what arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from edgesim.domain.plan import Compute, OnMissing, Plan, Step, Transfer
from edgesim.errors import PlanError
from edgesim.strategies.ends import ANSWER_ID, INPUT_ID, answer_steps, input_transfers, require_delivered

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.costs import LayerCost
    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.nn.models.reservoir_networks import ReservoirNetwork
    from edgesim.nn.vertices.divided_graphs import DividedGraphs

VALUE_BYTE = 4
"""Size of a number that is sent (float32)."""
_KEPT_BYTE = 2**26  # answers kept by what was lost; a study meets the same again and again


def scatter_id(device_id: str) -> str:
    """Return the id of the transfer of a device's vertices."""
    return f"vertices->{device_id}"


def gather_id(device_id: str) -> str:
    """Return the id of the transfer of the sum over a device's vertices."""
    return f"sum {device_id}"


def exchange_id(layer: int, number: int, src_id: str, dst_id: str) -> str:
    """Return the id of the transfer of states in a round of a layer, both counted from 0; the first round has none."""
    return f"layer{layer}/round{number}/{src_id}->{dst_id}"


@dataclass
class Rounds:
    """Writes the plan of divided vertices.

    Parameters
    ----------
    context : where the plan is for.
    network : its reservoirs.
    graphs : how vertices are divided.
    owner_id, device_ids : who divides and reads out, and who computes.
    deadline_s : how long a step waits for messages, or None to wait for ever, in s.
    """

    context: DeploymentContext
    network: ReservoirNetwork
    graphs: DividedGraphs
    owner_id: str
    device_ids: tuple[str, ...]
    deadline_s: float | None
    steps: list[Step] = field(default_factory=list)

    def plan(self) -> Plan:
        """Return the plan."""
        from edgesim.nn.vertices.round_costs import phases

        transfers = input_transfers(self.context, self.owner_id, self.context.graph.input_byte)
        start = Compute("division", self.owner_id, (), tuple(transfer.step_id for transfer in transfers))
        self.steps = [*transfers, start]
        costs = phases(self.network, self.context.dataset.inputs)
        arrived = self._scatter(start.step_id)
        last = self._phase("first round", costs[0], arrived, 0)
        for wait, (layer, number) in enumerate(exchanges(self.network), start=1):
            arrived = self._exchange(layer, number, last)
            last = self._phase(f"layer{layer}/round{number}", costs[wait], arrived, wait)
        merge = self._merge(start.step_id, last)
        self.steps += [merge, *answer_steps(self.context, merge, VALUE_BYTE * self.network.head.out_features)]
        return Plan(tuple(self.steps), self.steps[-1].step_id, self._weights())

    def _scatter(self, start_id: str) -> list[list[str]]:
        """Add the transfers of vertices: features in float32, and a byte for each possible neighbour."""
        inputs = self.context.dataset.inputs
        vertex_byte = VALUE_BYTE * inputs["vertices"].shape[1] + inputs["adjacency"].shape[1]
        for device_id, n_own in zip(self.device_ids, self.graphs.n_own(), strict=True):
            size_byte = ceil(n_own * vertex_byte)
            self.steps.append(
                Transfer(
                    scatter_id(device_id), self.owner_id, device_id, size_byte, "its vertices", "input", (start_id,)
                )
            )
        return [[scatter_id(device_id)] for device_id in self.device_ids]

    def _exchange(self, layer: int, number: int, last: list[str]) -> list[list[str]]:
        """Add the messages before a round; return what each device then waits for, its own last step first."""
        waiting = [[step_id] for step_id in last]
        sent = self.graphs.n_sent()
        for src, src_id in enumerate(self.device_ids):
            for dst, dst_id in enumerate(self.device_ids):
                if sent[src, dst]:
                    size_byte = ceil(VALUE_BYTE * self._n_numbers() * sent[src, dst])
                    name = exchange_id(layer, number, src_id, dst_id)
                    self.steps.append(Transfer(name, src_id, dst_id, size_byte, "states", "intermediate", (last[src],)))
                    waiting[dst].append(name)
        return waiting

    def _phase(self, name: str, costs: list[LayerCost], waiting: list[list[str]], wait: int) -> list[str]:
        """Add what each device computes in a phase, and return the ids of the steps."""
        from edgesim.nn.cost.layers import layer_work

        n_own, n_received = self.graphs.n_own(), self.graphs.n_sent().sum(axis=0)
        total = n_own.sum() or 1.0
        found = []
        for device, device_id in enumerate(self.device_ids):
            work = tuple(layer_work(cost, float(n_own[device] / total)) for cost in costs)
            n_states = 3 * n_own[device] + n_received[device]  # drive, old and new states, and what came
            activation_byte = ceil(VALUE_BYTE * self._n_numbers() * n_states)
            deadline_s = None if self.deadline_s is None or len(waiting[device]) == 1 else wait * self.deadline_s
            missing: OnMissing = "wait" if deadline_s is None else "degrade"
            step_id = f"{name}/{device_id}"
            self.steps.append(
                Compute(step_id, device_id, work, tuple(waiting[device]), activation_byte, missing, deadline_s)
            )
            found.append(step_id)
        return found

    def _merge(self, start_id: str, last: list[str]) -> Compute:
        """Add the transfers of the sums; return the read-out of their sum at the owner."""
        from edgesim.nn.cost.layers import layer_work
        from edgesim.nn.vertices.round_costs import readout

        size_byte = VALUE_BYTE * self._n_numbers()
        for device_id, step_id in zip(self.device_ids, last, strict=True):
            name, tensor = gather_id(device_id), "sum over its vertices"
            self.steps.append(Transfer(name, device_id, self.owner_id, size_byte, tensor, "result", (step_id,)))
        deadline_s = None
        if self.deadline_s is not None:
            n = len(exchanges(self.network))
            deadline_s = self.deadline_s * (1 + n * (n + 1) / 2) + self._computing_s()
        work = tuple(layer_work(cost) for cost in readout(self.network, len(last)))
        inputs = (start_id, *(gather_id(device_id) for device_id in self.device_ids))
        missing: OnMissing = "wait" if deadline_s is None else "degrade"
        return Compute("read-out", self.owner_id, work, inputs, size_byte * (len(last) + 1), missing, deadline_s)

    def _computing_s(self) -> float:
        """Return how long the slowest device computes, all phases together."""
        total_s = dict.fromkeys(self.device_ids, 0.0)
        for step in self.steps:
            if isinstance(step, Compute) and step.device_id in total_s:
                profile = self.context.topology.device_of[step.device_id].profile
                total_s[step.device_id] += self.context.compute.duration_s(step, profile)
        return max(total_s.values())

    def _n_numbers(self) -> int:
        """Return the numbers of the states of one vertex in a layer, all reservoirs together."""
        return len(self.network.branches) * self.network.n_units

    def _weights(self) -> dict[str, int]:
        """Return the bytes of weights that stay on each device: all layers, and the scale of sums; the owner has the rest."""
        n_layers, n_rest = self.network.n_weights()
        return {**dict.fromkeys(self.device_ids, VALUE_BYTE * (n_layers + 1)), self.owner_id: VALUE_BYTE * n_rest}


def exchanges(network: ReservoirNetwork) -> tuple[tuple[int, int], ...]:
    """Return layer and number of all rounds before which states are exchanged, in order."""
    return tuple(
        (layer, number) for layer, iterations in enumerate(network.iterations) for number in range(1, iterations)
    )


@dataclass
class VertexDivision:
    """A network of reservoirs on graphs whose vertices are divided.

    Parameters
    ----------
    plan : the steps of one inference.
    owner_id, device_ids : who divides and reads out, and who computes.
    on_missing : as in the strategy.
    network : its reservoirs and the read-out.
    graphs : those of the test split, divided.
    """

    plan: Plan
    owner_id: str
    device_ids: tuple[str, ...]
    on_missing: str
    network: ReservoirNetwork
    graphs: DividedGraphs
    _answers: dict[frozenset[str], NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def kernels(self) -> Mapping[str, Kernel]:
        """Raise `PlanError`: messages are those of no graph, see `edgesim.interfaces.Bundled`."""
        raise PlanError(
            "vertices plans messages as large as those of the mean graph, so that no graph has just these to send; to execute a network of reservoirs, take reservoirs"
        )

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split: what a lost message should have brought stays as it was when the last one came.

        Raises
        ------
        PlanError
            When the input did not reach the owner or the answer did not reach the sink; and with ``wait`` when any transfer is
            missing, since somebody then waits for ever.
        """
        names = tuple(transfer.step_id for transfer in self.plan.transfers)
        ends = tuple(name for name in names if name in {INPUT_ID, ANSWER_ID})
        require_delivered(names if self.on_missing == "wait" else ends, delivery)
        lost = self._lost(delivery)
        if lost not in self._answers:
            while self._answers and (len(self._answers) + 1) * next(iter(self._answers.values())).nbytes > _KEPT_BYTE:
                del self._answers[next(iter(self._answers))]
            self._answers[lost] = self._run(lost)
        return self._answers[lost]

    def _lost(self, delivery: Delivery) -> frozenset[str]:
        """Return what did not come, with all that a device would have sent that did not get its vertices."""
        idle = {device_id for device_id in self.device_ids if not delivery.is_whole(scatter_id(device_id))}
        sent = (transfer.step_id for transfer in self.plan.transfers if transfer.src_id in idle)
        return delivery.incomplete.union(sent) if idle else delivery.incomplete

    def _run(self, lost: frozenset[str]) -> NDArray[np.float32]:
        import numpy as np

        n_devices = len(self.device_ids)

        def arrived(layer: int, number: int) -> NDArray[np.bool_]:
            came = np.ones((n_devices, n_devices), dtype=np.bool_)
            for src, src_id in enumerate(self.device_ids):
                for dst, dst_id in enumerate(self.device_ids):
                    came[src, dst] = exchange_id(layer, number, src_id, dst_id) not in lost
            return came

        counted = [place for place, device_id in enumerate(self.device_ids) if gather_id(device_id) not in lost]
        return self.graphs.answers(self.network, arrived, counted)

    def describe(self) -> dict[str, Any]:
        """Return vertices and edges that are cut, in the mean over graphs, rounds, and traffic by kind and weights by device, in byte."""
        traffic_byte: dict[str, int] = {"input": 0, "intermediate": 0, "result": 0}
        for transfer in self.plan.transfers:
            traffic_byte[transfer.kind] += transfer.size_byte
        sent = self.graphs.n_sent()
        return {
            "owner": self.owner_id,
            "on_missing": self.on_missing,
            "vertices": dict(zip(self.device_ids, self.graphs.n_own().tolist(), strict=True)),
            "cut_edges": self.graphs.n_cut_edges(),
            "states_sent_in_a_round": float(sent.sum()),
            "messages_in_a_round": int((sent > 0).sum()),
            "exchanges": len(exchanges(self.network)),
            "traffic_byte": traffic_byte,
            "weight_byte": dict(self.plan.weight_byte),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_answers": {}}
