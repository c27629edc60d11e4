"""Cards of strangers: nothing that they name is run, and what is wrong with them is said in a line."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.domain.networks.training import Training
from edgesim.errors import DataError
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train.cache import FOLDER_VARIABLE, NetworkCache
from edgesim.nn.train.cards import content_key, provenance, read_card

ROOT = Path(__file__).parents[2]


def published(folder: Path) -> Path:
    """Store a network of two numbers and return its card."""
    determinants = provenance("teacher", model=SmallCNN(), training=Training(), seed=1)
    key = content_key(determinants)
    NetworkCache(folder).store(key, {"weight": torch.ones(2)}, determinants, {"test_accuracy": 0.5})
    return folder / f"{key}.json"


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change a card and give it the key that follows."""
    card = json.loads(path.read_text())
    change(card)
    card["key"] = content_key(card["determined_by"])
    new = path.with_name(f"{card['key']}.json")
    new.write_text(json.dumps(card))
    new.with_suffix(".safetensors").write_bytes(path.with_suffix(".safetensors").read_bytes())
    return new


def test_nothing_that_a_card_names_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the card, in the current folder, on the search path."""
    (tmp_path / "stranger.py").write_text("open('was_here', 'w').close()\nclass Net: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    card = published(tmp_path / "in")
    own = rewritten(card, lambda card: card["determined_by"].update(model={"class": "stranger:Net"}))
    own = rewritten(own, lambda card: card["determined_by"].update(training={"type": "stranger:Net"}))
    assert NetworkCache(tmp_path / "cache").take_in(own) == own.stem
    content = json.loads(own.read_text()) | {"key": "0" * 64}
    (tmp_path / "in" / f"{'0' * 64}.json").write_text(json.dumps(content))
    with pytest.raises(DataError):
        NetworkCache(tmp_path / "cache").take_in(tmp_path / "in" / f"{'0' * 64}.json")
    assert not (tmp_path / "was_here").exists()
    assert "stranger" not in sys.modules


def test_every_published_card_has_its_key() -> None:
    """They name models and options as scenarios do."""
    for path in sorted((ROOT / "models").glob("*/*.json")):
        assert content_key(read_card(path)["determined_by"]) == path.stem
        assert '"class"' not in path.read_text()


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no determinants": (lambda card: card.pop("determined_by"), "`determined_by` is missing"),
    "a list as determinants": (lambda card: card.update(determined_by=[1]), "`determined_by` is not a mapping"),
    "no versions": (lambda card: card["determined_by"].pop("versions"), "`versions` is missing"),
    "versions in a list": (lambda card: card["determined_by"].update(versions=[]), "`versions` is not a mapping"),
    "a number as kind": (lambda card: card["determined_by"].update(kind=1), "`kind` is not a text"),
    "a text as metric": (lambda card: card["metrics"].update(test_accuracy="high"), "`test_accuracy` is no number"),
    "nothing as metric": (lambda card: card["metrics"].update(test_accuracy=None), "`test_accuracy` is no number"),
    "true as metric": (lambda card: card["metrics"].update(test_accuracy=True), "`test_accuracy` is no number"),
    "a huge metric": (lambda card: card["metrics"].update(test_accuracy=10**400), "`test_accuracy` is no number"),
    "infinite": (lambda card: card["metrics"].update(test_accuracy=float("inf")), "`test_accuracy` is no number"),
    "metrics in a list": (lambda card: card.update(metrics=[]), "`metrics` is not a mapping"),
    "a text as about": (lambda card: card.update(about="x"), "`about` is not a mapping"),
    "a text as count": (lambda card: card["about"].update(n_parameters="many"), "`n_parameters` is not a whole number"),
    "a text as size": (lambda card: card.update(weights_byte="big"), "`weights_byte` is not a whole number"),
    "another size": (lambda card: card.update(weights_byte=3), "has not the 3 byte that its card says"),
    "another key": (lambda card: card.update(key="x"), "`key` is not the name of the file"),
    "an escape sequence": (
        lambda card: card["about"].update(dataset="\x1b[2J"),
        "'about.dataset' has characters that are not printable",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_card_is_one_finding_and_breaks_no_list(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not taken in; where it lies in the cache already, the others are listed, and it is named."""
    change, message = WRONG[name]
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    card = published(tmp_path / "networks")
    bad = rewritten(card, lambda content: content["determined_by"].update(seed=2))
    content = json.loads(bad.read_text())
    change(content)
    bad.write_text(json.dumps(content))
    result = CliRunner().invoke(app, ["models", "import", str(bad)])
    assert isinstance(result.exception, DataError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    listed = CliRunner().invoke(app, ["models", "--json"], catch_exceptions=False)
    assert [one["key"] for one in json.loads(listed.stdout)][:1] == [card.stem]
    assert name == "another size" or f"warning: {bad}" in listed.stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[" * 5000 + "]" * 5000,
        "[" * 99 + "]" * 99,
        "\xff",
        '{"key": NaN',
        '"\\ud800"',
        "null",
        " " * (5 << 20),
    ],
)
def test_what_is_no_card_is_refused(text: str, tmp_path: Path) -> None:
    """No JSON, too deep, too large, no mapping."""
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"a\.json is no card of a network: "):
        read_card(tmp_path / "a.json")


