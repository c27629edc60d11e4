"""What is known of a case before its trials: what can strike and how often, and between which values each metric lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.load import is_drawn, lasts_s
from edgesim.domain.metrics import metric_named
from edgesim.domain.plan import Transfer
from edgesim.domain.strike import Strike
from edgesim.failures.sampling.strikes import strikes_of
from edgesim.interfaces import detector_of
from edgesim.network.transport import Datagram
from edgesim.study.tables.statistics import N_ENOUGH, N_SEEN, Prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.engine.program.compiled import Program
    from edgesim.engine.program.spans import Span
    from edgesim.study.cases.design import Case
    from edgesim.study.cases.shared import Shared

Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Rare:
    """Something that strikes in so few trials of a study that these say little about what it does."""

    label: str
    strike: Strike
    n_expected: float

    def __str__(self) -> str:
        return (
            f"failure model {self.label!r} ({self.strike.what}, probability {self.strike.drawn_at:.3g} a trial): "
            f"{self.n_expected:.2g} times expected"
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a case.

    Parameters
    ----------
    strikes : by label of a failure model, what it can do.
    is_drawn : whether trials differ without failures too.
    bounds : by metric, between which values it lies, where that is narrower than `edgesim.domain.metrics` says.
    """

    strikes: Mapping[str, Sequence[Strike]]
    is_drawn: bool
    bounds: Bounds

    def prior(self, metric: str, n: int) -> Prior:
        """Return what is known of a metric when n trials are drawn."""
        lowest, highest = self.bounds.get(metric) or _bounds_of(metric)
        each = [strike for strikes in self.strikes.values() for strike in strikes]
        rare = [strike for strike in each if n * strike.drawn_at < N_SEEN]
        return Prior(lowest, highest, 1.0 if self.is_drawn else _any(each), _any(rare))

    def rare(self, n: int) -> list[Rare]:
        """Return what has not struck often enough in n trials."""
        return [
            Rare(label, strike, n * strike.drawn_at)
            for label, strikes in self.strikes.items()
            for strike in strikes
            if n * strike.drawn_at < N_ENOUGH
        ]

    def unmet(self, n: int) -> list[Rare]:
        """Return what may not have struck at all in n trials; it widens the intervals."""
        return [rare for rare in self.rare(n) if rare.n_expected < N_SEEN]

    def within(self, enumerated: Mapping[str, NDArray[np.float64]], probabilities: NDArray[np.float64]) -> Known:
        """Return the same with the bounds of enumerated outcomes, which are all that can happen."""
        found = dict(self.bounds)
        for metric, values in enumerated.items():
            known = values[(probabilities > 0) & ~(np.isnan(values) & (metric == "latency"))]
            if len(known) and not np.isnan(known).any():
                found[metric] = (float(known.min()), float(known.max()))
        return replace(self, bounds=found)


CERTAIN = Known({}, is_drawn=False, bounds={})
"""Nothing is random."""


def _bounds_of(metric: str) -> tuple[float, float]:
    """Return between which values a metric lies; a score has bounds of its own."""
    try:
        about = metric_named(metric)
    except KeyError:
        return -inf, inf
    return about.lowest, about.highest


def of_difference(metric: str, one: Known, other: Known, n: int) -> Prior:
    """Return what is known of the difference of a metric between two cases that meet the same failures."""
    first, second = one.prior(metric, n), other.prior(metric, n)
    every = Known({**one.strikes, **other.strikes}, one.is_drawn or other.is_drawn, {})
    both = every.prior(metric, n)
    return replace(both, lowest=first.lowest - second.highest, highest=first.highest - second.lowest)


