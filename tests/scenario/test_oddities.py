"""What is legal but odd."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.scenario.build import build
from edgesim.scenario.help.deadlines import least_delays_s
from edgesim.scenario.help.oddities import oddities
from edgesim.scenario.scenario import Scenario


def odd(data: dict[str, Any]) -> list[str]:
    """Return the places of what is odd."""
    return [".".join(map(str, one.path)) for one in oddities(Scenario.from_data(data))]


def test_an_ordinary_scenario_is_not_odd(small: dict[str, Any]) -> None:
    """Nothing to say."""
    assert odd(small) == []


@pytest.mark.parametrize(
    ("load", "is_odd"),
    [
        ({"arrivals": {"type": "periodic", "period": "1 s"}, "requests": 3, "warm_up": "2001 ms"}, True),
        ({"arrivals": {"type": "periodic", "period": "1 s"}, "requests": 3, "warm_up": "2 s"}, False),
        ({"arrivals": {"type": "poisson", "rate": "1 /s"}, "requests": 3, "warm_up": "100 s"}, True),
        ({"arrivals": {"type": "poisson", "rate": "1 /s"}, "horizon": "101 s", "warm_up": "100 s"}, False),
        ({"arrivals": {"type": "trace", "times": ["1 s", "2 s"]}, "warm_up": "3 s"}, True),
        ({"arrivals": "closed-loop", "requests": 3, "warm_up": "100 s"}, False),  # nobody knows when they come
    ],
)
def test_a_warm_up_that_leaves_no_request(load: dict[str, Any], is_odd: object, small: dict[str, Any]) -> None:
    """Unless it is swept."""
    small["workload"]["load"] = load
    assert (odd(small) == ["workload.load.warm_up"]) == is_odd
    small["sweep"] = {"x": {"path": "workload.load.warm_up", "values": ["1 ms", "5 s"]}}
    assert odd(small) == []


@pytest.mark.parametrize(
    ("model", "is_odd"),
    [
        ({"type": "exactly-k", "targets": "w*", "k": 0}, True),
        ({"type": "exactly-k", "targets": "w*", "k": 1}, False),
        ({"type": "bernoulli", "probability": 0.0}, True),
        ({"type": "bernoulli", "probability": 0.1}, False),
    ],
)
def test_failure_models_without_effect(model: dict[str, Any], is_odd: object, small: dict[str, Any]) -> None:
    """Unless the sweep gives them one."""
    small["failures"]["other"] = model
    assert (odd(small) == ["failures.other"]) == is_odd
    small["sweep"] = {"x": {"path": f"failures.other.{list(model)[-1]}", "values": [0, 1]}}
    assert "failures.other" not in odd(small)


def test_a_deadline_that_messages_alone_exceed(small: dict[str, Any]) -> None:
    """The fastest way counts: two hops of 2 ms from w1 to w2."""
    small["workload"] |= {"source": "w1", "sink": "w2", "deadline": "4 ms"}
    topology = build(Scenario.from_data(small)).topology
    assert least_delays_s(topology, "w1")["w2"] == pytest.approx(0.004)
    assert least_delays_s(topology, "w1", is_towards=True)["w2"] == pytest.approx(0.004)
    assert odd(small) == ["workload.deadline"]
    small["workload"]["deadline"] = "5 ms"
    assert odd(small) == []


@pytest.mark.parametrize(("deadline", "is_odd"), [("1 us", True), ("2.0016 ms", True), ("2.1 ms", False)])
def test_a_step_that_waits_shorter_than_any_message_takes(deadline: str, is_odd: object, small: dict[str, Any]) -> None:
    """2 ms of latency and 4 byte over 20 Mbit/s, 1.6 us; unless it is swept."""
    small["strategies"] = {
        "modnn": {"owner": "hub", "workers": "w*", "on_missing": "degrade", "step_deadline": deadline}
    }
    assert (odd(small) == ["strategies.modnn.step_deadline"]) == is_odd
    small["sweep"] = {"x": {"path": "strategies.modnn.step_deadline", "values": ["1 us", "5 s"]}}
    small["failures"] = {}
    assert odd(small) == []


@pytest.mark.parametrize("strategy", ["nonn", "ensemble"])
@pytest.mark.parametrize(("deadline", "is_odd"), [("3 ms", True), ("4.0032 ms", True), ("4.1 ms", False)])
def test_a_merger_that_waits_shorter_than_two_messages_take(
    strategy: str, deadline: str, is_odd: object, small: dict[str, Any]
) -> None:
    """The input to a device and its answer back, 2 x (2 ms + 1.6 us) at least."""
    small["strategies"] = {strategy: {"students": 3, "devices": "w*", "deadline": deadline}}
    assert (odd(small) == [f"strategies.{strategy}.deadline"]) == is_odd


def test_a_merger_beside_the_source_waits_for_one_message(small: dict[str, Any]) -> None:
    """The source's own student sends once."""
    small["workload"] |= {"source": "w1"}
    small["strategies"] = {"nonn": {"students": 3, "devices": "w*", "deadline": "3 ms"}}
    assert odd(small) == []


def test_a_factor_that_is_called_like_a_score(small: dict[str, Any]) -> None:
    """Both would stand under one name."""
    small["sweep"] = {"f1_macro": {"path": "topology.links.0.latency", "values": ["1 ms", "2 ms"]}}
    assert odd(small) == ["sweep.f1_macro"]


def test_unused_profiles_and_media(small: dict[str, Any]) -> None:
    """Written for nothing."""
    small["profiles"] = {"mine": {"extends": "phone"}}
    small["topology"]["media"] = ["cell", "air"]
    assert odd(small) == ["profiles.mine", "topology.media.1"]
