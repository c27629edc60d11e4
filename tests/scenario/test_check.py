"""Findings: every mistake at once, where it stands, in words that help.

The messages of the scenarios in tests/data/broken lie beside them. After a change that is meant, write them anew by running
these tests with EDGESIM_APPROVE=1 in the environment, and read the difference as a tired user would.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from edgesim.errors import ScenarioError
from edgesim.failures.sampling.targets import matching
from edgesim.registry import REGISTRIES
from edgesim.scenario.build import build
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.scenario import Scenario

BROKEN = Path(__file__).parents[1] / "data" / "broken"
KNOWN = {
    "single", "modnn", "nonn", "exactly-k", "bernoulli", "scripted", "gilbert-elliott", "on-off", "digits", "shape-only", "small-cnn",
    "louvain", "arq", "tcp", "poisson", "bursts", "trace", "roofline",
}  # fmt: skip
"""Plug-ins that approved messages know, so that a further one changes none of them."""
PROFILES = {"jetson-nano-cpu", "phone", "raspberry-pi-3b-plus", "raspberry-pi-4b", "raspberry-pi-zero-2w", "wearable"}
"""Device profiles that they know."""


def findings(data: dict[str, Any]) -> list[str]:
    """Return the findings of a scenario in plain data, as path and message."""
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_data(data, allow_code=True)
    return [f"{'.'.join(map(str, one.path))}: {one.message}" for one in caught.value.findings]


@pytest.mark.parametrize("name", sorted(path.stem for path in BROKEN.glob("*.yaml")))
def test_messages_are_as_they_were_approved(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, place, order and number of all findings."""
    monkeypatch.chdir(BROKEN)
    for registry in REGISTRIES.values():
        kept = {known: target for known, target in registry._targets.items() if known in KNOWN}
        monkeypatch.setattr(registry, "_targets", kept)
    profiles = {name: one for name, one in catalog._catalog().items() if name in PROFILES}
    monkeypatch.setattr(catalog, "_catalog", lambda: profiles)
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(f"{name}.yaml", allow_code=True)
    message, approved = f"{caught.value}\n", Path(f"{name}.txt")
    if os.environ.get("EDGESIM_APPROVE") == "1":
        approved.write_text(message, encoding="utf-8")
    assert message == approved.read_text(encoding="utf-8")


def test_five_mistakes_get_five_findings_on_their_lines() -> None:
    """Profile, quantity, model, option and sweep path, in lines 5, 7, 8, 10 and 14."""
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(BROKEN / "five_mistakes.yaml")
    assert [(one.line, one.excerpt[one.column - 1 :][: one.length]) for one in caught.value.findings] == [
        (5, "wearble"),
        (7, "20"),
        (8, "smal-cnn"),
        (10, "mergr"),
        (14, "failures.loss.kk"),
    ]


def test_without_a_text_findings_name_their_path(small: dict[str, Any]) -> None:
    """Scenarios written in Python get the same messages."""
    small["topology"]["links"][0]["bandwidth"] = 20
    small["workload"]["sink"] = "hubb"
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_data(small)
    assert str(caught.value).splitlines()[0] == "topology.links.0.bandwidth: 'bandwidth': a bare number has no unit"
    assert "workload.sink: unknown device 'hubb'" in str(caught.value)


def test_one_mistake_is_one_finding(small: dict[str, Any]) -> None:
    """An unreadable device id does not make every mention of a device a mistake."""
    small["topology"]["devices"][0]["id"] = 3
    assert findings(small) == ["topology.devices.0.id: 'id' is the number 3"]


def test_a_pattern_that_matches_nothing_does_not_make_the_devices_disconnected(small: dict[str, Any]) -> None:
    """The pattern is the mistake."""
    small["topology"]["links"][0]["between"] = ["hub", "v*"]
    assert findings(small) == ["topology.links.0.between.1: no device matches 'v*'"]


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ({}, "a link needs two ends"),
        ({"from": "hub"}, "a link needs two ends"),
        ({"between": ["hub", "w1"], "from": "hub", "to": "w1"}, "a link needs two ends"),
        ({"between": ["hub"]}, "'between' has 1 entry"),
        ({"between": ["hub", "hub"]}, "this makes no link: both ends are the same device"),
    ],
)
def test_a_link_has_two_ends(small: dict[str, Any], ends: dict[str, Any], message: str) -> None:
    """Written in one of two ways."""
    small["topology"]["links"].append({"bandwidth": "1 Mbit/s", **ends})
    assert [text.partition(": ")[2] for text in findings(small)] == [message]


