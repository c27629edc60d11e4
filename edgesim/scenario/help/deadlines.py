"""Deadlines before which no message can come, whatever is computed; found without networks."""

from __future__ import annotations

import heapq
from math import inf
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from edgesim.domain.system.selection import is_selected
from edgesim.scenario.form.problems import Problem
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.system.topology import Link, Topology
    from edgesim.scenario.build import System

_LEAST_BYTE = 4
"""A message holds one number at least."""


@runtime_checkable
class _Stepwise(Protocol):
    """A strategy whose steps wait for messages for so long."""

    step_deadline_s: float | None


@runtime_checkable
class _Merging(Protocol):
    """A strategy whose merger waits for answers of other devices for so long, from the release of a request."""

    deadline_s: float | None
    merger: str | None
    devices: str


def deadline_problems(system: System, swept: list[str]) -> Iterator[Problem]:
    """Yield the deadlines of the workload and of strategies that nothing can meet; `swept` are the paths of factors."""
    yield from _of_workload(system)
    for label, strategy in system.strategies.items():
        if isinstance(strategy, _Stepwise) and f"strategies.{label}.step_deadline" not in swept:
            yield from _of_steps(system.topology, label, strategy.step_deadline_s)
        if isinstance(strategy, _Merging) and f"strategies.{label}.deadline" not in swept:
            yield from _of_merger(system, label, strategy)


def _of_workload(system: System) -> Iterator[Problem]:
    if system.deadline_s is None:
        return
    fastest_s = least_delays_s(system.topology, system.source_id).get(system.sink_id, inf)
    if system.deadline_s <= fastest_s:
        yield Problem(
            ("workload", "deadline"),
            f"no answer can come in time: messages from {system.source_id!r} to {system.sink_id!r} take {show(fastest_s, 's')} "
            f"and more, the deadline is {show(system.deadline_s, 's')}",
            remedy="lengthen the deadline, or shorten latencies and overheads",
        )


def _of_steps(topology: Topology, label: str, deadline_s: float | None) -> Iterator[Problem]:
    if deadline_s is None or not topology.links:
        return
    fastest_s = min(_delay_s(link, _LEAST_BYTE) for link in topology.links)
    if deadline_s <= fastest_s:
        yield Problem(
            ("strategies", label, "step_deadline"),
            f"no step waits long enough for a message: over the fastest link it takes {show(fastest_s, 's')} and more, the step's "
            f"deadline is {show(deadline_s, 's')}",
            remedy="lengthen the deadline, or shorten latencies and overheads",
        )


def _of_merger(system: System, label: str, strategy: _Merging) -> Iterator[Problem]:
    merger_id = strategy.merger or system.sink_id
    others = [one.device_id for one in system.topology.devices if one.device_id != merger_id]
    there_s = least_delays_s(system.topology, system.source_id, _LEAST_BYTE)
    back_s = least_delays_s(system.topology, merger_id, _LEAST_BYTE, is_towards=True)
    times_s = [there_s.get(one, inf) + back_s.get(one, inf) for one in others if is_selected(one, strategy.devices)]
    if strategy.deadline_s is not None and times_s and strategy.deadline_s <= min(times_s):
        yield Problem(
            ("strategies", label, "deadline"),
            f"no answer of another device can reach {merger_id!r} in time: messages from {system.source_id!r} and on to "
            f"{merger_id!r} take {show(min(times_s), 's')} and more, the merger's deadline is {show(strategy.deadline_s, 's')}",
            remedy="lengthen the deadline, or shorten latencies and overheads",
        )


def least_delays_s(
    topology: Topology, device_id: str, size_byte: int = 0, *, is_towards: bool = False
) -> dict[str, float]:
    """Return the least time of a message from a device to each that it can reach, over any links, in s.

    Parameters
    ----------
    topology : devices and links.
    device_id : where the messages start.
    size_byte : of the message; 0 counts latencies and overheads only.
    is_towards : whether the messages end there instead.
    """
    steps: dict[str, list[tuple[str, float]]] = {}
    for link in topology.links:
        here, there = (link.dst_id, link.src_id) if is_towards else (link.src_id, link.dst_id)
        steps.setdefault(here, []).append((there, _delay_s(link, size_byte)))
    least = {device_id: 0.0}
    waiting = [(0.0, device_id)]
    while waiting:
        so_far_s, here = heapq.heappop(waiting)
        for there, delay_s in steps.get(here, ()) if so_far_s <= least[here] else ():
            if so_far_s + delay_s < least.get(there, inf):
                least[there] = so_far_s + delay_s
                heapq.heappush(waiting, (least[there], there))
    return least


def _delay_s(link: Link, size_byte: int) -> float:
    return link.latency_s + (link.occupation_s(size_byte) if size_byte else link.message_overhead_s)
