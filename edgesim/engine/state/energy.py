"""The energy of a trial: idle power from its first release to its last end, and what work adds to it.

Every device of the plan and of its routes takes its idle power once per second of this time in which it is up, whether one request is
in the system, many or none. Computing, sending and receiving add the difference between their power and the idle power,
for each core and each channel that is in use; what goes on after the last end still adds its part. Every request that was
admitted has what its own work added, and an equal share of the idle power.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgesim.domain.plan import Transfer
from edgesim.engine.program.compiled import Program
from edgesim.engine.state.outages import Downtimes
from edgesim.engine.state.request import Request, Totals


def up_s(program: Program, downtimes: Downtimes, from_s: float, span_s: float) -> list[float]:
    """Return by device how long it is up in a time that begins at `from_s` and lasts `span_s`."""
    if not downtimes or span_s <= 0.0:
        return [span_s] * len(program.devices.device_ids)
    to_s = from_s + span_s
    return [span_s - downtimes.total_s(device_id, from_s, to_s) for device_id in program.devices.device_ids]


def idle_j(program: Program, idle_s: Sequence[float]) -> float:
    """Return the energy of devices at idle power, given the time of each."""
    return sum(idle_w * time_s for idle_w, time_s in zip(program.devices.idle_w, idle_s, strict=True))


def energy_j(program: Program, request: Request | Totals, idle_s: Sequence[float]) -> float:
    """Return what the work of a request adds to the idle power, and that of each device for a time."""
    total_j = 0.0
    times_s = zip(idle_s, request.busy_s, request.transmit_s, request.receive_s, strict=True)
    for (idle_w, compute_w, send_w, hear_w), (device_idle_s, busy_s, transmit_s, receive_s) in zip(
        program.devices.power_w, times_s, strict=True
    ):
        total_j += idle_w * device_idle_s + compute_w * busy_s + send_w * transmit_s + hear_w * receive_s
    return total_j


def work_of(program: Program, request: Request | Totals) -> float:
    """Return what the work of a request adds to the idle power."""
    total_j = 0.0
    powers_w, busy_s, transmit_s, receive_s = (
        program.devices.power_w,
        request.busy_s,
        request.transmit_s,
        request.receive_s,
    )
    for (_, compute_w, send_w, hear_w), computes_s, sends_s, hears_s in zip(
        powers_w, busy_s, transmit_s, receive_s, strict=True
    ):
        total_j += compute_w * computes_s + send_w * sends_s + hear_w * hears_s
    return total_j


def largest_w(program: Program) -> float:
    """Return the largest power of all devices: every core and every channel in use that the plan uses.

    A channel is used by one message at a time, so a device that sends and receives on it does one or the other.
    """
    added_w: dict[tuple[int, int], float] = {}  # by device and channel, of which -1 are the cores
    everywhere = () if program.detours is None else program.detours.links
    for index, step in enumerate(program.steps.step):
        if isinstance(step, Transfer):
            for hop in (*program.steps.hops[index], *everywhere):
                for device, added in (
                    (hop.src, program.devices.power_w[hop.src][2]),
                    (hop.dst, program.devices.power_w[hop.dst][3]),
                ):
                    added_w[device, hop.channel] = max(added, added_w.get((device, hop.channel), 0.0))
            cost = program.steps.host_costs.get(index)
            for device in () if cost is None else (cost.src, cost.dst):
                added_w[device, -1] = _cores_w(program, device)
        elif program.steps.duration_s[index] > 0.0:
            device = program.steps.device[index]
            added_w[device, -1] = _cores_w(program, device)
    return sum(program.devices.idle_w) + sum(added_w.values())


def _cores_w(program: Program, device: int) -> float:
    """Return what all cores of a device add to its idle power, in W."""
    return max(0.0, program.devices.power_w[device][1]) * program.devices.device[device].n_cores
