"""Factors as ranges, factors that move together, and points that are left out."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.errors import ScenarioError
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario


def findings(data: dict[str, Any]) -> list[str]:
    """Return every finding as one text."""
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_data(data)
    return [f"{'.'.join(map(str, one.path))}: {one.message}" for one in caught.value.findings]


@pytest.mark.parametrize(
    ("given", "levels"),
    [
        ({"from": 0, "to": 2, "n": 3}, (0, 1, 2)),
        ({"from": 3, "to": 0, "n": 4}, (3, 2, 1, 0)),
        ({"from": 0, "to": 1, "n": 3}, (0.0, 0.5, 1.0)),
        ({"from": 0.1, "to": 0.4, "n": 4}, (0.1, 0.2, 0.3, 0.4)),
        ({"from": 1e-6, "to": 1e-2, "n": 5, "scale": "log"}, (1e-06, 1e-05, 0.0001, 0.001, 0.01)),
        ({"from": 1, "to": 1024, "n": 6, "scale": "log"}, (1, 4, 16, 64, 256, 1024)),
        ({"from": "1 ms", "to": "1 s", "n": 4, "scale": "log"}, ("0.001 s", "0.01 s", "0.1 s", "1 s")),
        ({"from": "1 Mbit/s", "to": "1 MB/s", "n": 2}, ("1000000 bit/s", "8000000 bit/s")),
    ],
)
def test_a_range_has_both_ends_and_equal_steps(small: dict[str, Any], given: Any, levels: Any) -> None:
    """Equal differences, or ratios on a log scale; whole numbers stay whole where all are; quantities keep units."""
    path = "topology.links.0.latency" if levels[0] == "0.001 s" else "topology.links.0.bandwidth"
    if not isinstance(levels[0], str):
        small["failures"]["loss"] = {"type": "bernoulli", "probability": 0.5}
        path = "seed" if isinstance(levels[0], int) else "failures.loss.probability"
    small["sweep"] = {"x": {"path": path, **given}}
    scenario = Scenario.from_data(small)
    assert scenario.sweep["x"].levels == levels
    assert [type(value) for value in scenario.sweep["x"].levels] == [type(value) for value in levels]
    assert Scenario.from_data(scenario.resolved()) == scenario
    for point in scenario.points():
        build(scenario.at(point))


def test_percentages_are_swept_and_compared_as_the_numbers_they_are(small: dict[str, Any]) -> None:
    """As values, as ends of a range, in conditions."""
    small["failures"] = {"loss": {"type": "bernoulli", "probability": "1 %"}}
    small["sweep"] = {
        "loss": {"path": "failures.loss.probability", "from": "1 %", "to": "9 %", "n": 3},
        "alike": {"path": "failures.loss.sampled_at", "values": ["2 %", 0.5]},
    }
    small["skip"] = ["loss > 5 %"]
    scenario = Scenario.from_data(small)
    assert scenario.failures["loss"].probability == 0.01
    assert [tuple(point.values()) for point in scenario.points()] == [
        (0.01, "2 %"),
        (0.01, 0.5),
        (0.05, "2 %"),
        (0.05, 0.5),
    ]
    assert scenario.at({"alike": "2 %"}).failures["loss"].sampled_at == 0.02


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "a factor with neither values nor a range"),
        ({"values": [1], "from": 1, "to": 2, "n": 2}, "a factor with `values`, `from`, `to`, `n`"),
        ({"from": 1, "n": 2}, "a factor with `from`, `n`"),
        ({"from": 1, "to": "2 s", "n": 2}, "a range from 1 to '2 s' has no values between"),
        ({"from": "1 J", "to": "2 s", "n": 2}, "a range from '1 J' to '2 s' has no values between"),
        ({"from": 1, "to": 1, "n": 2}, "a range from 1 to 1 has one value"),
        ({"from": 0, "to": 1, "n": 2, "scale": "log"}, "a log range from 0 to 1 does not exist; both ends must be positive"),
        ({"from": "a", "to": "b", "n": 2}, "'a' is no quantity; write a number with a unit such as '5 ms'"),
    ],
)  # fmt: skip
def test_what_is_no_factor_is_told(small: dict[str, Any], given: dict[str, Any], message: str) -> None:
    """One form or the other, whole, with ends that have values between them."""
    small["sweep"] = {"x": {"path": "failures.loss.k", **given}}
    assert findings(small) == [f"sweep.x: {message}"]


def test_values_of_a_range_are_checked_against_the_scenario(small: dict[str, Any]) -> None:
    """Four of three devices cannot be lost."""
    small["sweep"] = {"x": {"path": "failures.loss.k", "from": 0, "to": 4, "n": 5}}
    [finding] = findings(small)
    assert finding.startswith("sweep.x: with failures.loss.k = 4: ")


def test_factors_move_together_or_are_crossed(small: dict[str, Any]) -> None:
    """Two that move together give their pairs, each crossed with the third; columns stay in the order of the file."""
    small["sweep"] = {
        "rate": {"path": "topology.links.0.bandwidth", "values": ["1 Mbit/s", "2 Mbit/s"], "with": "delay"},
        "lost": {"path": "failures.loss.k", "values": [0, 1]},
        "delay": {"path": "topology.links.0.latency", "from": "1 ms", "to": "3 ms", "n": 2},
    }
    points = Scenario.from_data(small).points()
    assert [tuple(point.values()) for point in points] == [
        ("1 Mbit/s", 0, "0.001 s"),
        ("2 Mbit/s", 0, "0.003 s"),
        ("1 Mbit/s", 1, "0.001 s"),
        ("2 Mbit/s", 1, "0.003 s"),
    ]
    assert list(points[0]) == ["rate", "lost", "delay"]


@pytest.mark.parametrize(
    ("with_", "message"),
    [
        ("los", "no other factor 'los'"),
        ("x", "no other factor 'x'"),
        ("lost", "'x' has 2 values, 'lost' has 3"),
        ("y", "'y' moves with 'lost' itself"),
    ],
)
def test_factors_that_cannot_move_together_are_told(small: dict[str, Any], with_: str, message: str) -> None:
    """Another factor, one that leads, with as many values."""
    small["sweep"] = {
        "lost": {"path": "failures.loss.k", "values": [0, 1, 2]},
        "x": {"path": "seed", "values": [1, 2], "with": with_},
        "y": {"path": "topology.links.0.latency", "from": "1 ms", "to": "3 ms", "n": 3, "with": "lost"},
    }
    assert f"sweep.x.with: {message}" in findings(small)


@pytest.mark.parametrize(
    ("skip", "left"),
    [
        (["lost >= seed"], [(0, 1), (0, 2), (1, 2)]),
        (["lost == 2 and seed != 1", "lost==1"], [(0, 1), (0, 2), (2, 1)]),
        (["lost > 0.5"], [(0, 1), (0, 2)]),
        (["lost == two"], [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]),
    ],
)
def test_points_are_left_out(small: dict[str, Any], skip: list[str], left: list[tuple[int, int]]) -> None:
    """Where all comparisons of a condition hold; several conditions are alternatives."""
    small["sweep"]["lost"] = small["sweep"].pop("lost_devices")
    small["sweep"]["seed"] = {"path": "seed", "values": [1, 2]}
    scenario = Scenario.from_data(small | {"skip": skip})
    assert [(point["lost"], point["seed"]) for point in scenario.points()] == left
    assert Scenario.from_data(scenario.resolved()).points() == scenario.points()
    assert scenario.at(scenario.points()[0]).points() == ({},)


def test_quantities_are_compared_by_value(small: dict[str, Any]) -> None:
    """1,000 ms are 1 s."""
    small["sweep"] = {"delay": {"path": "topology.links.0.latency", "values": ["1 s", "2000 ms", "3 s"]}}
    points = Scenario.from_data(small | {"skip": ["delay == 1000 ms", "delay > 2 s"]}).points()
    assert points == ({"delay": "2000 ms"},)


def test_what_is_left_out_is_not_checked(small: dict[str, Any]) -> None:
    """Three of two devices cannot be lost, and need not be."""
    small["sweep"] = {
        "lost": {"path": "failures.loss.k", "values": [0, 3]},
        "devices": {"path": "topology.devices.1.id", "values": ["w{1..2}", "w{1..3}"]},
    }
    assert "not valid together" in findings(small)[0]
    assert len(Scenario.from_data(small | {"skip": ["lost == 3 and devices == w{1..2}"]}).points()) == 3


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("lost_device > 1", "no factor 'lost_device'"),
        ("lost_devices", "'lost_devices' is no comparison"),
        ("__import__('os').abort()", "\"__import__('os').abort()\" is no comparison"),
        ("lost_devices > 1 and seed", "'seed' is no comparison"),
    ],
)
def test_what_is_no_condition_is_told(small: dict[str, Any], condition: str, message: str) -> None:
    """Nothing is evaluated but comparisons of factors."""
    assert findings(small | {"skip": [condition]}) == [f"skip.0: {message}"]


def test_all_points_left_out_is_told(small: dict[str, Any]) -> None:
    """There would be nothing to run."""
    assert findings(small | {"skip": ["lost_devices >= 0"]}) == ["skip: every factor point is left out"]


def test_two_factors_of_one_path_are_told(small: dict[str, Any]) -> None:
    """The second would overwrite the first."""
    small["sweep"]["again"] = {"path": "failures.loss.k", "values": [1]}
    assert findings(small) == ["sweep.again.path: 'failures.loss.k' is what the factor 'lost_devices' varies already"]


def test_conditions_that_are_no_texts_are_told(small: dict[str, Any]) -> None:
    """Beside a sweep whose points they would leave out."""
    assert findings(small | {"skip": [1]}) == ["skip.0: entry 1 of 'skip' is the number 1"]


def test_a_range_from_what_is_no_number_is_told_beside_conditions(small: dict[str, Any]) -> None:
    """All alternatives of one value fail: they are one finding, not none."""
    small["sweep"]["x"] = {"path": "failures.loss.k", "from": {"a": 1}, "to": 2, "n": 2}
    assert findings(small | {"skip": ["x > 1"]}) == ["sweep.x.from: 'from' is a mapping"]


@pytest.mark.parametrize("name", ["mean", "latency", "answered", "accuracy"])
def test_a_factor_is_not_called_like_a_column_or_metric(small: dict[str, Any], name: str) -> None:
    small["sweep"] = {name: {"path": "seed", "values": [1, 2]}}
    assert findings(small) == [f"sweep.{name}: {name!r} is a column of the result tables"]
