"""What the testbed cannot do honestly on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from edgesim.errors import ExecutionError
from edgesim.processes import n_cpus

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.domain.system.links import Link
    from edgesim.domain.system.topology import Topology
    from edgesim.nn.kernels.program import Program
    from edgesim.testbed.bundle import Bundle

FASTEST_BIT_PER_S = 200e6
"""Assumed: a packet of 1,472 byte then takes 59 us, about what a sleeping thread needs to wake up."""
N_RUNS = 3


def links_of(plan: Plan, topology: Topology, *, has_bursts: bool = False) -> dict[str, Link]:
    """Return the link of each transfer.

    Parameters
    ----------
    plan, topology : what is executed.
    has_bursts : whether links may have a burst, as token buckets of the kernel.

    Raises
    ------
    ExecutionError
        When a link or device does what senders on this machine cannot do: the first such thing, with what to do about it.
    """
    if plan.pools:
        raise ExecutionError(
            "work is given to whichever device asks first; nodes do what they were told before: assign it statically"
        )
    found: dict[str, Link] = {}
    for transfer in plan.transfers:
        route = topology.route(transfer.src_id, transfer.dst_id)
        if len(route) > 1:
            raise ExecutionError(
                f"{transfer.step_id!r} goes over {len(route)} links, but senders pace one link each; give {transfer.src_id!r} and "
                f"{transfer.dst_id!r} a link of their own"
            )
        found[transfer.step_id] = route[0]
    for link in found.values():
        reason = _reason(link, has_bursts=has_bursts)
        if reason:
            raise ExecutionError(f"link {link.link_id!r} {reason}")
    for device_id in plan.device_ids:
        device = topology.device_of[device_id]
        if device.n_cores > 1 or device.sharing != "fifo":
            raise ExecutionError(
                f"device {device_id!r} computes several things at once; nodes compute one after another: leave out cores and sharing"
            )
    return found


def _reason(link: Link, *, has_bursts: bool) -> str:
    if link.medium_id is not None:
        return (
            f"shares the medium {link.medium_id!r}; senders cannot share one without the kernel: leave out the medium"
        )
    if link.sharing != "fifo" or link.rate_at is not None:
        return "divides its rate among messages, or changes it; senders send one message after another at one rate"
    if (link.burst_byte and not has_bursts) or link.first_message_s:
        return "has a burst or a slow first message, which senders do not know; leave them out"
    if link.bandwidth_bit_per_s > FASTEST_BIT_PER_S:
        return (
            f"has {link.bandwidth_bit_per_s / 1e6:g} Mbit/s, but threads cannot pace packets above {FASTEST_BIT_PER_S / 1e6:g} Mbit/s; "
            "lower its bandwidth"
        )
    return ""


def real_times_s(bundle: Bundle) -> dict[str, float]:
    """Return the processor time of each computation on this machine with one thread, on zeros, the median of three runs after one, in s.

    What other programs do meanwhile is not in it: the noise of a measurement is.
    """
    from edgesim.nn.timing.clock import one_thread

    with one_thread():
        return {step_id: _real_s(program) for step_id, program in bundle.programs.items()}


def _real_s(program: Program) -> float:
    from edgesim.nn.kernels.program import Runner

    runner, times_s = Runner(program), []
    given = {one.name: one.zeros() for one in program.given}
    for _ in range(N_RUNS + 1):
        begun_s = time.process_time()
        runner.run(given)
        times_s.append(time.process_time() - begun_s)
    return median(times_s[1:])


def check_times(real_s: Mapping[str, float], paced_s: Mapping[str, float], latency_s: float, tolerance: float) -> None:
    """Refuse computations that this machine is too slow for.

    Parameters
    ----------
    real_s : of each computation, here.
    paced_s : of each, by the profile of its device; empty where nothing is paced.
    latency_s : simulated.
    tolerance : allowed share of the latency.

    Raises
    ------
    ExecutionError
        When all together keep more cores busy than there are, or take so much longer than they shall that the latency would be off.
    """
    busy, n_cores = sum(real_s.values()) / latency_s if latency_s > 0 else 0.0, n_cpus()
    if not paced_s:
        return
    if busy > n_cores:
        raise ExecutionError(
            f"the devices would keep {busy:.1f} cores busy, but this machine has {n_cores}; take slower devices or a smaller network"
        )
    over_s = {name: real - paced_s[name] for name, real in real_s.items() if real > paced_s[name]}
    if sum(over_s.values()) > tolerance * latency_s:
        worst = max(over_s, key=over_s.__getitem__)
        raise ExecutionError(
            f"this machine is slower than the devices that it stands for: {worst!r} takes {real_s[worst] * 1e3:.3g} ms here and "
            f"{paced_s[worst] * 1e3:.3g} ms by the profile, all such steps {sum(over_s.values()) * 1e3:.3g} ms more of {latency_s * 1e3:.3g} ms; "
            "take slower devices"
        )
