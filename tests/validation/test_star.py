"""The contestants of benchmarks/engine.py give the same answer, and a wrong answer is refused."""

from __future__ import annotations

import pytest
from star import DEADLINE_S, LOSS, ROUND_S, check, latency_moments, random_rounds
from star_contestants import FIXED, RANDOM, counts

MAY_BE_ABSENT = {"leaf", "ns"}
N_DEVICES = 3


def rounds_of(contestants, name, n_rounds):
    try:
        run = contestants[name](N_DEVICES)
    except ModuleNotFoundError as error:
        if error.name not in MAY_BE_ABSENT:
            raise
        pytest.skip(f"{name}: {error}")
    return run(n_rounds)()


@pytest.mark.parametrize("name", FIXED)
def test_a_round_takes_23_ms(name: str) -> None:
    """In every simulator, also the tenth."""
    lengths_s = rounds_of(FIXED, name, 10)
    assert list(lengths_s) == pytest.approx([0.023] * 10)
    assert check(lengths_s, N_DEVICES, 10, is_random=False) == pytest.approx(0.23)


@pytest.mark.parametrize("name", RANDOM)
def test_random_rounds_are_as_expected(name: str) -> None:
    """Length, energy, losses and bytes, within six standard errors: 3 % of the losses in 300,000 rounds.

    The event engine has too few rounds to notice less than half of the losses; it is tested on losses elsewhere.
    """
    n_rounds = 1000 if "event" in name else 300_000
    check(rounds_of(RANDOM, name, n_rounds), N_DEVICES, n_rounds, is_random=True)


@pytest.mark.parametrize("n_devices", [2, 4])
def test_a_round_of_equal_devices_takes_two_events_of_simpy(n_devices: int) -> None:
    """All of them have computed at one moment, and are heard at another; by hand each does so alone."""
    assert counts("edgesim, event engine", n_devices, 20)["events"] == 2
    assert counts("SimPy, callbacks", n_devices, 20)["events"] == 2 * n_devices


def test_the_expected_length_of_one_device_alone() -> None:
    """(1 - p) (a + 1 / r) + p D, but for the 2e-7 of the exponentials that are late."""
    mean_s, _ = latency_moments(1)
    assert mean_s == pytest.approx((1 - LOSS) * (ROUND_S + 0.005) + LOSS * DEADLINE_S, rel=1e-6)


def test_wrong_answers_are_refused() -> None:
    """A round too few, a round that is 1 us long, random rounds that take 5 % more, a lost byte."""
    fixed, (mean_s, _) = [ROUND_S] * 10, latency_moments(N_DEVICES)
    for lengths_s in (fixed[1:], [*fixed[1:], ROUND_S + 1e-6]):
        with pytest.raises(SystemExit):
            check(lengths_s, N_DEVICES, 10, is_random=False)
    with pytest.raises(SystemExit):
        check([1.05 * mean_s] * 10_000, N_DEVICES, 10_000, is_random=True)
    with pytest.raises(SystemExit, match="byte"):
        random_rounds(N_DEVICES, [mean_s], [0.3], [29_999], [0])
