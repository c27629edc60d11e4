"""Recorded inputs whose times were hardly meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesim.arrivals.trace import Trace
from edgesim.failures.scripted import Scripted
from edgesim.failures.slowdowns import Slowdowns
from edgesim.files.recorded import doubt_of
from edgesim.network.rates import Steps
from edgesim.scenario.form.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.scenario.build import System
    from edgesim.scenario.schema import ScenarioSpec
    from edgesim.scenario.text.source import DataPath

N_FEWEST = 3
"""Fewer times are hardly a recording."""


def late_requests(system: System) -> Iterator[Problem]:
    """Say when requests come at times that hardly count from the start of a trial, e.g. seconds since 1970."""
    arrivals = system.load.arrivals if system.load else None
    if isinstance(arrivals, Trace) and arrivals.start == "zero" and (doubt := doubt_of(arrivals.times_s)):
        yield Problem(("workload", "load", "arrivals"), doubt, remedy="`start: first` counts from the first time")


def late_recordings(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Say where rates, outages or slowdowns begin so long after 0 that their times hardly count from the start of a trial."""
    topology = scenario.topology
    places: dict[DataPath, Any] = {
        ("topology", "links", number): one.rate_at for number, one in enumerate(topology.links)
    }
    places |= {("topology", name): shape.rate_at for name, shape in topology.shapes.items()}
    for number, medium in enumerate(topology.media):
        if not isinstance(medium, str):
            places["topology", "media", number] = medium.rate_at
    times_s = {
        (*place, "rate_at"): [step.time_s for step in rate.steps]
        for place, rate in places.items()
        if isinstance(rate, Steps)
    }
    for label, model in scenario.failures.items():
        if isinstance(model, Scripted):
            times_s["failures", label] = sorted(one.start_s for one in model.outages_at)
        if isinstance(model, Slowdowns):
            times_s["failures", label] = sorted(one.time_s for one in model.steps)
    for path, found_s in times_s.items():
        if len(found_s) >= N_FEWEST and (doubt := doubt_of(found_s)):
            yield Problem(path, doubt, remedy="`start: first` counts the times of a file from its first one")
