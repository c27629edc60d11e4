"""What the testbed cannot do honestly on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from edgesim.errors import ExecutionError
from edgesim.network.transport import Datagram
from edgesim.processes import n_cpus
from edgesim.testbed.wire.datagrams import MOST_BYTE, MOST_PACKETS

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.domain.system.links import Link
    from edgesim.domain.system.topology import Topology
    from edgesim.nn.kernels.program import Program
    from edgesim.testbed.bundle import Bundle

FASTEST_BIT_PER_S = 200e6
"""Assumed: a packet of 1,472 byte then takes 59 us, about what a sleeping thread needs to wake up."""
N_RUNS = 3


def ways_of(plan: Plan, topology: Topology, *, is_kernel: bool = False) -> dict[str, tuple[Link, ...]]:
    """Return the links of the way of each transfer.

    Parameters
    ----------
    plan, topology : what is executed.
    is_kernel : whether links are token buckets of the kernel, with a burst, and not senders that pace.

    Raises
    ------
    ExecutionError
        When a link or device does what this machine cannot do: the first such thing, with what to do about it.
    """
    if plan.pools:
        raise ExecutionError(
            "work is given to whichever device asks first; nodes do what they were told before: assign it statically"
        )
    found = {one.step_id: tuple(topology.route(one.src_id, one.dst_id)) for one in plan.transfers}
    for name, way in found.items():
        if len(way) > 1 and is_kernel:
            raise ExecutionError(
                f"{name!r} goes over {len(way)} links, but a pair of interfaces is one link; give {way[0].src_id!r} and {way[-1].dst_id!r} a "
                "link of their own, or use --mode loopback"
            )
        has_queues = any(switch.queue_byte is not None for switch in topology.switches)
        if len(way) > 1 and (topology.forwarding != "store_and_forward" or has_queues):
            raise ExecutionError(
                f"{name!r} goes over {len(way)} links, on which packets follow each other or find queues of switches full; nodes pass messages on as a "
                "whole: write forwarding: store_and_forward, and leave out the queues of switches"
            )
        for link in way:
            reason = _reason(link, topology, is_kernel=is_kernel)
            if reason:
                raise ExecutionError(f"link {link.link_id!r} {reason}")
    for device_id in plan.device_ids:
        device = topology.device_of[device_id]
        if device.n_cores > 1 or device.sharing != "fifo":
            raise ExecutionError(
                f"device {device_id!r} computes several things at once; nodes compute one after another: leave out cores and sharing"
            )
    return found


def _reason(link: Link, topology: Topology, *, is_kernel: bool) -> str:
    """Return why a link cannot be executed; empty when it can."""
    medium = next((one for one in topology.media if one.medium_id == link.medium_id), None)
    found: list[tuple[bool, str]] = [
        (
            medium is not None and (medium.sharing != "fifo" or medium.contention > 0 or medium.rate_at is not None),
            (
                f"shares the medium {link.medium_id!r}, which divides its time, loses some to contention or changes its rate; nodes take turns on a medium: "
                "leave out its sharing, contention and rate_at"
            ),
        ),
        (
            medium is None and link.sharing != "fifo",
            "divides its rate among messages or packets; senders send one message after another at one rate: leave out sharing",
        ),
        (link.rate_at is not None, "changes its rate; senders send at one rate: leave out rate_at"),
        (
            (link.burst_byte > 0 and not is_kernel) or link.first_message_s > 0,
            "has a burst or a slow first message, which senders do not know; leave them out",
        ),
        (
            link.bandwidth_bit_per_s > FASTEST_BIT_PER_S,
            (
                f"has {link.bandwidth_bit_per_s / 1e6:g} Mbit/s, but processes cannot pace packets above {FASTEST_BIT_PER_S / 1e6:g} Mbit/s; "
                "lower its bandwidth"
            ),
        ),
    ]
    return next((reason for is_so, reason in found if is_so), "")


def check_datagrams(plan: Plan, ways: Mapping[str, tuple[Link, ...]]) -> None:
    """Refuse messages that do not fit into datagrams.

    Parameters
    ----------
    plan : what is executed.
    ways : the links of the way of each transfer, of which the last says what it goes over.

    Raises
    ------
    ExecutionError
        The first of them, with what to do about it.
    """
    for transfer in plan.transfers:
        link = ways[transfer.step_id][-1]
        if not isinstance(link.transport, Datagram):
            continue
        n_packets = link.n_packets(transfer.size_byte)
        if min(link.mtu_byte, transfer.size_byte) > MOST_BYTE:
            raise ExecutionError(
                f"link {link.link_id!r} has packets of {link.mtu_byte} byte, but a datagram of UDP holds {MOST_BYTE}; lower its mtu"
            )
        if n_packets > MOST_PACKETS:
            raise ExecutionError(
                f"{transfer.step_id!r} is {n_packets} packets on link {link.link_id!r}, but nodes number {MOST_PACKETS}; raise its mtu"
            )


def check_cores(shared_s: float, latency_s: float, tolerance: float) -> None:
    """Refuse devices that do more at the same time than the cores of this machine.

    Parameters
    ----------
    shared_s : by how much sharing the cores makes a request longer, in s; see `edgesim.testbed.outcome.cores`.
    latency_s : simulated.
    tolerance : allowed share of the latency.

    Raises
    ------
    ExecutionError
        When that is beyond the tolerance: what is measured would say more of this machine than of the plan.
    """
    if shared_s > tolerance * latency_s:
        raise ExecutionError(
            f"its devices compute, send and receive at the same time, and share this machine (cores: {n_cpus()}), which makes a request of "
            f"{latency_s * 1e3:.3g} ms about {shared_s * 1e3:.2g} ms longer, {100 * shared_s / latency_s:.1f} %; take fewer devices, slower devices or links, so that "
            "requests are longer, a machine of more cores, or a larger --tolerance"
        )


def real_times_s(bundle: Bundle) -> dict[str, float]:
    """Return the processor time of each computation on this machine with one thread, on zeros, the median of three runs after one, in s.

    What other programs do meanwhile is not in it: the noise of a measurement is.
    """
    from edgesim.nn.timing.clock import one_thread

    with one_thread():
        return {step.step_id: _real_s(bundle.programs[step.step_id]) for step in bundle.plan.computes}


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
