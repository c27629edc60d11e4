"""A plan made ready for simulation: everything that does not change between replications, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from edgesim.domain.plan import TRAFFIC_KINDS, Compute, Plan, Transfer
from edgesim.domain.topology import Device, Link, Topology
from edgesim.errors import InfeasiblePlanError, PlanError
from edgesim.interfaces import ComputeModel, EndToEndTransport


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

    def time_s(self, share: float) -> float:
        """Return the time on the channel when `share` of the packets are sent, in s; more than 1 with repetitions."""
        if share == 1.0:
            return self.occupation_s
        overhead_s = self.link.message_overhead_s
        return overhead_s + (self.occupation_s - overhead_s) * share

    @property
    def packet_s(self) -> float:
        """Time of one packet on the channel, in s."""
        return 8.0 * self.wire_byte / self.n_packets / self.link.bandwidth_bit_per_s


@dataclass(frozen=True, slots=True)
class Stage:
    """What a message occupies at once: one `fifo` channel, or the `fair` channels of several hops.

    Parameters
    ----------
    hops : the links.
    is_fair : whether its channels are shared by rates.
    forwards_packets : whether the next stage may begin when the first packet has arrived (cut-through).
    first_hop : position of its first hop on the route.
    usage : for a fair stage: channel -> time of the channel per bit, when all packets cross once, in s/bit.
    amount_bit : for a fair stage: bits by which its rate is counted.
    latency_s : over all hops, in s.
    """

    hops: tuple[Hop, ...]
    is_fair: bool
    forwards_packets: bool
    first_hop: int
    usage: Mapping[int, float]
    amount_bit: float
    latency_s: float


@dataclass(frozen=True, slots=True)
class Way:
    """How a message gets from one device to another.

    Parameters
    ----------
    stages : what it occupies, in order.
    n_packets : packets of the message on its first link.
    transport : the end-to-end transport of the first link, or None.
    round_trip_s : twice the latency of all hops, in s.
    packet_s : time of one packet over all hops, without latency, in s.
    """

    stages: tuple[Stage, ...]
    n_packets: int
    transport: EndToEndTransport | None
    round_trip_s: float
    packet_s: float


@dataclass(frozen=True, slots=True)
class Channel:
    """A link with a channel of its own, or a medium; `contention` as of `edgesim.domain.topology.Medium`."""

    channel_id: str
    is_medium: bool
    is_fair: bool
    contention: float = 0.0


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
    n_inputs : by step: number of inputs, of which a group of alternatives is one.
    n_local : by step: number of inputs that are computations on the same device.
    users : by step: the steps that need it.
    rivals : by step: the other steps of its group of alternatives, empty without one.
    answer : index of the step whose end is the answer.
    peak_memory_byte : by device id, in byte.
    devices : the devices, by index.
    channels : the channels, by index.
    links : the links that messages cross, each with the index of its channel.
    ways : by step: how a transfer gets across, None for a computation.
    first_steps : the steps without inputs.
    deadline_steps : the computations whose deadline counts from the release: they wait for messages only.
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
    rivals: tuple[tuple[int, ...], ...]
    answer: int
    peak_memory_byte: dict[str, int]
    devices: tuple[Device, ...]
    channels: tuple[Channel, ...]
    links: tuple[tuple[str, int], ...]
    ways: tuple[Way | None, ...]
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
                channel = Channel(medium.medium_id, True, medium.sharing == "fair", medium.contention)
            else:
                channel = Channel(link.link_id, False, link.sharing == "fair")
            self.channels.append(channel)
        return index


def _stages(hops: tuple[Hop, ...], channels: list[Channel], *, is_cut_through: bool) -> tuple[Stage, ...]:
    """Divide a route: each `fifo` hop is a stage, and so is each run of `fair` hops."""
    runs: list[tuple[bool, tuple[Hop, ...]]] = []
    for is_fair, group in groupby(hops, key=lambda hop: channels[hop.channel].is_fair):
        members = tuple(group)
        runs += [(True, members)] if is_fair else [(False, (hop,)) for hop in members]
    stages: list[Stage] = []
    n_hops = 0
    for position, (is_fair, members) in enumerate(runs):
        amount_bit = max(1.0, 8.0 * members[0].wire_byte)
        usage = usage_per_bit(members, amount_bit) if is_fair else {}
        has_fifo_next = position + 1 < len(runs) and not runs[position + 1][0]
        forwards_packets = is_cut_through and not is_fair and has_fifo_next
        latency_s = sum(hop.link.latency_s for hop in members)
        stages.append(Stage(members, is_fair, forwards_packets, n_hops, usage, amount_bit, latency_s))
        n_hops += len(members)
    return tuple(stages)


def usage_per_bit(hops: Sequence[Hop], amount_bit: float, shares: Sequence[float] = ()) -> dict[int, float]:
    """Return the time of each channel that a message takes per bit of its rate, in s/bit.

    Parameters
    ----------
    hops : the links that it crosses at once.
    amount_bit : bits by which its rate is counted.
    shares : by hop: packets sent on it / packets of the message; 1 when left out.
    """
    usage: dict[int, float] = {}
    for position, hop in enumerate(hops):
        time_s = hop.time_s(shares[position] if shares else 1.0)
        if time_s > 0.0:
            usage[hop.channel] = usage.get(hop.channel, 0.0) + time_s / amount_bit
    return usage


def _way(hops: tuple[Hop, ...], channels: list[Channel], *, is_cut_through: bool) -> Way:
    """Return how a message crosses its hops."""
    transport = hops[0].link.transport
    return Way(
        stages=_stages(hops, channels, is_cut_through=is_cut_through),
        n_packets=hops[0].n_packets,
        transport=cast("EndToEndTransport", transport) if hasattr(transport, "bursts") else None,
        round_trip_s=2 * sum(hop.link.latency_s for hop in hops),
        packet_s=sum(hop.packet_s for hop in hops),
    )


def _rivals(plan: Plan, step_index: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """Return for each step the others of its group of alternatives."""
    found: list[tuple[int, ...]] = [()] * len(plan.steps)
    for step in plan.computes:
        for group in step.alternatives:
            for name in group:
                found[step_index[name]] = tuple(step_index[other] for other in group if other != name)
    return tuple(found)


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

    def hop(link: Link, size_byte: int) -> Hop:
        return Hop(
            link, channels.of(link), device_index[link.src_id], device_index[link.dst_id],
            link.occupation_s(size_byte), link.wire_byte(size_byte), link.n_packets(size_byte),
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
            made[key] = (hops, _way(hops, channels.channels, is_cut_through=is_cut_through))
        return made[key]

    crossings = [crossing(step) if isinstance(step, Transfer) else ((), None) for step in plan.steps]
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
        hops=tuple(hops for hops, _ in crossings),
        n_channels=len(channels.channels),
        transfer_index=tuple(transfer_index.get(step.step_id, -1) for step in plan.steps),
        kind=tuple(TRAFFIC_KINDS.index(step.kind) if isinstance(step, Transfer) else -1 for step in plan.steps),
        n_inputs=tuple(
            len(step.inputs) - (sum(len(group) - 1 for group in step.alternatives) if isinstance(step, Compute) else 0)
            for step in plan.steps
        ),
        n_local=tuple(sum(is_compute[step_index[name]] for name in step.inputs) for step in plan.steps),
        users=tuple(tuple(indices) for indices in users),
        rivals=_rivals(plan, step_index),
        answer=step_index[plan.answer_id],
        peak_memory_byte=peak_memory_byte,
        devices=devices,
        channels=tuple(channels.channels),
        links=tuple({hop.link.link_id: hop.channel for hops, _ in crossings for hop in hops}.items()),
        first_steps=tuple(index for index, step in enumerate(plan.steps) if not step.inputs),
        deadline_steps=tuple(
            index for index, step in enumerate(plan.steps)
            if isinstance(step, Compute) and step.deadline_s is not None
            and step.inputs and not any(is_compute[step_index[name]] for name in step.inputs)
        ),
        ways=tuple(way for _, way in crossings),
    )  # fmt: skip
