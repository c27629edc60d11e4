"""Scenarios: points, resolution, hash and round trips."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from edgesim.errors import ScenarioError, UnknownNameError
from edgesim.failures.exactly_k import ExactlyK
from edgesim.scenario.build import build
from edgesim.scenario.form.spec import Spec
from edgesim.scenario.scenario import Scenario
from edgesim.units import show

WEARABLES = Path(__file__).parents[2] / "scenarios" / "wearables.yaml"


def test_the_shipped_scenario_is_what_it_says() -> None:
    """A hub and eight wearables in one cell, five strategies, 0 to 7 of 8 lost."""
    scenario = Scenario.load(WEARABLES)
    assert list(scenario.strategies) == ["single", "modnn", "nonn", "resilient", "ensemble"]
    assert scenario.points() == tuple({"lost_devices": k} for k in range(8))
    system = build(scenario)
    assert len(system.topology.devices) == 9
    assert {link.medium_id for link in system.topology.links} == {"cell"}


def test_a_scenario_without_a_sweep_has_one_empty_point(small: dict[str, Any]) -> None:
    """So that a study is always a loop over points."""
    del small["sweep"]
    scenario = Scenario.from_data(small)
    assert scenario.points() == ({},)
    assert scenario.at({}) == scenario


def test_points_are_all_combinations_with_the_last_factor_fastest(small: dict[str, Any]) -> None:
    """In the order in which the file says them."""
    small["sweep"] = {
        "rate": {"path": "topology.links.0.bandwidth", "values": ["1 Mbit/s", "2 Mbit/s"]},
        "lost_devices": {"path": "failures.loss.k", "values": [0, 1]},
    }
    points = Scenario.from_data(small).points()
    assert [tuple(point.values()) for point in points] == [
        ("1 Mbit/s", 0),
        ("1 Mbit/s", 1),
        ("2 Mbit/s", 0),
        ("2 Mbit/s", 1),
    ]


@pytest.mark.parametrize(
    ("path", "value", "read"),
    [
        ("failures.loss.k", 2, lambda system: system.failures["loss"].k),
        ("topology.links.0.latency", "7 ms", lambda system: system.topology.links[-1].latency_s * 1000),
        ("topology.devices.1.profile", "phone", lambda system: system.topology.devices[-1].profile.name),
        ("topology.devices.1.id", "w{1..2}", lambda system: len(system.topology.devices)),
        ("profiles.wearable.memory", "3 B", lambda system: system.topology.devices[-1].profile.memory_byte),
        ("profiles.wearable.power.busy", "3 W", lambda system: system.topology.devices[-1].profile.busy_w),
        ("workload.deadline", "3 s", lambda system: system.deadline_s),
        ("workload.training.epochs", 3, lambda system: system.training.epochs),
        ("workload.source", "w1", lambda system: system.source_id),
        ("seed", 3, lambda system: system.seed),
    ],
)
def test_every_knob_can_be_swept(small: dict[str, Any], path: str, value: object, read: Any) -> None:
    """Options, quantities that have defaults, numbers of catalog profiles, the number of devices, the seed."""
    small["sweep"] = {"factor": {"path": path, "values": [value]}}
    scenario = Scenario.from_data(small)
    result = read(build(scenario.at({"factor": value})))
    assert str(result).removesuffix(".0") == str({"7 ms": 7, "w{1..2}": 3}.get(str(value), value)).split()[0]
    assert read(build(scenario)) != result


def test_at_refuses_factors_that_are_not_swept(small: dict[str, Any]) -> None:
    """With the nearest one."""
    with pytest.raises(UnknownNameError, match="nearest 'lost_devices'"):
        Scenario.from_data(small).at({"lost_device": 1})


def test_at_may_leave_factors_at_what_the_scenario_says(small: dict[str, Any]) -> None:
    """The base value counts."""
    assert Scenario.from_data(small).at({}).failures["loss"] == ExactlyK(1, "w*")


def test_with_changes_only_what_it_is_given(small: dict[str, Any]) -> None:
    """And checks it."""
    scenario = Scenario.from_data(small)
    changed = scenario.with_(seed=7)
    assert (changed.seed, changed.replications) == (7, scenario.replications)
    with pytest.raises(ScenarioError, match="at least 1"):
        scenario.with_(replications=0)


def test_resolved_says_everything_as_texts_with_units(small: dict[str, Any]) -> None:
    """Defaults, plug-in types and the numbers of catalog profiles are written out, so that a later catalog changes nothing."""
    resolved = Scenario.from_data(small).resolved()
    assert resolved["profiles"]["wearable"]["compute_rate"]["conv"] == "6770000000 FLOP/s"
    assert resolved["topology"]["links"][0]["mtu"] == "1472 byte"
    assert resolved["strategies"]["single"]["type"] == "single"
    assert json.loads(json.dumps(resolved)) == resolved


def test_short_and_long_forms_are_the_same_scenario(small: dict[str, Any]) -> None:
    """Bare names, labels that are types, units and the order of keys do not count."""
    other = copy.deepcopy(small)
    other["workload"]["dataset"] = {"type": "digits"}
    other["strategies"] = {"single": {"type": "single", "device": "hub"}}
    other["topology"]["links"][0]["latency"] = "0.002 s"
    other["profiles"] = {"phone": {"extends": "phone"}}
    other["failures"] = {"none": {"type": "bernoulli", "probability": 0.0}, **other["failures"]}
    small["failures"]["none"] = {"type": "bernoulli", "probability": 0}
    other = dict(reversed(other.items()))
    assert Scenario.from_data(other) == Scenario.from_data(small)
    assert Scenario.from_data(other).hash() == Scenario.from_data(small).hash()


def test_the_hash_changes_with_every_knob(small: dict[str, Any]) -> None:
    """Otherwise a changed study would pass for the old one."""
    scenario = Scenario.from_data(small)
    others = [
        scenario.with_(seed=2),
        scenario.with_(replications=3),
        *(scenario.at(point) for point in scenario.points()),
    ]
    assert len({scenario.hash(), *(other.hash() for other in others)}) == 6


def test_a_scenario_survives_pickling(small: dict[str, Any]) -> None:
    """Worker processes receive it."""
    scenario = Scenario.from_data(small)
    assert pickle.loads(pickle.dumps(scenario)) == scenario  # noqa: S301 - our own bytes


quantity = st.floats(1e-9, 1e9)
ends = st.sampled_from([{"between": ["hub", "w*"]}, {"between": ["w*", "hub"]}])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_resolved_makes_an_equal_scenario(small: dict[str, Any], data: st.DataObject) -> None:
    """Whatever the scenario says, and at every point of its sweep."""
    small = copy.deepcopy(small)
    n_devices = data.draw(st.integers(2, 12))
    small["topology"]["devices"][1]["id"] = f"w{{1..{n_devices}}}"
    small["topology"]["devices"][1]["profile"] = data.draw(
        st.sampled_from(["wearable", {"extends": "raspberry-pi-4b", "power": {"busy": "7 W"}}])
    )
    small["topology"]["devices"][0]["position"] = data.draw(st.none() | st.just(["1.5 m", "-2 km"]))
    link = data.draw(ends) | {
        "bandwidth": f"{data.draw(quantity)!r} kbit/s",
        "latency": show(data.draw(quantity), "s"),
        "mtu": f"{data.draw(st.integers(1, 65536))} B",
    }
    small["topology"]["links"] = [link]
    small["workload"]["deadline"] = data.draw(st.none() | quantity.map(lambda value: f"{value!r} ms"))
    small["replications"] = data.draw(st.integers(1, 10**6))
    small["sweep"]["mtu"] = {"path": "topology.links.0.mtu", "values": ["1 kB", "2 kB"]}
    scenario = Scenario.from_data(small)
    again = Scenario.from_data(scenario.resolved())
    assert again == scenario
    assert again.hash() == scenario.hash()
    assert build(again).topology == build(scenario).topology
    point = data.draw(st.sampled_from(scenario.points()))
    assert again.at(point) == scenario.at(point)


def specs(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return the parts of a scenario."""
    return [model, *(one for child in model.__subclasses__() for one in specs(child))]


def test_every_key_has_a_description() -> None:
    """Editors show it, and the JSON schema is made of it."""
    for model in specs(Spec):
        for name, info in model.model_fields.items():
            assert info.description, f"{model.__name__}.{name}"
