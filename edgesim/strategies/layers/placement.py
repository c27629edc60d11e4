"""Which device computes which run of layers, so that a chain of devices is fastest: by dynamic programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

Goal = Literal["latency", "throughput"]
"""Whether the time of one request is to be least, or that of the slowest stage or message."""
Order = Literal["given", "any"]
"""Whether devices compute in the order in which they are given, or in any; some may compute nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """Layers `start` to `stop` - 1 on one device, by its position."""

    device: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class ChainTimes:
    """What runs of layers and messages between devices take; infinite where something is impossible.

    Parameters
    ----------
    run_s : shape (D, L + 1, L + 1): layers i to j - 1 on a device, in s; infinite unless i < j and the device has the memory.
    message_s : shape (D, D, L + 1): what crosses place p from one device to another, in s.
    input_s, answer_s : shape (D,): the input to a device, the answer from it, in s.
    """

    run_s: NDArray[np.float64]
    message_s: NDArray[np.float64]
    input_s: NDArray[np.float64]
    answer_s: NDArray[np.float64]

    def within(self, limit_s: float) -> ChainTimes:
        """Return the times without what takes longer than a limit."""
        kept = (
            np.where(times <= limit_s, times, np.inf)
            for times in (self.run_s, self.message_s, self.input_s, self.answer_s)
        )
        return ChainTimes(*kept)


def best_chain(times: ChainTimes, goal: Goal = "latency", order: Order = "given") -> tuple[Run, ...]:
    r"""Return the runs of layers of the best chain; empty when nothing is possible.

    With ``latency`` the sum of all runs and messages is least. With ``throughput`` the longest of them is, and among those chains the
    sum. Each device computes at most one run:

    .. math:: f(q, S, d) = \min_{p < q, d' \in S} f(p, S \setminus d, d') + m(d', d, p) + r(d, p, q)

    with f the least time until the first q layers are done by the devices S, d the last of them, m the message over place p and r the run;
    for the throughput the largest of the three stands for their sum. With order ``given`` the devices in S come in order, so that d says enough.

    Notes
    -----
    Cost: D^2 L^2 steps with order ``given``, 2^D D^2 L^2 with ``any``; both in arrays over places.

    References
    ----------
    M. Zhang, X. Shen, J. Cao, Z. Cui, S. Jiang, EdgeShard: Efficient LLM Inference via Collaborative Edge Computing, arXiv:2405.14371, 2024,
    whose recursion allows a device to come back; here it computes one run, since its memory is checked run by run.
    """
    runs, value_s = _search(times, goal, order)
    if goal == "throughput" and runs:
        return _search(times.within(value_s), "latency", order)[0]
    return runs


State = tuple[int, int]
"""The devices that have computed, as bits (with order ``given`` 0), and the last of them."""


def _search(times: ChainTimes, goal: Goal, order: Order) -> tuple[tuple[Run, ...], float]:
    """Return the best chain and its value; see `best_chain`."""
    join = np.add if goal == "latency" else np.maximum
    reached_s: dict[State, NDArray[np.float64]] = {}
    back: dict[State, list[tuple[int, State | None]]] = {}
    n_devices, n_places = times.run_s.shape[:2]
    for state in _states(n_devices, order):
        device = state[1]
        # from nothing: the input comes, and layers 0 to q - 1 run
        best_s = join(times.input_s[device], times.run_s[device, 0])
        origin: list[tuple[int, State | None]] = [(0, None)] * n_places
        if order == "any" and state[0] != 1 << device:
            best_s = np.full(n_places, np.inf)
        for former in _formers(state, n_devices, order):
            arrived_s = join(reached_s[former], times.message_s[former[1], device])
            done_s = join(arrived_s[:, None], times.run_s[device])
            places = done_s.argmin(axis=0)
            found_s = done_s[places, np.arange(n_places)]
            for place in np.flatnonzero(found_s < best_s):
                best_s[place], origin[place] = found_s[place], (int(places[place]), former)
        reached_s[state], back[state] = best_s, origin
    ended_s = {state: float(join(reached_s[state][-1], times.answer_s[state[1]])) for state in reached_s}
    final = min(ended_s, key=ended_s.__getitem__)
    value_s = ended_s[final]
    runs: list[Run] = []
    state_before: State | None = final if np.isfinite(value_s) else None
    stop = n_places - 1
    while state_before is not None:
        device = state_before[1]
        start, state_before = back[state_before][stop]
        runs.append(Run(device, start, stop))
        stop = start
    return tuple(reversed(runs)), value_s


def _states(n_devices: int, order: Order) -> Iterator[State]:
    """Yield all states, each after those that it comes from."""
    if order == "given":
        yield from ((0, device) for device in range(n_devices))
    else:
        yield from (
            (used, device) for used in range(1, 1 << n_devices) for device in range(n_devices) if used >> device & 1
        )


def _formers(state: State, n_devices: int, order: Order) -> Iterator[State]:
    """Yield the states that a state comes from."""
    used, device = state
    if order == "given":
        yield from ((0, former) for former in range(device))
    else:
        rest = used & ~(1 << device)
        yield from ((rest, former) for former in range(n_devices) if rest >> former & 1)


def given_chain(places: Sequence[int], n_layers: int) -> tuple[Run, ...]:
    """Return the runs between places that are given, one for each device in order.

    >>> given_chain([2], 5)
    (Run(device=0, start=0, stop=2), Run(device=1, start=2, stop=5))
    """
    starts = (0, *places)
    return tuple(
        Run(device, start, stop) for device, (start, stop) in enumerate(zip(starts, (*places, n_layers), strict=True))
    )
