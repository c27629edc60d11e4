"""Layer partitioning after MoDNN: every layer cut over workers, through one owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from edgesim.domain.plan import Compute, Plan, Step, Transfer
from edgesim.domain.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.ends import ANSWER_ID, INPUT_ID, answer_steps, input_transfers, known_device, require_delivered
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext
    from edgesim.nn.stages import Segment, Stage, StagedNetwork
    from edgesim.nn.strips import SlicedNetwork


@dataclass(frozen=True, slots=True)
class MoDNN:
    """Cut every layer over workers; an owner scatters its input and gathers its output (MapReduce).

    Each convolution, with the normalisation and activation behind it, is cut along the longer spatial axis of its output
    (height on ties) into strips, one per device, with heights proportional to how fast the device computes that layer
    (largest remainder; a device may get none). A worker gets the input rows that its strip reads, those of the halo
    included. Linear layers are cut by output: a worker gets the whole input vector and returns its slice. Everything else
    (pooling, additions, flattening, what cannot be cut) runs on the owner. All bytes follow from the shapes of the tensors.

    With `on_missing` ``wait`` the owner waits for every slice, for ever when one is lost. With ``degrade`` it goes on at
    the step's deadline: rows of a slice that was lost, on the way there or back, are zero behind the activation, in that
    layer only. There is never an answer without the input at the owner and the logits at the sink.

    Parameters
    ----------
    owner : id of the device that scatters and gathers.
    workers : glob pattern of the ids of the devices that compute; the owner is no worker.
    owner_computes : whether the owner computes a share too.
    on_missing : what the owner does when a slice does not come.
    step_deadline_s : how long the owner waits for the slices of one layer, counted from when it could send their input and
        has computed its own, in s; needed with ``degrade``, and not used with ``wait``.

    References
    ----------
    J. Mao, X. Chen, K. W. Nixon, C. Krieger, Y. Chen, MoDNN: Local Distributed Mobile Computing System for Deep Neural
    Network, DATE 2017, doi 10.23919/DATE.2017.7927211 (one-dimensional partition, group owner). Assumed: the owner runs
    what is not cut, linear layers are dense, lost slices are zeros.
    """

    owner: DeviceId
    workers: DeviceGlob = "*"
    owner_computes: bool = False
    on_missing: Literal["wait", "degrade"] = "wait"
    step_deadline_s: Seconds | None = None

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when no worker matches, or ``degrade`` has no deadline."""
        if self.on_missing == "degrade" and self.step_deadline_s is None:
            raise PlanError("modnn: on_missing 'degrade' needs step_deadline, how long the owner waits for one layer")
        if not self._worker_ids(topology):
            raise PlanError(
                f"modnn.workers: {self.workers!r} matches no device but the owner; name at least one worker"
            )

    def _worker_ids(self, topology: Topology) -> list[str]:
        ids = [device.device_id for device in topology.devices]
        return [name for name in ids if fnmatchcase(name, self.workers) and name != self.owner]

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When the owner or the workers are not in the topology, the deadline is missing, or the network has nothing to cut.
        DataError
            When the network cannot be traced.
        """
        from edgesim.nn.stages import staged

        owner_id = known_device(context, "modnn.owner", self.owner)
        self.check(context.topology)
        device_ids = self._worker_ids(context.topology)
        if self.owner_computes:
            device_ids.insert(0, owner_id)
        network = staged(context.network, context.dataset.input_shape)
        if not network.stages:
            raise PlanError(
                "modnn: the network has no convolution or linear layer that can be cut; use strategy 'single'"
            )
        shares = [stage_shares(context, stage, device_ids) for stage in network.stages]
        plan = _PlanWriter(self, context, network, shares).write()
        return LayerPartition(plan, owner_id, self.on_missing, network, shares, context.dataset.test.inputs)


Shares = dict[str, range]
"""The rows of one stage that each device computes; devices without rows are not named."""


def apportion(n_rows: int, speeds: Sequence[float]) -> list[int]:
    """Deal out rows in proportion to speeds by largest remainder; ties go to the first.

    >>> apportion(8, [1.0, 1.0, 2.0])
    [2, 2, 4]
    >>> apportion(7, [1.0, 1.0])
    [4, 3]
    """
    quotas = [n_rows * speed / sum(speeds) for speed in speeds]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(speeds)), key=lambda index: (counts[index] - quotas[index], index))
    for index in by_remainder[: n_rows - sum(counts)]:
        counts[index] += 1
    return counts


def stage_shares(context: DeploymentContext, stage: Stage, device_ids: Sequence[str]) -> Shares:
    """Cut a stage into one range of rows per device, in proportion to one over its time for the whole stage."""
    work = stage.work(range(stage.n_rows))
    times_s = [
        context.compute.duration_s(Compute(stage.name, device_id, work), context.topology.device_of[device_id].profile)
        for device_id in device_ids
    ]
    fastest_s = min(times_s)
    speeds = [fastest_s / time_s if time_s > 0 else 1.0 for time_s in times_s]
    shares: Shares = {}
    start = 0
    for device_id, n_rows in zip(device_ids, apportion(stage.n_rows, speeds), strict=True):
        if n_rows:
            shares[device_id] = range(start, start + n_rows)
        start += n_rows
    return shares


def scatter_id(stage: Stage, device_id: str) -> str:
    """Return the id of the transfer of a slice's input."""
    return f"{stage.name}/scatter/{device_id}"


