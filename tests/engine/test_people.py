"""People as a queue: against Pollaczek-Khinchine and a queue written out, hours of work by hand, and that nothing is lost."""

from __future__ import annotations

from math import exp, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.domain.system.people import DAY_S, People
from edgesim.engine.people import busy_share, clock, looks, worked
from edgesim.errors import PlanError
from edgesim.study.trials.people import service_time_s

H = 3600.0


@pytest.mark.parametrize(("spread", "load"), [(0.5, 0.6), (1.0, 0.5), (0.0, 0.7)])
def test_waits_are_those_of_pollaczek_and_khinchine(spread: float, load: float) -> None:
    """E[W] = lambda E[S^2] / (2 (1 - rho)), three standard errors over 150 trials of which the first 300 samples do not count."""
    people = People(service_s=20.0, service_spread=spread)
    rate_hz = load / people.service_s
    rng = np.random.default_rng(1)
    means = []
    for _ in range(150):
        arrivals = np.cumsum(rng.exponential(1 / rate_hz, 1300))
        found = looks(
            [(at, service_time_s(people, u)) for at, u in zip(arrivals, rng.random(1300), strict=True)], people
        )
        means.append(np.mean([look.started_s - look.arrived_s for look in found[300:]]))
    wanted_s = rate_hz * people.service_s**2 * exp(spread**2) / (2 * (1 - load))
    assert abs(np.mean(means) - wanted_s) < 3 * np.std(means) / np.sqrt(len(means))


def test_service_times_are_log_normal() -> None:
    """Mean and mean square over a fine grid of uniforms."""
    people = People(service_s=20.0, service_spread=0.5)
    times_s = np.array([service_time_s(people, u) for u in (np.arange(20_000) + 0.5) / 20_000])
    assert times_s.mean() == pytest.approx(20, rel=1e-3)
    assert (times_s**2).mean() == pytest.approx(400 * exp(0.25), rel=1e-2)


def test_a_night_interrupts_a_look() -> None:
    """8 h to 10 h: of three samples of 1 h at 9 h the second goes on at 8 h of the next day, the third begins at 9 h and ends in the evening."""
    people = People(begin_s=8 * H, end_s=10 * H)
    found = looks([(9 * H, H), (9 * H, 1.5 * H), (9 * H, 0.5 * H)], people)
    assert [(look.started_s / H, look.ended_s / H) for look in found] == [(9, 10), (32, 33.5), (33.5, 34)]
    assert busy_share(found, people) == pytest.approx(3 / 4)
    assert busy_share(found, people, until_s=24 * H) == pytest.approx(1 / 2)


def test_what_comes_at_night_waits_for_the_morning() -> None:
    people = People(begin_s=8 * H, end_s=10 * H)
    assert [look.started_s / H for look in looks([(3 * H, 60.0), (11 * H, 60.0)], people)] == [8, 32]


def test_two_people_take_turns() -> None:
    """Three samples of 10 s at 0: the third waits 10 s; with three people none does."""
    for number, wait_s in ((1, 20.0), (2, 10.0), (3, 0.0)):
        found = looks([(0.0, 10.0)] * 3, People(number=number))
        assert found[2].started_s == wait_s
        assert busy_share(found, People(number=number)) == pytest.approx(30 / (number * (wait_s + 10)))


@given(
    st.lists(st.tuples(st.floats(0, 3 * DAY_S), st.floats(1, 4 * H)), max_size=20),
    st.integers(1, 3),
    st.sampled_from([(0.0, DAY_S), (8 * H, 17 * H), (23 * H, DAY_S)]),
)
def test_nothing_is_lost_and_nobody_works_at_night(
    arrivals: list[tuple[float, float]], number: int, hours: tuple[float, float]
) -> None:
    """Each sample is looked at as long as it takes, within the hours, in order of arrival, and by no more people than there are."""
    people = People(number=number, begin_s=hours[0], end_s=hours[1])
    found = looks(sorted(arrivals), people)
    assert [look.arrived_s for look in found] == sorted(at for at, _ in arrivals)
    for look in found:
        assert look.arrived_s <= look.started_s <= look.ended_s < inf
        assert worked(look.ended_s, people) - worked(look.started_s, people) == pytest.approx(look.worked_s, abs=1e-6)
    starts = [look.started_s for look in found]
    assert starts == sorted(starts)
    assert all(sum(one.started_s <= at < one.ended_s for one in found) <= number for at in starts)


@given(st.floats(0, 5 * DAY_S))
def test_hours_of_work_and_the_clock_agree(at_s: float) -> None:
    people = People(begin_s=8 * H, end_s=17 * H)
    for is_end in (True, False):
        assert worked(clock(at_s, people, is_end=is_end), people) == pytest.approx(at_s, abs=1e-6)
    assert clock(9 * H, people, is_end=True) == 17 * H
    assert clock(9 * H, people, is_end=False) == DAY_S + 8 * H


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"begin_s": 17 * H, "end_s": 8 * H}, "people work from 17 h to 8 h of a day; expected a time from 0 h on and a later one"),
        ({"end_s": 25 * H}, "from 0 h to 25 h of a day"),
        ({"number": 0}, "number"),
        ({"service_s": 0}, "service_s 0; it must be"),
        ({"sample_km2": 0}, "sample_km2 0; it must be"),
    ],
)  # fmt: skip
def test_people_who_never_work_are_refused(options: dict[str, float], finding: str) -> None:
    with pytest.raises(PlanError, match=finding):
        People(**options)  # type: ignore[arg-type]
