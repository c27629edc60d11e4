"""A plan made ready for simulation: everything that does not change between replications, computed once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from edgesim.domain.plan import TRAFFIC_KINDS, Compute, Plan, Transfer
from edgesim.domain.system.topology import Device, Link, Topology
from edgesim.engine.program.ways import Channel, Hop, Line, Way, is_changing, line_of, way_of
from edgesim.errors import InfeasiblePlanError, PlanError
from edgesim.interfaces import ComputeModel

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Program:
    """A plan on a topology, by indices.

    Parameters
    ----------
    plan : the plan.
    device_ids : devices of the plan and of its routes; positions are the device indices used below.
    idle_w, busy_w, transmit_w, receive_w : power by device, in W.
    power_w : by device: idle power, and what computing, sending and receiving add to it, in W.
    n_channels : media and links that messages occupy.
    steps : the plan's steps; positions are the step indices used below.
    device : by step: index of the computing device, or -1 for a transfer.
    duration_s : by step: time of the computation, 0 for a transfer, in s.
    hops : by step: the links of a transfer, empty for a computation.
    transfer_index : by step: position among the plan's transfers, or -1.
    kind : by step: position of the transfer's kind in `TRAFFIC_KINDS`, or -1.
    n_inputs : by step: number of inputs, of which a group of alternatives is one.
    n_local : by step: number of inputs that are computations on the same device.
    users : by step: the steps that need it.
    only_user : by step: the step that needs it, or -1 when there are none or several. Numbers side by side: a large trial is slow
        for what it must fetch from memory.
    rivals : by step: the other steps of its group of alternatives, empty without one.
    alternatives : the steps with rivals.
    delivered : by step: 0 for a transfer, of which nothing has come, and 2 for a computation.
    answer : index of the step whose end is the answer.
    peak_memory_byte : by device id, in byte.
    devices : the devices, by index.
    channels : the channels, by index.
    medium_links : ids of the links that messages cross and that share a medium.
    ways : by step: how a transfer gets across, None for a computation.
    lines : by step: the only link of a transfer, where `Line` fits.
    changing : the links whose rate changes with time, each in one of the hops that cross it.
    first_steps : the steps without inputs.
    deadline_steps : the computations whose deadline counts from the release: they wait for messages only.
    """

    plan: Plan
    device_ids: tuple[str, ...]
    idle_w: tuple[float, ...]
    busy_w: tuple[float, ...]
    transmit_w: tuple[float, ...]
    receive_w: tuple[float, ...]
    power_w: tuple[tuple[float, float, float, float], ...]
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
    only_user: array[int]
    rivals: tuple[tuple[int, ...], ...]
    alternatives: frozenset[int]
    delivered: bytes
    answer: int
    peak_memory_byte: dict[str, int]
    devices: tuple[Device, ...]
    channels: tuple[Channel, ...]
    medium_links: tuple[str, ...]
    ways: tuple[Way | None, ...]
    lines: tuple[Line | None, ...]
    changing: tuple[Hop, ...]
    first_steps: tuple[int, ...]
    deadline_steps: tuple[int, ...]


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


class _Channels:
    """Gives each channel that is met an index."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.index: dict[str, int] = {}
        self.channels: list[Channel] = []

    def of(self, link: Link) -> int:
        """Return the index of the channel of a link."""
        name = f"medium {link.medium_id}" if link.medium_id else f"link {link.link_id}"
        index = self.index.setdefault(name, len(self.channels))
        if index == len(self.channels):
            if link.medium_id:
                medium = self.topology.medium_of[link.medium_id]
                channel = Channel(medium.medium_id, True, medium.sharing == "fair", medium.contention, medium.rate_at)
            else:
                channel = Channel(link.link_id, False, link.sharing == "fair")
            self.channels.append(channel)
        return index


