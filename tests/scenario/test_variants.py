"""A scenario is checked once: its factor points read again what they touch, and share what they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edgesim.errors import ScenarioError
from edgesim.scenario import schema
from edgesim.scenario.build import build
from edgesim.scenario.check import sweep, variants, whole
from edgesim.scenario.form.paths import with_value
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.prepare import OncePerKey


def swept(small: dict[str, Any], n_rates: int, n_losses: int) -> dict[str, Any]:
    """Return a sweep of bandwidths and failures."""
    rates = [f"{number} Mbit/s" for number in range(1, n_rates + 1)]
    small["failures"] = {"loss": {"type": "bernoulli", "probability": 0.1}}
    small["sweep"] = {
        "bandwidth": {"path": "topology.links.0.bandwidth", "values": rates},
        "loss": {"path": "failures.loss.probability", "values": [0.5 * n / n_losses for n in range(n_losses)]},
    }
    return small


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, *places: tuple[Any, str]) -> Iterator[list[str]]:
    """Note each call of some functions by its name."""
    calls: list[str] = []

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return function(*arguments, **options)

        return note

    with monkeypatch.context() as patch:
        for module, name in places:
            patch.setattr(module, name, noting(name, getattr(module, name)))
        yield calls


@pytest.mark.parametrize(("n_rates", "n_losses"), [(4, 4), (4, 8), (8, 8)])
def test_a_topology_is_built_once_for_each_that_differs(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch, n_rates: int, n_losses: int
) -> None:
    """From reading the scenario to the systems of all its points; it was built several times for each point."""
    data = swept(small, n_rates, n_losses)
    building = ((schema, "build_topology"), (variants, "build_topology"), (variants, "outline"))
    with counted(monkeypatch, *building, (whole, "form_problems"), (sweep, "form_problems")) as calls:
        scenario = Scenario.from_data(data)
        systems = [build(scenario.at(point)) for point in scenario.points()]
    assert len(systems) == n_rates * n_losses
    assert calls.count("build_topology") <= n_rates + 1
    assert calls.count("outline") <= n_rates + 2
    assert calls.count("form_problems") == 1
    assert len({id(system.topology) for system in systems}) == n_rates


CHANGES = [
    {}, {"topology.links.0.bandwidth": "3 Mbit/s"}, {"topology.devices.1.profile": "raspberry-pi-4"}, {"failures.loss.k": 2},
    {"topology.devices.1.id": "w{1..5}", "failures.loss.k": 5}, {"workload.deadline": "3 s"}, {"seed": 7},
    {"strategies.single.device": "w2", "workload.sink": "w1"}, {"profiles.wearable.memory": "1 MiB"},
    {"workload.training.epochs": 3, "engine": "event"}, {"topology.forwarding": "cut_through"}, {"exact_up_to": 10},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_a_variant_is_what_the_check_of_the_whole_scenario_gives(
    small: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Its hash and what is built from it, too."""
    scenario = Scenario.from_data(small)
    data = scenario.resolved() | {"sweep": {}}
    for path, value in changes.items():
        data = with_value(data, path, value)
    try:
        whole = Scenario.from_data(data)
    except ScenarioError:
        assert scenario.variants.at(changes) is None
        return
    found = scenario.variants.at(changes)
    assert found is not None
    assert found == whole
    assert found.hash() == whole.hash()
    assert build(found) == build(whole)


@pytest.mark.parametrize(
    "changes",
    [
        {"failures.loss.k": 4}, {"failures.loss.k": True}, {"failures.loss.k": 1.0}, {"failures.loss.targets": "x*"},
        {"topology.devices.1.id": "v{1..3}"}, {"strategies.single.device": "w9"}, {"workload.source": "w9"},
        {"topology.devices.1.id": "w{1..1}", "failures.loss.k": 2}, {"topology.links.0.medium": "air"},
    ],
    ids=str,
)  # fmt: skip
def test_a_variant_that_is_wrong_is_none(small: dict[str, Any], changes: dict[str, Any]) -> None:
    """Also when its value equals the one that is there, such as true and 1."""
    assert Scenario.from_data(small).variants.at(changes) is None


def test_a_wrong_value_at_one_point_is_found_with_its_line(small: dict[str, Any]) -> None:
    """Each factor alone, and combinations that are wrong only together."""
    text = """\
name: small
topology:
  devices: [{id: hub, profile: phone}, {id: "w{1..3}", profile: wearable}]
  links: [{between: [hub, "w*"], bandwidth: 20 Mbit/s}]
workload: {dataset: digits, model: small-cnn, source: hub, sink: hub}
strategies: {single: {device: hub}}
failures: {loss: {type: exactly-k, targets: "w*", k: 1}}
sweep:
  bandwidth: {path: topology.links.0.bandwidth, values: [1 Mbit/s, 2 Mbit/s]}
  lost:
    path: failures.loss.k
    values: [0, 2, 9]
"""
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(text)
    (finding,) = caught.value.findings
    assert (finding.line, finding.path) == (12, ("sweep", "lost", "values", 2))
    together = small | {
        "sweep": {
            "devices": {"path": "topology.devices.1.id", "values": ["w{1..2}", "w{1..3}"]},
            "lost": {"path": "failures.loss.k", "values": [1, 3]},
        }
    }
    with pytest.raises(ScenarioError, match="not valid together"):
        Scenario.from_data(together)


class Key:
    """A key that counts how often it is compared."""

    n_compared = 0

    def __init__(self, value: int) -> None:
        self.value = value

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        Key.n_compared += 1
        return isinstance(other, Key) and other.value == self.value


def test_things_for_many_keys_are_made_in_linear_time() -> None:
    """All pairs of keys were compared."""
    once = OncePerKey()
    for number in range(400):
        assert once.get(Key(number % 200), object)[0] == number % 200
    assert Key.n_compared <= 400
    assert once.get({"a": 1}, lambda: 1) == once.get({"a": 1}, lambda: 2) == (200, 1)