def known_of(shared: Shared, case: Case) -> Known:
    """Return what is known of a case."""
    prepared = shared.prepared[case.prepared]
    spans = prepared.program.spans[: len(prepared.shares)]  # without those of what may take over
    each = [_strikes(case, prepared.program, span) for span in spans]
    strikes = each[0] if len(each) == 1 else _mixed(each, prepared.shares)
    scores = {score.name: (score.low, score.high) for score in prepared.scores}
    traffic = [_most_traffic(prepared.program, span) for span in spans]
    has_bound = all(traffic) and not _may_send_more(case)
    most = {metric: (0.0, max(bounds[metric][1] for bounds in traffic)) for metric in traffic[0] if has_bound}
    is_random = len(each) > 1 or (case.load is not None and is_drawn(case.load.arrivals))
    return Known(strikes, is_random, {**scores, **most})


def _may_send_more(case: Case) -> bool:
    """Return whether a trial may have more traffic than its requests for one attempt: what is sent again, heartbeats."""
    recovery = case.recovery
    return recovery is not None and (recovery.again_s(1) is not None or detector_of(recovery) is not None)


def _strikes(case: Case, program: Program, span: Span) -> dict[str, list[Strike]]:
    """Return by label what each failure model can do in a trial whose requests follow one plan."""
    steps = program.steps
    n_requests = 1 if case.load is None else case.load.requests or 1
    own = [hop for index in span.steps for hop in steps.hops[index]]
    crossings = [(hop.link, hop.n_packets) for hop in own]
    everywhere = () if program.detours is None else program.detours.links
    used = frozenset(program.devices.device_ids) | {
        hop.link.link_id for hops in (*steps.hops, everywhere) for hop in hops
    }
    costs = [cost for index, cost in steps.host_costs.items() if index in span.steps]
    hosts_s = sum(cost.sending_s + cost.receiving_s(1.0) for cost in costs)
    computing_s = sum(steps.duration_s[span.steps.start : span.steps.stop])
    alone_s = computing_s + hosts_s + sum(hop.occupation_s + hop.link.latency_s for hop in own)
    duration_s = max(alone_s, lasts_s(case.load))  # one request alone, or as long as requests come
    return strikes_of(case.failures, case.topology, used, crossings, duration_s, n_requests=n_requests)


def _mixed(each: Sequence[Mapping[str, Sequence[Strike]]], shares: Sequence[float]) -> dict[str, list[Strike]]:
    """Return what models can do where each plan is followed by a share of the requests; one that can do it in no plan is left out."""
    found: dict[str, dict[tuple[int, str], Strike]] = {}
    for strikes, share in zip(each, shares, strict=True):
        for label, some in strikes.items():
            own = found.setdefault(label, {})
            for key, strike in (((number, one.what), one) for number, one in enumerate(some)):
                before = own.get(key, Strike(strike.what, 0.0, 0.0))
                probability, drawn_at = share * strike.probability, share * strike.drawn_at
                own[key] = Strike(strike.what, before.probability + probability, before.drawn_at + drawn_at)
    return {label: list(by_key.values()) for label, by_key in found.items()}


def _most_traffic(program: Program, span: Span) -> Bounds:
    """Return how much traffic a request can cause where nothing is sent again: that of a plan of which every message is sent."""
    steps = program.steps
    own = [(steps.step[index], steps.hops[index]) for index in span.steps]
    if not all(
        hop.link.transport is None or isinstance(hop.link.transport, Datagram) for _, hops in own for hop in hops
    ):
        return {}
    most: dict[str, float] = {"traffic": 0.0, "traffic_input": 0.0, "traffic_intermediate": 0.0, "traffic_result": 0.0}
    for step, hops in own:
        if isinstance(step, Transfer):
            n_byte = float(sum(hop.traffic_byte for hop in hops))
            most[f"traffic_{step.kind}"] += n_byte
            most["traffic"] += n_byte
    return {metric: (0.0, n_byte) for metric, n_byte in most.items()}


def _any(strikes: Sequence[Strike]) -> float:
    """Return the probability that any of independent strikes happens."""
    return 1.0 - prod(1.0 - strike.probability for strike in strikes)
