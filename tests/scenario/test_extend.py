"""``extends: other.yaml``."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesim.errors import ScenarioError
from edgesim.scenario.scenario import Scenario

BASE = """\
name: base
topology:
  star: {count: 3, profile: wearable, bandwidth: 20 Mbit/s}
workload: {dataset: digits, model: small-cnn, training: {epochs: 30}, source: hub, sink: hub}
strategies:
  single: {device: hub}
  nonn: {students: 3, devices: "w*"}
failures:
  loss: {type: exactly-k, targets: "w*", k: 1}
sweep:
  lost_devices: {path: failures.loss.k, values: [0, 1]}
"""


def load(folder: Path, text: str, base: str = BASE) -> Scenario:
    """Write both files and read the one that extends."""
    (folder / "base.yaml").write_text(base, encoding="utf-8")
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    return Scenario.load(folder / "own.yaml")


def test_mappings_are_merged_and_all_else_is_replaced(tmp_path: Path) -> None:
    """At any depth."""
    text = "extends: base.yaml\nname: own\nworkload: {training: {epochs: 3}}\nsweep: {lost_devices: {values: [1]}}\n"
    scenario = load(tmp_path, text)
    assert (scenario.name, scenario.workload.training.epochs, scenario.workload.source) == ("own", 3, "hub")
    assert scenario.sweep["lost_devices"].values == (1,)
    assert scenario.sweep["lost_devices"].path == "failures.loss.k"
    assert list(scenario.strategies) == ["single", "nonn"]


def test_a_key_with_nothing_takes_a_key_away(tmp_path: Path) -> None:
    """Also at the top; a new strategy without options stays."""
    text = "extends: base.yaml\nsweep:\nstrategies:\n  nonn:\n  more: {type: single}\n"
    scenario = load(tmp_path, text)
    assert (list(scenario.strategies), scenario.sweep) == (["single", "more"], {})


def test_another_type_replaces_the_whole_plugin(tmp_path: Path) -> None:
    """Options of one type mean nothing to another; the same type merges, and a bare name gets options."""
    text = (
        "extends: base.yaml\nfailures: {loss: {type: bernoulli, probability: 0.1}}\nsweep:\n"
        "workload: {model: {channels: [4, 8], pool_after: 1}}\nstrategies: {nonn: {type: nonn, merger: w1}}\n"
    )
    scenario = load(tmp_path, text)
    assert scenario.failures["loss"].probability == 0.1
    assert scenario.workload.model.channels == (4, 8)
    assert (scenario.strategies["nonn"].merger, scenario.strategies["nonn"].students) == ("w1", 3)


def test_findings_point_into_the_file_where_the_mistake_stands(tmp_path: Path) -> None:
    """One in each; the line and its text are of that file."""
    base = BASE.replace("20 Mbit/s", "20 Mb/s")
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, "extends: base.yaml\nworkload: {training: {epochs: none}}\n", base)
    found = {(Path(one.file).name, one.line, one.excerpt.split(":")[0]) for one in caught.value.findings}
    assert found == {("base.yaml", 3, "  star"), ("own.yaml", 2, "workload")}


def test_paths_start_at_the_file_in_which_they_stand(tmp_path: Path) -> None:
    """A plug-in file beside the base is found from another folder."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "mine_to_extend.py").write_text("VALUE = 1\n", encoding="utf-8")
    (shared / "base.yaml").write_text(BASE + "plugins: [mine_to_extend.py]\n", encoding="utf-8")
    path = tmp_path / "own.yaml"
    path.write_text("extends: shared/base.yaml\n", encoding="utf-8")
    assert Scenario.load(path, allow_code=True).plugins == (str(shared / "mine_to_extend.py"),)


def test_bases_may_extend_further_ones(tmp_path: Path) -> None:
    """The nearest wins; the result needs no file."""
    (tmp_path / "first.yaml").write_text(BASE + "seed: 5\nreplications: 7\n", encoding="utf-8")
    scenario = load(tmp_path, "extends: base.yaml\nname: own\n", "extends: first.yaml\nseed: 6\n")
    assert (scenario.name, scenario.seed, scenario.replications) == ("own", 6, 7)
    assert "extends" not in scenario.resolved()
    assert Scenario.from_data(scenario.resolved()).hash() == scenario.hash()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: own.yaml\n", "files extend each other in a circle: own.yaml -> own.yaml"),
        ("extends: none.yaml\n", "no file 'none.yaml' to extend"),
        ("extends: [base.yaml]\n", "the file that is extended is named by a text"),
        ("extends:\n", "the file that is extended is named by a text"),
    ],
)
def test_what_cannot_be_extended_is_refused_where_it_is_named(text: str, message: str, tmp_path: Path) -> None:
    """Line 1 of the own file."""
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, text)
    (finding,) = caught.value.findings
    assert (finding.message, finding.line, Path(finding.file).name) == (message, 1, "own.yaml")


def test_a_circle_of_two_is_found(tmp_path: Path) -> None:
    """In whichever file it closes."""
    with pytest.raises(ScenarioError, match=r"circle: own.yaml -> base.yaml -> own.yaml"):
        load(tmp_path, "extends: base.yaml\n", "extends: own.yaml\n")
