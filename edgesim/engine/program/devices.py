"""The table of devices of a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesim.domain.plan import Plan
from edgesim.domain.system.topology import Device, Link, Topology
from edgesim.errors import InfeasiblePlanError, PlanError


@dataclass(frozen=True, slots=True)
class DeviceTable:
    """The devices of a plan and of its routes, in order of their ids, and the switches behind them;
    positions are the device indices of a program.

    Parameters
    ----------
    device_ids : ids.
    device : the devices; switches, which compute nothing and take no power, are none.
    idle_w, busy_w, transmit_w, receive_w : power, in W.
    power_w : idle power, and what computing, sending and receiving add to it, in W.
    peak_memory_byte : of the devices of the plan, by device id, in byte.
    has_batteries : whether some of them have one.
    """

    device_ids: tuple[str, ...]
    device: tuple[Device, ...]
    idle_w: tuple[float, ...]
    busy_w: tuple[float, ...]
    transmit_w: tuple[float, ...]
    receive_w: tuple[float, ...]
    power_w: tuple[tuple[float, float, float, float], ...]
    peak_memory_byte: dict[str, int]
    has_batteries: bool


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


def check_known(plan: Plan, topology: Topology) -> None:
    """Raise `PlanError` when the plan names a device that is not in the topology."""
    missing = [device_id for device_id in plan.device_ids if device_id not in topology.device_of]
    if missing:
        raise PlanError(f"the plan uses device {missing[0]!r}, which is not in the topology")


def device_table(
    plan: Plan, topology: Topology, peak_memory_byte: dict[str, int], routes: Sequence[tuple[Link, ...]]
) -> DeviceTable:
    """Return the devices of a plan and of the routes of its messages."""
    on_routes = {end for route in routes for link in route for end in (link.src_id, link.dst_id)}
    used = on_routes | set(plan.device_ids)
    switch_ids = sorted(used.intersection(topology.switch_of))
    devices = tuple(topology.device_of[device_id] for device_id in sorted(used.difference(switch_ids)))
    powers_w = [
        (one.idle_w, one.busy_w, one.transmit_w, one.receive_w) for one in (device.profile for device in devices)
    ]
    powers_w += [(0.0, 0.0, 0.0, 0.0)] * len(switch_ids)
    return DeviceTable(
        device_ids=(*(device.device_id for device in devices), *switch_ids),
        device=devices,
        idle_w=tuple(idle_w for idle_w, *_ in powers_w),
        busy_w=tuple(busy_w for _, busy_w, *_ in powers_w),
        transmit_w=tuple(transmit_w for *_, transmit_w, _ in powers_w),
        receive_w=tuple(receive_w for *_, receive_w in powers_w),
        power_w=tuple(
            (idle_w, busy_w - idle_w, transmit_w - idle_w, receive_w - idle_w)
            for idle_w, busy_w, transmit_w, receive_w in powers_w
        ),
        peak_memory_byte=peak_memory_byte,
        has_batteries=any(device.battery_j is not None for device in devices),
    )