def gather_id(stage: Stage, device_id: str) -> str:
    """Return the id of the transfer of a slice."""
    return f"{stage.name}/gather/{device_id}"


class _PlanWriter:
    """Writes the plan of a layer partition, stage by stage."""

    def __init__(
        self, options: MoDNN, context: DeploymentContext, network: StagedNetwork, shares: Sequence[Shares]
    ) -> None:
        self.options = options
        self.context = context
        self.network = network
        self.shares = shares
        self.steps: list[Step] = []
        self.weights: dict[str, dict[str, int]] = {options.owner: {}}

    def write(self) -> Plan:
        """Return the plan."""
        transfers = input_transfers(self.context, self.options.owner, self.network.input_byte)
        self.steps.extend(transfers)
        first = self.network.segments[0]
        last = self._join("start", first, [transfer.step_id for transfer in transfers], is_waiting=True)
        n_stages = len(self.network.stages)
        for index, (stage, shares) in enumerate(zip(self.network.stages, self.shares, strict=True)):
            gathered = [
                self._slice(stage, device_id, rows, last.step_id, is_first=index == 0, is_last=index == n_stages - 1)
                for device_id, rows in shares.items()
            ]
            segment = self.network.segments[index + 1]
            last = self._join(f"{stage.name}/join", segment, [last.step_id, *gathered], is_waiting=False)
        self.steps.extend(answer_steps(self.context, last, self.network.output_byte))
        weight_byte = {device_id: sum(sizes.values()) for device_id, sizes in self.weights.items()}
        return Plan(tuple(self.steps), self.steps[-1].step_id, weight_byte)

    def _slice(
        self, stage: Stage, device_id: str, rows: range, before_id: str, *, is_first: bool, is_last: bool
    ) -> str:
        """Add the steps of one slice and return the id of the one that brings it to the owner."""
        owner_id = self.options.owner
        self.weights.setdefault(device_id, {}).update(stage.weights_of(rows))
        is_own = device_id == owner_id
        reads = stage.input_rows(rows)
        scatter = Transfer(
            scatter_id(stage, device_id), owner_id, device_id, stage.input_byte(rows),
            f"input of {stage.name}, rows {reads.start}:{reads.stop}", "input" if is_first else "intermediate", (before_id,),
        ) if not is_own else None  # fmt: skip
        compute = Compute(
            f"{stage.name}/compute/{device_id}",
            device_id,
            stage.work(rows),
            (before_id if scatter is None else scatter.step_id,),
            stage.activation_byte(rows),
        )
        if scatter is None:
            self.steps.append(compute)
            return compute.step_id
        gather = Transfer(
            gather_id(stage, device_id), device_id, owner_id, stage.output_byte(rows),
            f"output of {stage.name}, rows {rows.start}:{rows.stop}", "result" if is_last else "intermediate",
            (compute.step_id,),
        )  # fmt: skip
        self.steps.extend((scatter, compute, gather))
        return gather.step_id

    def _join(self, step_id: str, segment: Segment, inputs: Sequence[str], *, is_waiting: bool) -> Compute:
        """Add what the owner does between two stages; without deadline when nothing can stand in for its inputs."""
        from edgesim.nn.cost import layer_work

        for name, size_byte in segment.weights.items():
            self.weights[self.options.owner][name] = size_byte
        is_degrading = self.options.on_missing == "degrade" and not is_waiting
        join = Compute(
            step_id,
            self.options.owner,
            tuple(layer_work(layer) for layer in segment.layers),
            tuple(inputs),
            segment.activation_byte,
            "degrade" if is_degrading else "wait",
            self.options.step_deadline_s if is_degrading else None,
        )
        self.steps.append(join)
        return join


