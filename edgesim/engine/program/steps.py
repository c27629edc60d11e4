"""The table of steps of a program."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgesim.domain.plan import TRAFFIC_KINDS, Compute, Plan, Transfer
from edgesim.domain.system.topology import HostOverhead, Topology
from edgesim.engine.program.channels import Crossings
from edgesim.engine.program.spans import is_computed
from edgesim.engine.program.ways import Hop, Line, Way, line_of
from edgesim.interfaces import ComputeModel

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class HostCost:
    """For how long a message occupies the devices at its ends, and which these are; one message of the program."""

    src: int
    dst: int
    size_byte: int
    sender: HostOverhead
    receiver: HostOverhead

    @property
    def sending_s(self) -> float:
        """Time of the sender, in s."""
        return self.sender.time_s(self.size_byte)

    def receiving_s(self, share: float) -> float:
        """Return the time of the receiver, to which a share of the message came, in s."""
        return self.receiver.time_s(self.size_byte * share)


@dataclass(frozen=True, slots=True)
class StepTable:
    """The steps of a plan, in its order; positions are the step indices of a program.

    Parameters
    ----------
    step : the steps.
    device : index of the computing device, or -1 for a transfer.
    duration_s : time of the computation, 0 for a transfer, in s.
    hops : the links of a transfer, empty for a computation.
    ways : how a transfer gets across, None for a computation.
    lines : the only link of a transfer, where `Line` fits.
    transfer_index : position among the plan's transfers, or -1.
    kind : position of the transfer's kind in `TRAFFIC_KINDS`, or -1.
    n_inputs : number of inputs, of which a group of alternatives is as many as are enough, and 1 more where a pool lets it begin.
    n_local : number of inputs that are computations on the same device, but for copies of a pool.
    users : the steps that need it, messages before computations.
    only_user : the step that needs it, where its end means nothing else; -1 when there are none or several, and for alternatives and answers.
        Numbers side by side: a large trial is slow for what it must fetch from memory.
    no_user : -1 for each step.
    rivals : the other steps of its group of alternatives, empty without one.
    n_enough : how many of its group of alternatives are enough; 0 without one.
    alternatives : the steps with rivals.
    host_costs : of the messages that occupy the devices at their ends.
    pooled : the last steps of the copies of pools.
    """

    step: tuple[Compute | Transfer, ...]
    device: tuple[int, ...]
    duration_s: tuple[float, ...]
    hops: tuple[tuple[Hop, ...], ...]
    ways: tuple[Way | None, ...]
    lines: tuple[Line | None, ...]
    transfer_index: tuple[int, ...]
    kind: tuple[int, ...]
    n_inputs: tuple[int, ...]
    n_local: tuple[int, ...]
    users: tuple[tuple[int, ...], ...]
    only_user: array[int]
    no_user: array[int]
    rivals: tuple[tuple[int, ...], ...]
    n_enough: tuple[int, ...]
    alternatives: frozenset[int]
    host_costs: Mapping[int, HostCost]
    pooled: frozenset[int]


def step_table(
    plan: Plan,
    topology: Topology,
    compute: ComputeModel,
    device_index: Mapping[str, int],
    crossings: Crossings,
    *,
    answers: frozenset[int],
) -> StepTable:
    """Return the steps of a plan, given the index of each device, how messages get across, and which steps are answers."""
    index = {step.step_id: position for position, step in enumerate(plan.steps)}
    transfer_index = {transfer.step_id: position for position, transfer in enumerate(plan.transfers)}
    users, rivals = _users(plan, index), _rivals(plan, index)
    crossed = [crossings.of(step) if isinstance(step, Transfer) else ((), None) for step in plan.steps]
    kinds = tuple(_kind(step) for step in plan.steps)
    pooled = frozenset(index[row[-1]] for pool in plan.pools for copies in pool.tasks for row in copies)
    n_local = tuple(_n_local(step, plan, index, pooled) for step in plan.steps)
    ways = tuple(way for _, way in crossed)
    return StepTable(
        step=plan.steps,
        device=tuple(_device(step, device_index) for step in plan.steps),
        duration_s=_shared(_duration_s(step, topology, compute) for step in plan.steps),
        hops=tuple(hops for hops, _ in crossed),
        ways=ways,
        lines=_lines(ways, kinds, crossings),
        transfer_index=tuple(transfer_index.get(step.step_id, -1) for step in plan.steps),
        kind=kinds,
        n_inputs=tuple(_n_inputs(step) + (step.step_id in plan.held) for step in plan.steps),
        n_local=n_local,
        users=users,
        only_user=_only_user(users, rivals, answers),
        no_user=array("q", (-1,)) * len(users),
        rivals=rivals,
        n_enough=_n_enough(plan, index),
        alternatives=frozenset(position for position, others in enumerate(rivals) if others),
        host_costs=_host_costs(plan, topology, device_index),
        pooled=pooled,
    )


def _users(plan: Plan, index: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """Return for each step those that need it."""
    users: list[list[int]] = [[] for _ in plan.steps]
    for step in sorted(plan.steps, key=is_computed):
        for name in step.inputs:
            users[index[name]].append(index[step.step_id])
    return tuple(tuple(some) for some in users)


def _only_user(users: Sequence[Sequence[int]], rivals: Sequence[Sequence[int]], answers: frozenset[int]) -> array[int]:
    """Return for each step the one that needs it, where its end means nothing else."""
    is_plain = [len(some) == 1 and not rivals[index] and index not in answers for index, some in enumerate(users)]
    return array("q", (some[0] if plain else -1 for some, plain in zip(users, is_plain, strict=True)))


def _host_costs(plan: Plan, topology: Topology, device_index: Mapping[str, int]) -> dict[int, HostCost]:
    """Return what messages cost the devices at their ends, by step, where that is something."""
    costs = {
        position: HostCost(
            device_index[step.src_id], device_index[step.dst_id], step.size_byte,
            topology.device_of[step.src_id].host_overhead, topology.device_of[step.dst_id].host_overhead,
        )
        for position, step in enumerate(plan.steps)
        if isinstance(step, Transfer)
    }  # fmt: skip
    return {position: cost for position, cost in costs.items() if cost.sending_s > 0.0 or cost.receiving_s(1.0) > 0.0}


def _rivals(plan: Plan, index: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """Return for each step the others of its group of alternatives."""
    found: list[tuple[int, ...]] = [()] * len(plan.steps)
    for step in plan.computes:
        for group in step.alternatives:
            for name in group:
                found[index[name]] = tuple(index[other] for other in group if other != name)
    return tuple(found)


def _n_enough(plan: Plan, index: Mapping[str, int]) -> tuple[int, ...]:
    """Return for each step how many of its group of alternatives are enough; 0 without one."""
    found = [0] * len(plan.steps)
    for step in plan.computes:
        for name in (name for group in step.alternatives for name in group):
            found[index[name]] = step.n_enough
    return tuple(found)


def _duration_s(step: Compute | Transfer, topology: Topology, compute: ComputeModel) -> float:
    if isinstance(step, Transfer):
        return 0.0
    device = topology.device_of[step.device_id]
    return max(compute.duration_s(step, device.profile), device.host_overhead.least_computation_s)


def _device(step: Compute | Transfer, device_index: Mapping[str, int]) -> int:
    return device_index[step.device_id] if isinstance(step, Compute) else -1


def _kind(step: Compute | Transfer) -> int:
    return TRAFFIC_KINDS.index(step.kind) if isinstance(step, Transfer) else -1


def _n_local(step: Compute | Transfer, plan: Plan, index: Mapping[str, int], pooled: frozenset[int]) -> int:
    return sum(isinstance(plan.steps[index[name]], Compute) and index[name] not in pooled for name in step.inputs)


def _n_inputs(step: Compute | Transfer) -> int:
    if isinstance(step, Transfer):
        return len(step.inputs)
    return len(step.inputs) - sum(len(group) - step.n_enough for group in step.alternatives)


def _lines(ways: Sequence[Way | None], kinds: Sequence[int], crossings: Crossings) -> tuple[Line | None, ...]:
    found: dict[tuple[int, int], Line | None] = {}  # equal messages share their way, and so their line
    for way, kind in zip(ways, kinds, strict=True):
        if way is not None and (id(way), kind) not in found:
            found[id(way), kind] = line_of(way, kind, crossings.channels)
    return tuple(found.get((id(way), kind)) for way, kind in zip(ways, kinds, strict=True))


def _shared(values: Iterable[_T]) -> tuple[_T, ...]:
    """Return values, equal ones as one object: a large trial is slow for what it must fetch from memory."""
    known: dict[_T, _T] = {}
    return tuple(known.setdefault(value, value) for value in values)
