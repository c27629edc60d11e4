"""When one request is answered that is alone in the system, and what energy it costs; nothing fails."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute, Plan, Step
from edgesim.domain.system.devices import HostOverhead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.system.topology import DeviceProfile, Link, Topology
    from edgesim.interfaces import ComputeModel


@dataclass(frozen=True, slots=True)
class Cost:
    """Latency in s and energy in J of one request."""

    latency_s: float
    energy_j: float


def sending_j(link: Link, size_byte: int, topology: Topology) -> float:
    """Return what sending and hearing a message over a link add to idle power, in J."""
    return link.occupation_s(size_byte) * sum(
        added
        for device_id, added in (
            (link.src_id, _added_w(topology, link.src_id, "transmit_w")),
            (link.dst_id, _added_w(topology, link.dst_id, "receive_w")),
        )
        if device_id in topology.device_of
    )


def computing_j(profile: DeviceProfile, time_s: float) -> float:
    """Return what computing for a time adds to idle power, in J."""
    return (profile.busy_w - profile.idle_w) * time_s


def not_seen(topology: Topology) -> str:
    """Return what of a topology changes latencies and `alone` does not see; empty when there is nothing."""
    for medium in topology.media:
        if medium.sharing != "fifo" or medium.contention or medium.rate_at is not None:
            return f"medium {medium.medium_id!r} with sharing {medium.sharing!r}, contention or a rate that changes"
    for link in topology.links:
        is_own = link.medium_id is None
        if (is_own and link.sharing != "fifo") or link.burst_byte or link.first_message_s:
            return f"link {link.link_id!r} with sharing {link.sharing!r}, bursts or a slower first message"
        if link.transport is not None or link.rate_at is not None:
            return f"link {link.link_id!r} with a transport or a rate that changes"
    for device in topology.devices:
        if device.host_overhead != HostOverhead():
            return f"device {device.device_id!r} with host_overhead"
    return ""


def alone(plan: Plan, topology: Topology, compute: ComputeModel) -> Cost:
    """Return what one request costs when messages and computations queue in order for links, media and cores.

    That is what the simulation finds for `fifo` resources without contention, transports, changing rates and host overhead. Idle power
    counts for every device of the plan and of its routes until the answer is there.

    Examples
    --------
    Two messages of 1 ms share a medium, so that the second is there after 2 ms; with its work of 1 ms that makes 3.

    >>> from edgesim.compute.roofline import Roofline
    >>> from edgesim.domain.plan import LayerWork, Transfer
    >>> from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
    >>> one = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 1.0, 2.0, 1.0, 1.0, "assumed")
    >>> links = [Link(f"hub->{name}", "hub", name, 8e6, medium_id="cell") for name in "ab"]
    >>> topology = Topology(tuple(Device(name, one) for name in ("hub", "a", "b")), tuple(links), (Medium("cell"),))
    >>> sent = [Transfer(f"to {name}", "hub", name, 1000, "input", "input") for name in "ab"]
    >>> plan = Plan((*sent, Compute("end", "b", (LayerWork("x", "conv", 1e6, 0),), ("to b",))), "end", {})
    >>> cost = alone(plan, topology, Roofline())
    >>> round(cost.latency_s, 9), round(cost.energy_j, 9)
    (0.003, 0.01)
    """
    users: dict[str, list[Step]] = defaultdict(list)
    n_missing = {step.step_id: len(step.inputs) for step in plan.steps}
    routes = {step.step_id: topology.route(step.src_id, step.dst_id) for step in plan.transfers}
    free_s: dict[tuple[str, str], list[float]] = {}
    order, events, energy_j, answered_s = count(), [], 0.0, 0.0  # type: ignore[var-annotated]
    for step in plan.steps:
        for name in step.inputs:
            users[name].append(step)
        if not step.inputs:
            heappush(events, (0.0, next(order), step, 0))
    while events:
        now_s, _, step, hop = heappop(events)
        if isinstance(step, Compute) and not hop:
            device = topology.device_of[step.device_id]
            time_s = compute.duration_s(step, device.profile)
            energy_j += computing_j(device.profile, time_s)
            queue = free_s.setdefault(("device", step.device_id), [0.0] * device.n_cores)
            end_s = _occupy(queue, now_s, time_s)
        elif not isinstance(step, Compute) and hop < len(routes[step.step_id]):
            link = routes[step.step_id][hop]
            energy_j += sending_j(link, step.size_byte, topology)
            queue = free_s.setdefault(("channel", link.medium_id or link.link_id), [0.0])
            end_s = _occupy(queue, now_s, link.occupation_s(step.size_byte)) + link.latency_s
        else:
            answered_s = now_s if step.step_id == plan.answer_id else answered_s
            for user in users[step.step_id]:
                n_missing[user.step_id] -= 1
                if not n_missing[user.step_id]:
                    heappush(events, (now_s, next(order), user, 0))
            continue
        heappush(events, (end_s, next(order), step, hop + 1))
    on = {*plan.device_ids, *(end for route in routes.values() for end in _ends(route))} & set(topology.device_of)
    idle_w = sum(topology.device_of[name].profile.idle_w for name in on)
    return Cost(answered_s, energy_j + idle_w * answered_s)


def _occupy(free_s: list[float], now_s: float, time_s: float) -> float:
    """Take the first server that is free; return when it is free again."""
    end_s = max(now_s, free_s[0]) + time_s
    heapreplace(free_s, end_s)
    return end_s


def _ends(route: tuple[Link, ...]) -> Iterator[str]:
    for link in route:
        yield from (link.src_id, link.dst_id)


def _added_w(topology: Topology, device_id: str, state: str) -> float:
    """Return what a state adds to the idle power of a device, in W; a switch takes none."""
    if device_id not in topology.device_of:
        return 0.0
    profile = topology.device_of[device_id].profile
    return (profile.transmit_w if state == "transmit_w" else profile.receive_w) - profile.idle_w
