from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from edgesim.domain.networks.training import Training
from edgesim.errors import DataError
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train import cards
from edgesim.nn.train.cache import FOLDER_VARIABLE, NetworkCache, fingerprint
from edgesim.nn.train.cards import content_key, provenance

STATE = {"weight": torch.arange(6.0).reshape(2, 3).T, "count": torch.tensor(3)}


def stored(folder: Path) -> tuple[NetworkCache, str]:
    cache = NetworkCache(folder)
    determinants = provenance("teacher", model=SmallCNN(), training=Training(), seed=1)
    key = content_key(determinants)
    cache.store(key, STATE, determinants, {"test_accuracy": 0.5}, {"licence_of_data": "none"})
    return cache, key


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    """Weights bitwise, with types; the card says what they were made of."""
    cache, key = stored(tmp_path / "a" / "b")
    found = cache.load(key)
    assert found is not None
    state, card = found
    assert all(torch.equal(state[name], STATE[name]) and state[name].dtype == STATE[name].dtype for name in STATE)
    assert card["key"] == key
    assert card["metrics"] == {"test_accuracy": 0.5}
    assert card["determined_by"]["model"] == {
        "type": "models/small-cnn", "channels": [32, 32, 64], "pool_after": 2,
    }  # fmt: skip
    assert set(card["determined_by"]["versions"]) == {"edgesim", "torch", "recipe"}


def test_nothing_temporary_is_left(tmp_path: Path) -> None:
    """Two files per network."""
    _, key = stored(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{key}.safetensors", f"{key}.json"}


@pytest.mark.parametrize("damage", ["weights gone", "weights changed", "card gone", "card cut", "card is a list"])
def test_a_damaged_entry_counts_as_missing(tmp_path: Path, damage: str) -> None:
    """Whatever is wrong with it, it is trained anew, never used."""
    cache, key = stored(tmp_path)
    weights, card = tmp_path / f"{key}.safetensors", tmp_path / f"{key}.json"
    if damage == "weights gone":
        weights.unlink()
    elif damage == "weights changed":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "card gone":
        card.unlink()
    elif damage == "card cut":
        card.write_bytes(card.read_bytes()[:50])
    else:
        card.write_text(json.dumps([1]))
    assert cache.load(key) is None


def test_everything_that_matters_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model, options, seed and the recipe; an equal content gives an equal key."""

    def key(**changes: object) -> str:
        return content_key(
            provenance("teacher", **({"model": SmallCNN(), "training": Training(), "seed": 1} | changes))
        )

    keys = [key(), key(model=SmallCNN(channels=(4,), pool_after=0)), key(training=Training(epochs=3)), key(seed=2)]
    assert key() == keys[0]
    monkeypatch.setattr(cards, "RECIPE", -1)
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_one_changed_pixel_changes_the_fingerprint(digits: object) -> None:
    """So does a changed label."""
    data = digits
    inputs = data.test.only.copy()
    inputs[0, 0, 0, 0] += 1
    labels = data.train.targets.copy()
    labels[0] += 1
    prints = {
        fingerprint(data),
        fingerprint(dataclasses.replace(data, test=dataclasses.replace(data.test, inputs={"images": inputs}))),
        fingerprint(dataclasses.replace(data, train=dataclasses.replace(data.train, targets=labels))),
    }
    assert len(prints) == 3


def test_what_cannot_be_hashed_is_refused() -> None:
    """An object without readable content would make two different networks share a key."""
    with pytest.raises(DataError, match="make the plug-in a dataclass"):
        provenance("teacher", model=object())


def test_the_environment_moves_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable it is the platform's cache directory."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert NetworkCache.default().folder == tmp_path / "networks"
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert NetworkCache.default().folder.parts[-2:] == ("edgesim", "networks")


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    """The message names the folder and the variable that moves it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=FOLDER_VARIABLE):
        stored(tmp_path / "file")


def test_releases_and_defaults_do_not_change_a_key() -> None:
    """Published networks stay usable: the key has no version but the recipe, and no option that has its default."""
    determinants = provenance("teacher", model=SmallCNN(), training=Training(epochs=3), seed=1)
    key = content_key(determinants)
    newer = json.loads(json.dumps(determinants))
    newer["versions"] |= {"edgesim": "9.9", "torch": "9.9"}
    assert content_key(newer) == key
    del newer["training"]["views"]
    assert content_key(newer) == key
    newer["versions"]["recipe"] = -1
    assert content_key(newer) != key


def test_keys_are_those_of_published_networks() -> None:
    """When this fails, a default or a name has changed, or the recipe: published networks would not be found, or, with the recipe as
    it was, stand for what they are not. Raise `RECIPE`, and publish anew.
    """
    from edgesim.domain.networks.training import Distillation
    from edgesim.nn.models.zoo import VGG, StridedCNN, WideResNet

    defaults = [Training(), Distillation(), SmallCNN(), StridedCNN(), WideResNet(), VGG()]
    assert [dataclasses.astuple(one) for one in defaults] == [
        (20, 64, "adamw", 3e-3, 0.9, 5e-4, "none", 8, None, "cpu", None),
        (4.0, 0.9, 10000.0, "whole"),
        ((32, 32, 64), 2),
        ((24, 48, 96, 48), (2, 2, 2, 1)),
        (16, 1, 0.0),
        (11, 64),
    ]
    key = content_key(provenance("teacher", dataset="x", model=SmallCNN(), training=Training(epochs=30), seed=1))
    assert key.startswith("d46b351ed513")


def test_a_key_is_found_by_its_beginning(tmp_path: Path) -> None:
    """One that fits, none, or several."""
    cache, key = stored(tmp_path)
    determinants = provenance("teacher", model=SmallCNN(), training=Training(), seed=2)
    cache.store(content_key(determinants), STATE, determinants, {})
    assert cache.key_of(key[:16]) == key
    with pytest.raises(DataError, match=r"no network in .* begins with 'xyz'"):
        cache.key_of("xyz")
    with pytest.raises(DataError, match="2 networks have keys that begin with ''; write more of it"):
        cache.key_of("")
    assert [card["key"] for card in cache.cards()] == sorted(
        (card["key"] for card in cache.cards()), key=lambda one: (cache.load(one)[1]["created"], one)
    )