@pytest.mark.parametrize("n_byte", [0, 1, 7, 8, 40, -1])
def test_cut_weights_with_a_fitting_hash_are_refused(n_byte: int, tmp_path: Path) -> None:
    """The card may be made to fit damaged weights."""
    card = published(tmp_path)
    path = card.with_suffix(".safetensors")
    path.write_bytes(path.read_bytes()[:n_byte])
    content = json.loads(card.read_text())
    content["weights_sha256"], content["weights_byte"] = (
        hashlib.sha256(path.read_bytes()).hexdigest(),
        path.stat().st_size,
    )
    card.write_text(json.dumps(content))
    assert NetworkCache(tmp_path).load(card.stem) is None
    with pytest.raises(DataError, match="the weights are damaged"):
        NetworkCache(tmp_path / "cache").take_in(card)


@pytest.mark.parametrize(
    ("weights", "metrics", "message"),
    [
        ({"other": torch.ones(2)}, {"test_accuracy": 0.5}, "is not what its card says"),
        ({"weight": torch.ones(3, 1), "bias": torch.ones(3)}, {"test_accuracy": 0.5}, "is not what its card says"),
        ({"weight": torch.full((2, 1), torch.nan), "bias": torch.ones(2)}, {"test_accuracy": 0.5}, "no finite numbers"),
        ({"weight": torch.ones(2, 1), "bias": torch.ones(2)}, {}, "does not say its test_accuracy"),
    ],
)
def test_weights_of_another_network_are_refused_when_they_are_needed(
    weights: dict[str, torch.Tensor], metrics: dict[str, float], message: str, tmp_path: Path
) -> None:
    """Names, shapes, values; the message says how to get rid of it."""
    cache = NetworkCache(tmp_path)
    cache.store("k", weights, {"kind": "teacher", "versions": {}}, metrics)
    with pytest.raises(DataError, match=rf"(?s){message}.*edgesim models remove k"):
        cache.restore("k", torch.nn.Linear(1, 2), "accuracy")


def test_good_cards_are_taken_in_beside_bad_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All findings at once, and what is right is there afterwards."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    card = published(tmp_path / "in")
    bad = [tmp_path / "in" / name for name in ("a.json", "b.json")]
    for path in bad:
        path.write_text("{")
    result = CliRunner().invoke(app, ["models", "import", str(bad[0]), str(card), str(bad[1])])
    assert str(result.exception).count("is no card of a network") == 2
    assert result.stdout == f"{card.stem}\n"