def _rivals(plan: Plan, step_index: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """Return for each step the others of its group of alternatives."""
    found: list[tuple[int, ...]] = [()] * len(plan.steps)
    for step in plan.computes:
        for group in step.alternatives:
            for name in group:
                found[step_index[name]] = tuple(step_index[other] for other in group if other != name)
    return tuple(found)


def _shared(values: Iterable[_T]) -> tuple[_T, ...]:
    """Return values, equal ones as one object: a large trial is slow for what it must fetch from memory."""
    known: dict[_T, _T] = {}
    return tuple(known.setdefault(value, value) for value in values)


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
    devices = tuple(topology.device_of[device_id] for device_id in device_ids)
    profiles = [device.profile for device in devices]
    channels = _Channels(topology)
    medium_links: dict[str, int] = {}

    known: dict[float, float] = {}

    def hop(link: Link, size_byte: int) -> Hop:
        occupation_s = link.occupation_s(size_byte)
        return Hop(
            link, channels.of(link), device_index[link.src_id], device_index[link.dst_id],
            known.setdefault(occupation_s, occupation_s), link.wire_byte(size_byte), link.n_packets(size_byte),
            medium_links.setdefault(link.link_id, len(medium_links)) if link.medium_id else -1,
        )  # fmt: skip

    step_index = {step.step_id: index for index, step in enumerate(plan.steps)}
    users: list[list[int]] = [[] for _ in plan.steps]
    for index, step in enumerate(plan.steps):
        for name in step.inputs:
            users[step_index[name]].append(index)
    transfer_index = {transfer.step_id: index for index, transfer in enumerate(plan.transfers)}
    is_compute = [isinstance(step, Compute) for step in plan.steps]
    is_cut_through = topology.forwarding == "cut_through"
    made: dict[tuple[str, str, int], tuple[tuple[Hop, ...], Way]] = {}  # equal messages share them

    def crossing(transfer: Transfer) -> tuple[tuple[Hop, ...], Way]:
        key = (transfer.src_id, transfer.dst_id, transfer.size_byte)
        if key not in made:
            hops = tuple(hop(link, transfer.size_byte) for link in routes[transfer.step_id])
            made[key] = (hops, way_of(hops, channels.channels, is_cut_through=is_cut_through))
        return made[key]

    def changing() -> tuple[Hop, ...]:
        hops = (hop for hops, _ in made.values() for hop in hops)
        return tuple({hop.link.link_id: hop for hop in hops if is_changing(hop, channels.channels)}.values())

    crossings = [crossing(step) if isinstance(step, Transfer) else ((), None) for step in plan.steps]
    rivals = _rivals(plan, step_index)
    kinds = tuple(TRAFFIC_KINDS.index(step.kind) if isinstance(step, Transfer) else -1 for step in plan.steps)
    return Program(
        plan=plan,
        device_ids=device_ids,
        idle_w=tuple(profile.idle_w for profile in profiles),
        busy_w=tuple(profile.busy_w for profile in profiles),
        transmit_w=tuple(profile.transmit_w for profile in profiles),
        receive_w=tuple(profile.receive_w for profile in profiles),
        power_w=tuple(
            (one.idle_w, one.busy_w - one.idle_w, one.transmit_w - one.idle_w, one.receive_w - one.idle_w)
            for one in profiles
        ),
        steps=plan.steps,
        device=tuple(device_index[step.device_id] if isinstance(step, Compute) else -1 for step in plan.steps),
        duration_s=_shared(
            compute.duration_s(step, topology.device_of[step.device_id].profile) if isinstance(step, Compute) else 0.0
            for step in plan.steps
        ),
        hops=tuple(hops for hops, _ in crossings),
        n_channels=len(channels.channels),
        transfer_index=tuple(transfer_index.get(step.step_id, -1) for step in plan.steps),
        kind=kinds,
        n_inputs=tuple(
            len(step.inputs) - (sum(len(group) - 1 for group in step.alternatives) if isinstance(step, Compute) else 0)
            for step in plan.steps
        ),
        n_local=tuple(sum(is_compute[step_index[name]] for name in step.inputs) for step in plan.steps),
        users=tuple(tuple(indices) for indices in users),
        only_user=array("q", (indices[0] if len(indices) == 1 else -1 for indices in users)),
        rivals=rivals,
        alternatives=frozenset(index for index, others in enumerate(rivals) if others),
        delivered=bytes(2 * is_one for is_one in is_compute),
        answer=step_index[plan.answer_id],
        peak_memory_byte=peak_memory_byte,
        devices=devices,
        channels=tuple(channels.channels),
        medium_links=tuple(medium_links),
        first_steps=tuple(index for index, step in enumerate(plan.steps) if not step.inputs),
        deadline_steps=tuple(
            index for index, step in enumerate(plan.steps)
            if isinstance(step, Compute) and step.deadline_s is not None
            and step.inputs and not any(is_compute[step_index[name]] for name in step.inputs)
        ),
        ways=tuple(way for _, way in crossings),
        changing=changing(),
        lines=_shared(
            line_of(way, kinds[index], channels.channels) if way is not None else None
            for index, (_, way) in enumerate(crossings)
        ),
    )  # fmt: skip