_KEPT_BYTE = 2**26  # answers kept by pattern; a study meets the same patterns again and again


@dataclass
class LayerPartition:
    """A network whose layers are cut over devices.

    Parameters
    ----------
    plan : the steps of one inference.
    owner_id : the device that scatters and gathers.
    on_missing : as in the strategy.
    network : the network in stages; holds the weights.
    shares : rows by device, for each stage.
    inputs : the test split, shape (n, channels, height, width).
    """

    plan: Plan
    owner_id: str
    on_missing: str
    network: StagedNetwork
    shares: list[Shares]
    inputs: NDArray[np.float32]
    _runner: SlicedNetwork | None = field(default=None, repr=False)
    _answers: dict[tuple[frozenset[int], ...], NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def predict(self, delivered: frozenset[str]) -> NDArray[np.float32]:
        """Return the logits of the test split when exactly these transfers arrived, by running the cut network.

        A slice is lost when its input or its result is not in `delivered`, or both; its rows are then zero in that layer.

        Raises
        ------
        PlanError
            When the input did not reach the owner or the logits did not reach the sink; and with ``wait`` when any transfer
            is missing, since the owner then waits for ever.
        """
        transfer_ids = tuple(transfer.step_id for transfer in self.plan.transfers)
        ends = tuple(name for name in transfer_ids if name in {INPUT_ID, ANSWER_ID})
        require_delivered(transfer_ids if self.on_missing == "wait" else ends, delivered)
        lost = tuple(
            frozenset(
                position
                for position, device_id in enumerate(shares)
                if device_id != self.owner_id
                and not {scatter_id(stage, device_id), gather_id(stage, device_id)} <= delivered
            )
            for stage, shares in zip(self.network.stages, self.shares, strict=True)
        )
        answer = self._answers.get(lost)
        if answer is None:
            answer = self._run(lost)
            while self._answers and (len(self._answers) + 1) * answer.nbytes > _KEPT_BYTE:
                del self._answers[next(iter(self._answers))]
            self._answers[lost] = answer
        return answer

    def _run(self, lost: tuple[frozenset[int], ...]) -> NDArray[np.float32]:
        if self._runner is None:
            from edgesim.nn.strips import SlicedNetwork

            self._runner = SlicedNetwork(self.network, [tuple(shares.values()) for shares in self.shares], self.inputs)
        return self._runner.logits(lost)

    def describe(self) -> dict[str, Any]:
        """Return rows by layer and device, the layers that the owner runs, traffic by kind and weights by device, in byte."""
        traffic_byte: dict[str, int] = {"input": 0, "intermediate": 0, "result": 0}
        for transfer in self.plan.transfers:
            traffic_byte[transfer.kind] += transfer.size_byte
        return {
            "owner": self.owner_id,
            "on_missing": self.on_missing,
            "rows": {
                stage.name: {device_id: len(rows) for device_id, rows in shares.items()}
                for stage, shares in zip(self.network.stages, self.shares, strict=True)
            },
            "layers_of_owner": [layer.layer_id for segment in self.network.segments for layer in segment.layers],
            "traffic_byte": traffic_byte,
            "weight_byte": dict(self.plan.weight_byte),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runner": None, "_answers": {}}