def test_plugin_options_that_name_devices_are_checked(small: dict[str, Any]) -> None:
    """A device that does not exist is found before anything is trained."""
    small["strategies"] = {"nonn": {"students": 3, "devices": "v*", "merger": "hubb"}}
    assert findings(small) == [
        "strategies.nonn.devices: no device matches 'v*'",
        "strategies.nonn.merger: unknown device 'hubb'",
    ]


@pytest.mark.parametrize("targets", ["w{1..2}", "w{1..2}->hub", "hub->w{2..3}", "w{1..2}*"])
def test_ranges_choose_devices_and_links_in_failures_too(small: dict[str, Any], targets: str) -> None:
    """A range in an option stands for the ids that it makes."""
    small["failures"] = {"loss": {"type": "exactly-k", "targets": targets, "k": 2}}
    small.pop("sweep")
    system = build(Scenario.from_data(small))
    assert len(matching(system.topology, targets)) == 2


def test_ranges_choose_the_devices_of_strategies_too(small: dict[str, Any]) -> None:
    """The workers of `modnn` and the devices of students, with a finding where there are none."""
    small["strategies"] = {
        "modnn": {"owner": "hub", "workers": "w{1..2}"},
        "nonn": {"students": 2, "devices": "w{2..3}", "partitioner": "index-order"},
    }
    Scenario.from_data(small)
    small["strategies"]["modnn"]["workers"] = "w{5..6}"
    assert findings(small) == ["strategies.modnn.workers: no device matches 'w{5..6}'"]
    small["strategies"]["modnn"]["workers"] = "w{3..2}"
    assert findings(small) == ["strategies.modnn.workers: no device matches 'w{3..2}'"]


def test_an_unknown_source_is_one_finding(small: dict[str, Any]) -> None:
    """And not a disconnected topology too."""
    small["workload"]["source"] = "hubb"
    assert findings(small) == ["workload.source: unknown device 'hubb'"]


def test_plugins_may_refuse_the_topology(small: dict[str, Any]) -> None:
    """Four of three devices cannot be lost; nothing is said twice when the sweep contains the same mistake."""
    small["failures"]["loss"]["k"] = 4
    (finding,) = findings(small)
    assert finding.startswith("failures.loss: failure model exactly-k: k = 4")


def test_a_sweep_is_checked_value_by_value(small: dict[str, Any]) -> None:
    """The finding stands at the value and says what it would do."""
    small["sweep"]["lost_devices"]["values"] = [0, 4, 3]
    (finding,) = findings(small)
    assert finding.startswith("sweep.lost_devices.values.1: with failures.loss.k = 4: ")


def test_a_sweep_is_checked_although_the_rest_is_wrong(small: dict[str, Any]) -> None:
    """Its own mistakes are found beside those of the base scenario."""
    small["seed"] = "one"
    small["sweep"]["lost_devices"]["values"] = [0, -1]
    assert findings(small) == ["seed: 'seed' is the text 'one'", "sweep.lost_devices.values.1: 'k' is the number -1"]


def test_combinations_are_checked_where_values_alone_are_right(small: dict[str, Any]) -> None:
    """Losing three of two devices."""
    small["sweep"]["lost_devices"]["values"] = [0, 3]
    small["sweep"]["devices"] = {"path": "topology.devices.1.id", "values": ["w{1..2}", "w{1..3}"]}
    (finding,) = findings(small)
    assert "not valid together: failures.loss.k = 3, topology.devices.1.id = w{1..2}" in finding


