"""A plan made ready for simulation: everything that does not change between replications, computed once."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.domain.plan import TRAFFIC_KINDS, Compute, Plan, Transfer
from edgesim.domain.topology import Link, Topology
from edgesim.errors import InfeasiblePlanError, PlanError
from edgesim.interfaces import ComputeModel


@dataclass(frozen=True, slots=True)
class Hop:
    """One link on the way of a message: which channel it occupies, for how long, and what it costs.

    Parameters
    ----------
    link : the link.
    channel : index of the channel that the message occupies: the link's medium, or the link itself.
    src, dst : indices of the devices at its ends.
    occupation_s : time on the channel, in s.
    wire_byte : bytes on the link, headers included.
    n_packets : packets of the message.
    """

    link: Link
    channel: int
    src: int
    dst: int
    occupation_s: float
    wire_byte: int
    n_packets: int


@dataclass(frozen=True, slots=True)
class Program:
    """A plan on a topology, by indices.

    Parameters
    ----------
    plan : the plan.
    device_ids : devices of the plan and of its routes; positions are the device indices used below.
    idle_w, busy_w, transmit_w, receive_w : power by device, in W.
    n_channels : media and links that messages occupy.
    steps : the plan's steps; positions are the step indices used below.
    device : by step: index of the computing device, or -1 for a transfer.
    duration_s : by step: time of the computation, 0 for a transfer, in s.
    hops : by step: the links of a transfer, empty for a computation.
    transfer_index : by step: position among the plan's transfers, or -1.
    kind : by step: position of the transfer's kind in `TRAFFIC_KINDS`, or -1.
    n_inputs : by step: number of inputs.
    n_local : by step: number of inputs that are computations on the same device.
    users : by step: the steps that need it.
    answer : index of the step whose end is the answer.
    peak_memory_byte : by device id, in byte.
    """

    plan: Plan
    device_ids: tuple[str, ...]
    idle_w: tuple[float, ...]
    busy_w: tuple[float, ...]
    transmit_w: tuple[float, ...]
    receive_w: tuple[float, ...]
    n_channels: int
    steps: tuple[Compute | Transfer, ...]
    device: tuple[int, ...]
    duration_s: tuple[float, ...]
    hops: tuple[tuple[Hop, ...], ...]
    transfer_index: tuple[int, ...]
    kind: tuple[int, ...]
    n_inputs: tuple[int, ...]
    n_local: tuple[int, ...]
    users: tuple[tuple[int, ...], ...]
    answer: int
    peak_memory_byte: dict[str, int]


def check_memory(plan: Plan, topology: Topology) -> dict[str, int]:
    """Return the peak memory of each device, in byte.

    Raises
    ------
    InfeasiblePlanError
        When a device has less; it names the device, the bytes needed and the bytes there.
    """
    peak_memory_byte = plan.peak_memory_byte()
    for device_id, needed_byte in peak_memory_byte.items():
        available_byte = topology.device_of[device_id].profile.memory_byte
        if needed_byte > available_byte:
            raise InfeasiblePlanError(device_id, needed_byte, available_byte)
    return peak_memory_byte


def compile_plan(plan: Plan, topology: Topology, compute: ComputeModel) -> Program:
    """Make a plan ready for simulation.

    Raises
    ------
    InfeasiblePlanError
        When a device lacks the memory.
    PlanError
        When the plan names a device that is not in the topology, or no route exists.
    """
    missing = [device_id for device_id in plan.device_ids if device_id not in topology.device_of]
    if missing:
        raise PlanError(f"the plan uses device {missing[0]!r}, which is not in the topology")
    peak_memory_byte = check_memory(plan, topology)
    routes = {transfer.step_id: topology.route(transfer.src_id, transfer.dst_id) for transfer in plan.transfers}
    on_routes = {end for route in routes.values() for link in route for end in (link.src_id, link.dst_id)}
    device_ids = tuple(sorted(on_routes | set(plan.device_ids)))
    device_index = {device_id: index for index, device_id in enumerate(device_ids)}
    profiles = [topology.device_of[device_id].profile for device_id in device_ids]
    channels: dict[str, int] = {}

    def hop(link: Link, size_byte: int) -> Hop:
        channel = channels.setdefault(
            f"medium {link.medium_id}" if link.medium_id else f"link {link.link_id}", len(channels)
        )
        return Hop(
            link, channel, device_index[link.src_id], device_index[link.dst_id],
            link.occupation_s(size_byte), link.wire_byte(size_byte), link.n_packets(size_byte),
        )  # fmt: skip

    step_index = {step.step_id: index for index, step in enumerate(plan.steps)}
    users: list[list[int]] = [[] for _ in plan.steps]
    for index, step in enumerate(plan.steps):
        for name in step.inputs:
            users[step_index[name]].append(index)
    transfer_index = {transfer.step_id: index for index, transfer in enumerate(plan.transfers)}
    is_compute = [isinstance(step, Compute) for step in plan.steps]
    return Program(
        plan=plan,
        device_ids=device_ids,
        idle_w=tuple(profile.idle_w for profile in profiles),
        busy_w=tuple(profile.busy_w for profile in profiles),
        transmit_w=tuple(profile.transmit_w for profile in profiles),
        receive_w=tuple(profile.receive_w for profile in profiles),
        steps=plan.steps,
        device=tuple(device_index[step.device_id] if isinstance(step, Compute) else -1 for step in plan.steps),
        duration_s=tuple(
            compute.duration_s(step, topology.device_of[step.device_id].profile) if isinstance(step, Compute) else 0.0
            for step in plan.steps
        ),
        hops=tuple(
            tuple(hop(link, step.size_byte) for link in routes[step.step_id]) if isinstance(step, Transfer) else ()
            for step in plan.steps
        ),
        n_channels=len(channels),
        transfer_index=tuple(transfer_index.get(step.step_id, -1) for step in plan.steps),
        kind=tuple(TRAFFIC_KINDS.index(step.kind) if isinstance(step, Transfer) else -1 for step in plan.steps),
        n_inputs=tuple(len(step.inputs) for step in plan.steps),
        n_local=tuple(sum(is_compute[step_index[name]] for name in step.inputs) for step in plan.steps),
        users=tuple(tuple(indices) for indices in users),
        answer=step_index[plan.answer_id],
        peak_memory_byte=peak_memory_byte,
    )  # fmt: skip
