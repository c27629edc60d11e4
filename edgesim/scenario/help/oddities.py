"""What is legal in a scenario but hardly meant; found without loading data or networks."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.system.routing import Routing, transfer_s
from edgesim.errors import DataError, PlanError
from edgesim.interfaces import (
    DelayModel,
    Findable,
    LossModel,
    OpenArrivals,
    OutageModel,
    PacketLossModel,
    SlowdownModel,
    SpeedModel,
    StudentTeaching,
)
from edgesim.rng import Streams
from edgesim.scenario.build import System, build
from edgesim.scenario.files.places import places
from edgesim.scenario.form.problems import Problem
from edgesim.scenario.help.deadlines import deadline_problems
from edgesim.scenario.help.recordings import late_recordings, late_requests
from edgesim.tasks.scores import SCORES
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.system.topology import Link, Topology
    from edgesim.scenario.schema import ScenarioSpec

N_MOST_REQUESTS = 100_000
"""So many are looked at, to see whether any counts."""
N_MOST_OUTCOMES = 64
"""Failure models with more outcomes have an effect in one of them."""
N_MOST_ENDS = 100
"""So many devices are looked at, to see whether slow routes lead to them."""
N_MOST_VISITS = 100_000
"""And no more than these searches may visit."""
MANY_TIMES = 5
"""A route that takes so many times as long as another one is hardly meant."""


def oddities(scenario: ScenarioSpec) -> list[Problem]:
    """Return what is odd about a valid scenario: each with its path, what is odd, and what to do about it."""
    system = build(scenario)
    return [
        *_failures(scenario, system),
        *_places(scenario),
        *_absent(system),
        *_names(scenario),
        *deadline_problems(system, [factor.path for factor in scenario.sweep.values()]),
        *_slow_routes(scenario, system),
        *late_requests(system),
        *late_recordings(scenario),
        *_warm_up(scenario, system),
        *_unused(scenario, system),
    ]


def _failures(scenario: ScenarioSpec, system: System) -> Iterator[Problem]:
    swept = [factor.path for factor in scenario.sweep.values()]
    for label, model in system.failures.items():
        if any(path.startswith(f"failures.{label}.") for path in swept) or _has_effect(model, system.topology):
            continue
        yield Problem(
            ("failures", label), f"failure model {label!r} has no effect",
            remedy="raise its numbers, widen its pattern, sweep it, or leave it out",
        )  # fmt: skip


def _absent(system: System) -> Iterator[Problem]:
    """Yield data sets and networks that are not where they are looked for; nothing is read and no code is run."""
    named: list[tuple[tuple[str, ...], object]] = [
        (("workload", "dataset"), system.dataset),
        (("workload", "model"), system.model),
    ]
    named += [
        (("strategies", label, "student"), strategy.student)
        for label, strategy in system.strategies.items()
        if isinstance(strategy, StudentTeaching)
    ]
    for path, one in named:
        if isinstance(one, Findable):
            try:
                one.find()
            except DataError as error:
                yield Problem(path, str(error), remedy="without it, a study ends before anything is trained")


def _has_effect(model: Any, topology: Topology) -> bool:
    """Say whether a failure model can do anything in this topology."""
    if isinstance(model, (LossModel, PacketLossModel, DelayModel)):
        return any(model.applies_to(link) for link in topology.links)
    if isinstance(model, SlowdownModel):
        return any(model.slows(device) for device in topology.devices)
    if isinstance(model, SpeedModel):
        return any(speed != 1.0 for changes in model.speeds(topology).values() for _, speed in changes)
    outcomes = model.outcomes(topology) if isinstance(model, OutageModel) else None
    if outcomes is None:
        return True
    first = list(islice(outcomes, N_MOST_OUTCOMES + 1))
    return len(first) > N_MOST_OUTCOMES or any(probability > 0 and outages for probability, outages in first)


def _places(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Say which folders and files that options name are not there."""
    data = scenario.model_dump(mode="json", by_alias=True, include={"workload", "strategies", "failures", "sweep"})
    for path, mark, name in places(type(scenario), data):
        is_there = Path(name).is_dir() if mark.kind == "folder" else Path(name).is_file()
        if not is_there:
            yield Problem(
                path, f"there is no {mark.kind} {name!r}", remedy="relative names start at the file in which they stand"
            )


def _names(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Say which factors are called like a score, which the study may have."""
    for name in scenario.sweep:
        if name in SCORES:
            yield Problem(
                ("sweep", name),
                f"the factor {name!r} is called like a score, and stands beside it in tables and figures",
                remedy="choose another name, such as the name of what it varies with that of the device or link",
                is_key=True,
            )


def _slow_routes(scenario: ScenarioSpec, system: System) -> Iterator[Problem]:
    """Say where a route of more hops is many times faster than the one that messages take."""
    topology = system.topology
    if topology.routing.metric == "transfer":
        return
    fast = replace(topology, routing=Routing("transfer", topology.routing.message_byte))
    slow = [found for pair in _pairs(system) if (found := _slow_route(topology, fast, *pair)) is not None]
    if not slow:
        return
    times, taken, faster = max(slow)
    size = show(topology.routing.message_byte, "byte")
    others = f", and {len(slow) - 1} other routes are like it" if len(slow) > 1 else ""
    yield Problem(
        ("topology", "routing") if scenario.topology.routing is not None else ("topology",),
        f"messages take the route {taken!r}, over which {size} take {times:.3g} times as long as over {faster!r}{others}",
        remedy="write `routing: {metric: transfer}` in the topology, or `routing:` with `routes:` of your own",
    )


def _pairs(system: System) -> dict[tuple[str, str], None]:
    """Return between which devices routes are looked at: from the source and to the sink."""
    source_id, sink_id = system.source_id, system.sink_id
    devices = system.topology.devices
    ends = [device.device_id for device in devices[:N_MOST_ENDS]]
    starts = ends[: max(1, N_MOST_VISITS // len(devices))]  # each is a search of its own
    pairs = [(source_id, sink_id), *((source_id, end) for end in ends), *((start, sink_id) for start in starts)]
    return dict.fromkeys(pair for pair in pairs if not system.topology.routing.of(*pair))


def _slow_route(topology: Topology, fast: Topology, src_id: str, dst_id: str) -> tuple[float, str, str] | None:
    """Return how many times slower a route is than a longer one, and both; None when it is not many times slower."""
    try:
        taken, faster = topology.route(src_id, dst_id), fast.route(src_id, dst_id)
    except PlanError:  # no route at all
        return None
    size_byte = topology.routing.message_byte
    if len(faster) <= len(taken) or transfer_s(taken, size_byte) < MANY_TIMES * transfer_s(faster, size_byte):
        return None
    times = transfer_s(taken, size_byte) / transfer_s(faster, size_byte)
    return times, _shown(taken), _shown(faster)


def _shown(route: tuple[Link, ...]) -> str:
    return " -> ".join((route[0].src_id, *(link.dst_id for link in route)))


def _warm_up(scenario: ScenarioSpec, system: System) -> Iterator[Problem]:
    """Say when all requests of the first replication are released before the end of the warm-up."""
    load = system.load
    if load is None or load.warm_up_s == 0.0 or not isinstance(load.arrivals, OpenArrivals):
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


def _unused(scenario: ScenarioSpec, system: System) -> Iterator[Problem]:
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
