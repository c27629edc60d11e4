"""Failure models: combinatorics, probabilities, common random numbers."""

from __future__ import annotations

from collections import Counter
from math import comb, sqrt

import pytest

from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import PlanError
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.sampling.draw import draw_outages, enumerate_outages
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 1, 1.0, 1.0, 1.0, 1.0, "assumed")


def topology(n: int) -> Topology:
    ids = ["hub", *(f"w{i}" for i in range(n))]
    links = tuple(Link(f"{name}->hub", name, "hub", 1e6) for name in ids[1:])
    return Topology(tuple(Device(name, PROFILE) for name in ids), links)


@pytest.mark.parametrize("k", range(9))
def test_exactly_k_lists_every_subset_once(k: int) -> None:
    """C(8, k) distinct subsets of k devices, never the hub, with probabilities that sum to 1."""
    outcomes = list(ExactlyK(k, "w*").outcomes(topology(8)))
    subsets = {frozenset(outage.target_id for outage in outages) for _, outages in outcomes}
    assert len(outcomes) == len(subsets) == comb(8, k)
    assert all(len(subset) == k and "hub" not in subset for subset in subsets)
    assert sum(probability for probability, _ in outcomes) == pytest.approx(1.0)


def test_exactly_k_draws_every_subset_equally_often() -> None:
    """2 of 5 over 5,000 replications: each of the 10 subsets within four standard errors of 500."""
    counts: Counter[frozenset[str]] = Counter()
    streams = Streams(11)
    for index in range(5000):
        outages = ExactlyK(2, "w*").outages(topology(5), streams.replication(index))
        counts[frozenset(outage.target_id for outage in outages)] += 1
    assert len(counts) == 10
    assert all(abs(count - 500) < 4 * sqrt(5_000 * 0.1 * 0.9) for count in counts.values())


def test_a_further_device_moves_no_other_draw() -> None:
    """Streams are named by the device: those that are lost among eight stay lost among nine, unless the ninth is."""
    for index in range(50):
        eight = {o.target_id for o in ExactlyK(3, "w*").outages(topology(8), Streams(2).replication(index))}
        nine = {o.target_id for o in ExactlyK(3, "w*").outages(topology(9), Streams(2).replication(index))}
        assert nine - {"w8"} <= eight


def test_k_above_the_number_of_devices_is_refused() -> None:
    """The message names k, the pattern and the number of devices."""
    with pytest.raises(PlanError, match=r"k = 4, but targets 'w\*' matches 3"):
        list(ExactlyK(4, "w*").outcomes(topology(3)))


def test_two_models_of_one_kind_draw_independently() -> None:
    """Labels scope the streams: two exactly-k models lose different devices in most replications."""
    models = {"a": ExactlyK(1, "w*"), "b": ExactlyK(1, "w*")}
    n_equal = 0
    for index in range(100):
        first, second = draw_outages(models, topology(8), Streams(5).replication(index))
        n_equal += first.target_id == second.target_id
    assert n_equal < 30


def test_outcomes_of_two_models_multiply() -> None:
    """C(4,1) x C(4,2) combinations; None above the limit; lost messages are left aside."""
    models = {"a": ExactlyK(1, "w*"), "b": ExactlyK(2, "w*")}
    outcomes = enumerate_outages(models, topology(4), n_most=24)
    assert outcomes is not None
    assert len(outcomes) == 24
    assert sum(probability for probability, _ in outcomes) == pytest.approx(1.0)
    assert enumerate_outages(models, topology(4), n_most=23) is None
    assert enumerate_outages({**models, "loss": Bernoulli(0.1)}, topology(4), n_most=100) == outcomes


def test_draws_do_not_depend_on_how_many_were_taken_elsewhere() -> None:
    """A number depends on seed, name, replication and how many were drawn before only, also behind those that are kept."""

    def numbers(index: int, n: int) -> list[float]:
        draws = Streams(9).replication(index)("loss")
        return [draws.uniform() for _ in range(n)]

    assert numbers(3, 100)[:20] == numbers(3, 20)
    assert len(set(numbers(3, 100) + numbers(4, 100))) == 200
