from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.errors import DataError, ScenarioError, UnknownNameError
from edgesim.nn.train.cache import FOLDER_VARIABLE, NetworkCache

SMALL = ["--dataset", "{type: digits, train_size: 100}", "--model", "{type: small-cnn, channels: [4], pool_after: 0}"]
SCENARIO = """
name: small
seed: 3
topology:
  devices: [{id: hub, profile: phone}, {id: "w{1..2}", profile: wearable}]
  links: [{between: [hub, "w*"], bandwidth: 1 Mbit/s}]
workload: {dataset: {type: digits, train_size: 100}, model: {type: small-cnn, channels: [8], pool_after: 1}, training: {epochs: 1}, source: hub, sink: hub}
strategies:
  single: {device: hub}
  nonn: {students: 2, devices: "w*", deadline: 1 s, student: {type: small-cnn, channels: [4], pool_after: 0}, training: {epochs: 1}}
  ensemble: {students: 2, devices: "w*", deadline: 1 s, student: {type: small-cnn, channels: [4], pool_after: 0}, training: {epochs: 1}}
failures:
  device_loss: {type: exactly-k, targets: "w*", k: 0}
sweep:
  lost: {path: failures.device_loss.k, values: [0, 1]}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "networks"


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(app, list(arguments)).exception


def train_one() -> str:
    return str(json.loads(invoke("train", *SMALL, "--training", "{epochs: 1}", "--json"))[0]["keys"][0])


def test_training_by_options_keeps_one_network() -> None:
    """It is listed with its metrics and size, and not trained again."""
    key = train_one()
    listed = json.loads(invoke("models", "--json"))
    assert [entry["key"] for entry in listed] == [key]
    assert listed[0]["kind"] == "teacher"
    assert listed[0]["about"]["dataset"] == "digits (100 training samples)"
    created = listed[0]["created"]
    assert train_one() == key
    assert json.loads(invoke("models", "--json"))[0]["created"] == created


def test_training_a_scenario(tmp_path: Path) -> None:
    """Teacher, NoNN's students as one network, two networks of the ensemble; the sweep trains nothing twice; one label alone."""
    (tmp_path / "small.yaml").write_text(SCENARIO)
    only = json.loads(invoke("train", str(tmp_path / "small.yaml"), "--strategy", "nonn", "--json"))
    assert [entry["label"] for entry in only] == ["teacher", "nonn"]
    found = json.loads(invoke("train", str(tmp_path / "small.yaml"), "--json"))
    assert [(entry["label"], len(entry["keys"])) for entry in found] == [("teacher", 1), ("nonn", 1), ("ensemble", 2)]
    assert found[:2] == only
    kinds = sorted(entry["kind"] for entry in json.loads(invoke("models", "--json")))
    assert kinds == ["students", "teacher", "whole student", "whole student"]


def test_wrong_options_are_named_as_in_a_scenario(tmp_path: Path) -> None:
    """Nothing given, an unknown model, an unknown label, a label without a scenario."""
    (tmp_path / "small.yaml").write_text(SCENARIO)
    assert "either a scenario file, or" in str(fails("train"))
    unknown = fails("train", "--model", "smal-cnn")
    assert isinstance(unknown, ScenarioError)
    assert "nearest 'small-cnn'" in str(unknown)
    label = fails("train", str(tmp_path / "small.yaml"), "--strategy", "non")
    assert isinstance(label, UnknownNameError)
    assert label.nearest == "nonn"
    assert "no students without one" in str(fails("train", *SMALL, "--strategy", "nonn"))


def test_a_network_goes_to_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """Export by the beginning of its key, import elsewhere: the same files, found without training."""
    key = train_one()
    invoke("models", "export", key[:8], "--to", str(tmp_path / "out"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{key}.safetensors", f"{key}.json"}
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "elsewhere"))
    assert invoke("models", "import", str(tmp_path / "out" / f"{key}.json")).strip() == key
    there = tmp_path / "elsewhere" / "networks"
    assert (there / f"{key}.safetensors").read_bytes() == (own_cache / f"{key}.safetensors").read_bytes()
    before = (there / f"{key}.json").read_bytes()
    assert train_one() == key
    assert (there / f"{key}.json").read_bytes() == before


@pytest.mark.parametrize("damage", ["card changed", "weights changed", "weights gone"])
def test_a_network_that_is_not_what_its_key_says_is_refused(tmp_path: Path, damage: str) -> None:
    """A card with another seed, other weights, or none."""
    key = train_one()
    invoke("models", "export", key, "--to", str(tmp_path))
    card, weights = tmp_path / f"{key}.json", tmp_path / f"{key}.safetensors"
    if damage == "card changed":
        content = json.loads(card.read_text())
        content["determined_by"]["seed"] = 77
        card.write_text(json.dumps(content))
    elif damage == "weights changed":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    else:
        weights.unlink()
    assert isinstance(fails("models", "import", str(card)), DataError)


def test_removing(own_cache: Path) -> None:
    """By key, all, or what is left of unfinished trainings; without a word nothing is removed."""
    key = train_one()
    (own_cache / "abc.checkpoint").write_bytes(b"x")
    assert CliRunner().invoke(app, ["models", "remove"]).exit_code == 2
    assert isinstance(fails("models", "remove", "zz"), DataError)
    invoke("models", "remove", "--leftovers")
    assert NetworkCache(own_cache).leftovers() == []
    assert NetworkCache(own_cache).load(key) is not None
    invoke("models", "remove", key[:10])
    assert list(own_cache.iterdir()) == []


def test_show_is_the_card() -> None:
    """What determined the weights, all options included."""
    key = train_one()
    card = json.loads(invoke("models", "show", key[:6]))
    assert card["key"] == key
    assert card["determined_by"]["training"]["learning_rate"] == 0.003
    assert "test_accuracy" in card["metrics"]
