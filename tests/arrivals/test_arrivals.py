"""Arrival models against their formulas."""

from __future__ import annotations

from itertools import islice, pairwise, takewhile
from math import sqrt

import pytest

from edgesim.arrivals.closed_loop import ClosedLoop
from edgesim.arrivals.periodic import Periodic
from edgesim.arrivals.poisson import Bursts, Poisson
from edgesim.arrivals.trace import Trace
from edgesim.errors import PlanError
from edgesim.rng import ReplicationStreams, Streams


def streams(index: int = 0, seed: int = 5) -> ReplicationStreams:
    return Streams(seed).replication(index)


def test_periodic_keeps_its_period() -> None:
    """Offset, offset + period, ...; the thousandth is not off by the rounding of a thousand sums."""
    moments = list(islice(Periodic(0.1, 0.05).releases_s(streams()), 1001))
    assert moments[:3] == pytest.approx([0.05, 0.15, 0.25])
    assert moments[1000] == 0.05 + 1000 * 0.1


def test_poisson_has_its_rate_and_no_memory() -> None:
    """40,000 distances: mean 1 / rate and standard deviation as large as the mean, both to 2.5 %."""
    moments = list(islice(Poisson(20.0).releases_s(streams()), 40_001))
    gaps = [after - before for before, after in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    spread = sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert mean == pytest.approx(0.05, rel=3 / sqrt(40_000))
    assert spread == pytest.approx(0.05, rel=0.025)


def test_bursts_have_their_mean_rate_from_the_start() -> None:
    """(c C + b B) / (C + B) = (2 x 3 + 50 x 1) / 4 = 14 per second, in the first second of a replication and later."""
    model = Bursts(calm_rate_hz=2.0, burst_rate_hz=50.0, mean_calm_s=3.0, mean_burst_s=1.0)
    first: list[float] = []
    later: list[float] = []
    for index in range(4_000):
        moments = list(takewhile(lambda moment: moment < 6, model.releases_s(streams(index))))
        first.append(sum(moment < 1 for moment in moments))
        later.append(sum(moment >= 5 for moment in moments))
    for counts in (first, later):
        mean = sum(counts) / len(counts)
        spread = sqrt(sum((count - mean) ** 2 for count in counts) / len(counts) / len(counts))
        assert abs(mean - 14) < 3 * spread < 0.07 * 14


def test_bursts_are_burstier_than_poisson() -> None:
    """The variance of the count over one second is far above its mean, which for a Poisson process is equal to it."""
    model = Bursts(0.0, 50.0, 3.0, 1.0)
    moments = list(takewhile(lambda moment: moment < 2_000, model.releases_s(streams())))
    counts = [0] * 2_000
    for moment in moments:
        counts[int(moment)] += 1
    mean = sum(counts) / 2_000
    variance = sum((count - mean) ** 2 for count in counts) / 2_000
    assert variance > 10 * mean
    with pytest.raises(PlanError, match="exchange them"):
        Bursts(3.0, 2.0, 1.0, 1.0)


def test_closed_loop_thinks_always_as_long() -> None:
    """The think time is the same for every client and request."""
    assert list(islice(ClosedLoop(2, 0.5).thinks_s(streams()), 3)) == [0.5] * 3


def test_a_trace_counts_from_its_first_time_where_it_is_told_to() -> None:
    """Times of day; by default from the start of the trial."""
    assert list(Trace((100.5, 101.0), start="first").releases_s(streams())) == [0.0, 0.5]
    assert list(Trace((100.5, 101.0)).releases_s(streams())) == [100.5, 101.0]


def test_a_trace_file_that_nobody_has_read_is_refused() -> None:
    """As where a sweep names several."""
    with pytest.raises(PlanError, match=r"cannot be swept; write one scenario for each file"):
        Trace(file="times.txt")


@pytest.mark.parametrize("times_s", [(), (1.0, 0.5), (float("inf"),), (-1.0,)])
def test_a_trace_needs_times_in_order(times_s: tuple[float, ...]) -> None:
    with pytest.raises(PlanError, match=r"trace"):
        Trace(times_s)