@pytest.mark.parametrize(
    "path", ["failures.loss.kk", "topology.links.1.mtu", "a..b", "", "workload.source.x", "topology.links.-1"]
)
def test_paths_that_lead_nowhere_are_found(small: dict[str, Any], path: str) -> None:
    """Whatever is wrong with them."""
    small["sweep"]["lost_devices"]["path"] = path
    assert findings(small) == [f"sweep.lost_devices.path: no such path {path!r}"]


@pytest.mark.parametrize("key", ["failures", "sweep", "plugins", "profiles"])
def test_a_heading_without_content_means_none(small: dict[str, Any], key: str) -> None:
    """`failures:` with nothing below it."""
    if key == "failures":
        del small["sweep"]
    small[key] = None
    assert not dict(getattr(Scenario.from_data(small), key)) or key == "profiles"


def test_a_topology_of_absurd_size_is_refused_quickly(small: dict[str, Any]) -> None:
    """81 million links are a slip of the pen."""
    small["topology"]["devices"][1]["id"] = "w{1..9000}"
    small["topology"]["links"][0]["between"] = ["w*", "w*"]
    assert findings(small) == ["topology.links.0: this makes more than 200000 links"]


PLUGIN = '''
from dataclasses import dataclass
from edgesim.domain.system.topology import DeviceId
from edgesim.registry import STRATEGIES

@STRATEGIES.register("echo")
@dataclass(frozen=True)
class Echo:
    """Answer at once."""
    device: DeviceId
    version: int = {version}

    def deploy(self, context): ...
'''


def test_a_plugin_file_beside_the_scenario_is_known(tmp_path: Path, small: dict[str, Any]) -> None:
    """Relative to the file, from any working directory; a file of the same name elsewhere takes its place."""
    import json
    import sys

    from edgesim.registry import STRATEGIES

    small["plugins"] = ["echo_plugin.py"]
    small["strategies"] = {"echo": {"device": "hub"}}
    try:
        for version in (1, 2):
            folder = tmp_path / str(version)
            folder.mkdir()
            (folder / "echo_plugin.py").write_text(PLUGIN.format(version=version), encoding="utf-8")
            (folder / "scenario.yaml").write_text(json.dumps(small), encoding="utf-8")
            scenario = Scenario.load(folder / "scenario.yaml", allow_code=True)
            assert scenario.strategies["echo"].version == version
            assert scenario.plugins == (str(folder / "echo_plugin.py"),)
            assert Scenario.from_data(scenario.resolved()) == scenario
            assert [place for place in sys.path if place.startswith(str(tmp_path))] == [str(folder)]
    finally:
        STRATEGIES.remove("echo")
        sys.path.remove(str(tmp_path / "2"))
        del sys.modules["echo_plugin"]


def test_a_folder_is_no_plugin(small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though Python imports any folder that it finds."""
    (tmp_path / "mere_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    small["plugins"] = ["mere_folder"]
    with pytest.raises(ScenarioError, match="plug-in 'mere_folder' is a folder"):
        Scenario.from_data(small, allow_code=True)


def test_a_plugin_file_may_not_take_the_name_of_another_module(tmp_path: Path, small: dict[str, Any]) -> None:
    """`queue.py` would otherwise be imported by whoever wants the standard library's."""
    (tmp_path / "queue.py").write_text("", encoding="utf-8")
    small["plugins"] = [str(tmp_path / "queue.py")]
    (finding,) = findings(small)
    assert "the name 'queue' means" in finding


@pytest.mark.parametrize(
    ("failures", "reason"),
    [
        ({"burst": {"type": "gilbert-elliott", "to_bad": 0.1, "to_good": 0.5}}, "no array form"),
        ({"late": {"type": "jitter", "mean": "1 ms"}}, "no array form"),
    ],
)
def test_what_the_array_engine_cannot_do_is_said_before_anything_runs(
    small: dict[str, Any], failures: dict[str, Any], reason: str
) -> None:
    """Only where it is asked for; `auto` takes events."""
    small["failures"], small["sweep"] = failures, {}
    Scenario.from_data(small)
    with pytest.raises(ScenarioError) as error:
        Scenario.from_data({**small, "engine": "array"})
    [finding] = error.value.findings
    assert reason in finding.message
