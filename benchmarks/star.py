"""The star that the engines are measured on: its numbers, and what must come out.

K devices and a sink. Each device computes for 10 ms and sends 10 kB over its own link of 10 Mbit/s and 5 ms; the next round
begins when the sink has everything, so a round takes 10 + 8 + 5 = 23 ms. The random star draws: computing takes
10 ms x (1 + E), E exponential with mean 1/2; each message is lost with probability 0.05; the sink goes on after 100 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import exp, sqrt
from typing import Any

COMPUTE_S = 0.010
SIZE_BYTE, BANDWIDTH_BIT_PER_S, LATENCY_S = 10_000, 10e6, 0.005
SEND_S = 8 * SIZE_BYTE / BANDWIDTH_BIT_PER_S
ROUND_S = COMPUTE_S + SEND_S + LATENCY_S
TOLERANCE = 1e-9
MU, LOSS, DEADLINE_S, SEED = 2.0, 0.05, 0.100, 1
"""Of the random star: rate of E, probability of a loss, how long the sink waits, start of the draws."""
IDLE_W, BUSY_W, RADIO_W = 1.0, 2.0, 1.5
"""Power of every device: idle, computing, and sending or receiving."""

Lengths = Sequence[float]
"""How long each round took, in s."""
Run = Callable[[int], Callable[[], Lengths]]
"""Simulates so many rounds, which is timed, and returns what checks them and tells how long each took, which is not."""


@cache
def room(shape: int | tuple[int, int], kind: str, use: str) -> Any:  # noqa: ARG001 - which of equal ones
    """Return an array of numpy for a use, the same whenever it is asked for: to get memory from the system takes now longer, now shorter."""
    import numpy as np

    return np.empty(shape, kind)


def lengths(ends_s: Sequence[float]) -> Lengths:
    """Return the lengths of rounds from their ends."""
    return [end - begin for begin, end in zip([0.0, *ends_s], ends_s, strict=False)]


def completed(n_devices: int, records: Sequence[Any]) -> Lengths:
    """Return the latencies of edgesim's records; each request must be completed, with a message of every device."""
    for record in records:
        if record.outcome != "completed" or record.result_byte != n_devices * SIZE_BYTE:
            raise SystemExit(f"a request was not completed: {record}")
    return [record.latency_s for record in records]


def recorded(n_devices: int, ends_s: Sequence[float], energy_j: Any, traffic_byte: Any, n_lost: Any) -> Lengths:
    """Return the lengths of rounds of which energy, traffic and losses were kept; these are certain."""
    expected_j = (n_devices + 1) * IDLE_W * ROUND_S + n_devices * (
        (BUSY_W - IDLE_W) * COMPUTE_S + 2 * (RADIO_W - IDLE_W) * SEND_S
    )
    if max(abs(one - expected_j) for one in energy_j) > TOLERANCE * n_devices:
        raise SystemExit(f"rounds take {min(energy_j)} to {max(energy_j)} J, not {expected_j}")
    if set(traffic_byte) != {n_devices * SIZE_BYTE} or any(n_lost):
        raise SystemExit("a message is missing")
    return lengths(ends_s)


def share_in_time() -> float:
    """Return the share of the messages that come before the deadline: (1 - p) F(D)."""
    return (1 - LOSS) * (1 - exp(-MU * (DEADLINE_S - ROUND_S) / COMPUTE_S))


def latency_moments(n_devices: int, n_cells: int = 20_000) -> tuple[float, float]:
    """Return mean and standard deviation of the length of a random round, in s.

    G(t) = ((1 - p) F(t))^K rounds are over by t < D, all others at D. So E[D - L] is the integral of G up to D, and
    E[(D - L)^2] that of 2 (D - t) G(t); both by the midpoint rule.
    """
    width_s = (DEADLINE_S - ROUND_S) / n_cells
    first = second = 0.0
    for cell in range(n_cells):
        after_s = (cell + 0.5) * width_s  # after the earliest end
        share = ((1 - LOSS) * (1 - exp(-MU * after_s / COMPUTE_S))) ** n_devices
        first += share * width_s
        second += 2 * (DEADLINE_S - ROUND_S - after_s) * share * width_s
    return DEADLINE_S - first, sqrt(second - first**2)


def random_rounds(n_devices: int, latency_s: Lengths, energy_j: Any, traffic_byte: Any, n_lost: Any) -> Lengths:
    """Return the lengths of random rounds; refuse sums over them that are more than six standard errors off what is expected.

    Traffic is certain. A round costs the idle power of all devices for its length, and what computing, sending and receiving add. The standard
    deviation of its energy is at most that of the length and that of the K computing times, added.
    """
    n_rounds = len(latency_s)
    n, late = n_rounds * n_devices, 1 - share_in_time()
    mean_s, deviation_s = latency_moments(n_devices)
    expected_j = mean_s * (n_devices + 1) * IDLE_W + n_devices * (
        (BUSY_W - IDLE_W) * COMPUTE_S * (1 + 1 / MU) + 2 * (RADIO_W - IDLE_W) * SEND_S
    )
    deviation_j = (n_devices + 1) * IDLE_W * deviation_s + sqrt(n_devices) * COMPUTE_S / MU
    for what, found, expected, error in (
        ("lost messages", sum(n_lost), n * late, 6 * sqrt(n * late * (1 - late))),
        ("J", sum(energy_j), n_rounds * expected_j, 6 * sqrt(n_rounds) * deviation_j),
        ("byte", sum(traffic_byte), n * SIZE_BYTE, 0.0),
    ):
        if abs(found - expected) > error:
            raise SystemExit(f"{found} {what} in {n_rounds} rounds, not {expected}")
    return latency_s


def check(lengths_s: Lengths, n_devices: int, n_rounds: int, *, is_random: bool) -> float:
    """Return the length of all rounds; refuse those that are not what they must be."""
    total_s = float(sum(lengths_s))
    if len(lengths_s) != n_rounds:
        raise SystemExit(f"{len(lengths_s)} rounds, not {n_rounds}")
    if not is_random:
        if max(abs(one - ROUND_S) for one in lengths_s) > TOLERANCE or abs(total_s / n_rounds - ROUND_S) > TOLERANCE:
            raise SystemExit(f"rounds take {min(lengths_s)} to {max(lengths_s)} s, not {ROUND_S}")
        return total_s
    expected_s, deviation_s = latency_moments(n_devices)
    if abs(total_s / n_rounds - expected_s) > 6 * deviation_s / sqrt(n_rounds) + TOLERANCE:
        raise SystemExit(f"rounds take {total_s / n_rounds} s in the mean, not {expected_s}")
    return total_s
