"""What is legal in a scenario but hardly meant; found without loading data or networks."""

from __future__ import annotations

import heapq
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any

from edgesim.arrivals.trace import Trace
from edgesim.recorded import doubt_of
from edgesim.rng import Streams
from edgesim.scenario.build import System, build
from edgesim.scenario.problems import Problem
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.topology import Topology
    from edgesim.scenario.schema import Scenario

N_MOST_REQUESTS = 100_000
"""So many are looked at, to see whether any counts."""
N_MOST_OUTCOMES = 64
"""Failure models with more outcomes have an effect in one of them."""


def oddities(scenario: Scenario) -> list[Problem]:
    """Return what is odd about a valid scenario: each with its path, what is odd, and what to do about it."""
    system = build(scenario)
    return [
        *_failures(scenario, system),
        *_deadline(system),
        *_recorded(system),
        *_warm_up(scenario, system),
        *_unused(scenario, system),
    ]


def _failures(scenario: Scenario, system: System) -> Iterator[Problem]:
    swept = [factor.path for factor in scenario.sweep.values()]
    for label, model in system.failures.items():
        if any(path.startswith(f"failures.{label}.") for path in swept) or _has_effect(model, system.topology):
            continue
        yield Problem(
            ("failures", label), f"failure model {label!r} has no effect",
            remedy="raise its numbers, widen its pattern, sweep it, or leave it out",
        )  # fmt: skip


def _has_effect(model: Any, topology: Topology) -> bool:
    """Say whether a failure model can do anything in this topology."""
    if hasattr(model, "applies_to"):
        return any(model.applies_to(link) for link in topology.links)
    if hasattr(model, "slows"):
        return any(model.slows(device) for device in topology.devices)
    outcomes = model.outcomes(topology) if hasattr(model, "outcomes") else None
    if outcomes is None:
        return True
    first = list(islice(outcomes, N_MOST_OUTCOMES + 1))
    return len(first) > N_MOST_OUTCOMES or any(probability > 0 and outages for probability, outages in first)


def _deadline(system: System) -> Iterator[Problem]:
    if system.deadline_s is None:
        return
    fastest_s = least_delay_s(system.topology, system.source_id, system.sink_id)
    if system.deadline_s <= fastest_s:
        yield Problem(
            ("workload", "deadline"),
            f"no answer can come in time: messages from {system.source_id!r} to {system.sink_id!r} take {show(fastest_s, 's')} "
            f"and more, the deadline is {show(system.deadline_s, 's')}",
            remedy="lengthen the deadline, or shorten latencies and overheads",
        )


def _recorded(system: System) -> Iterator[Problem]:
    """Say when requests come at times that hardly count from the start of a trial, e.g. seconds since 1970."""
    arrivals = system.load.arrivals if system.load else None
    if isinstance(arrivals, Trace) and arrivals.start == "zero" and (doubt := doubt_of(arrivals.times_s)):
        yield Problem(("workload", "load", "arrivals"), doubt, remedy="`start: first` counts from the first time")


def _warm_up(scenario: Scenario, system: System) -> Iterator[Problem]:
    """Say when all requests of the first replication are released before the end of the warm-up."""
    load = system.load
    if load is None or load.warm_up_s == 0.0 or not hasattr(load.arrivals, "releases_s"):
        return
    if any(factor.path.startswith("workload.load") for factor in scenario.sweep.values()):
        return
    streams = Streams(system.seed).replication(0).scope("arrivals")
    n_most = N_MOST_REQUESTS if load.requests is None else min(load.requests, N_MOST_REQUESTS)
    n, last_s = 0, 0.0
    for n, last_s in enumerate(islice(load.arrivals.releases_s(streams), n_most), start=1):  # noqa: B007
        if last_s >= load.warm_up_s:
            return
    if n < N_MOST_REQUESTS:
        yield Problem(
            ("workload", "load", "warm_up"),
            f"no request counts: the last is released at {show(last_s, 's')}, before the warm-up ends",
            remedy="shorten the warm-up, or ask for more requests",
        )


def least_delay_s(topology: Topology, src_id: str, dst_id: str) -> float:
    """Return the least time of an empty message from one device to another, over any links, in s; infinite without a way."""
    least = {src_id: 0.0}
    waiting = [(0.0, src_id)]
    while waiting:
        so_far_s, here = heapq.heappop(waiting)
        if here == dst_id:
            return so_far_s
        for link in topology.links_from[here]:
            there_s = so_far_s + link.latency_s + link.message_overhead_s
            if there_s < least.get(link.dst_id, inf):
                least[link.dst_id] = there_s
                heapq.heappush(waiting, (there_s, link.dst_id))
    return inf


def _unused(scenario: Scenario, system: System) -> Iterator[Problem]:
    used = {device.profile.name for device in system.topology.devices}
    swept = [factor.path for factor in scenario.sweep.values()]
    values = {value for factor in scenario.sweep.values() for value in factor.levels}
    for name in scenario.profiles:
        if name not in used and name not in values:
            yield Problem(
                ("profiles", name), f"no device has the profile {name!r}", remedy="use it or leave it out", is_key=True
            )
    shared = {link.medium_id for link in system.topology.links}
    for position, medium in enumerate(system.topology.media):
        is_swept = any(path.endswith("medium") for path in swept)
        if medium.medium_id not in shared and not is_swept:
            place = ("topology", "media", position)
            yield Problem(
                place,
                f"no link uses the medium {medium.medium_id!r}",
                remedy=f"write `medium: {medium.medium_id}` at links, or leave it out",
            )
