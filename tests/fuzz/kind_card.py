"""Cards of trained networks."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from edgesim.cli.networks.models import _row, _summary
from edgesim.domain.networks.training import Training
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.cards import content_key, provenance

from .harness import Kind


def _made() -> tuple[bytes, bytes]:
    """Return the weights and the card of a network."""
    determinants = provenance(
        "students", dataset="f5a8", model=SmallCNN(), training=Training(), seed=1, parts=[[0, 2], [1]]
    )
    key = content_key(determinants)
    with TemporaryDirectory() as folder:
        cache = NetworkCache(Path(folder))
        about = {"dataset": "digits", "licence_of_data": "BSD", "source_of_data": "here", "n_parameters": 2}
        cache.store(key, {"weight": torch.ones(2)}, determinants, {"test_accuracy": 0.5, "epoch": 3}, about)
        return tuple(path.read_bytes() for path in cache.export(key, Path(folder) / "out"))  # type: ignore[return-value]


WEIGHTS, CARD = _made()
KEY = json.loads(CARD)["key"]


def read(path: Path) -> None:
    """Do what `edgesim models` and `edgesim models import` do with it; where only the content decides, the key is made to fit."""
    with TemporaryDirectory() as folder:
        card = Path(folder) / f"{_key(path)}.json"
        card.write_bytes(path.read_bytes())
        card.with_suffix(".safetensors").write_bytes(WEIGHTS)
        cards, damaged = NetworkCache(Path(folder)).survey()
        assert len(cards) + len(damaged) == 1
        for one in cards:
            assert all(str(cell).isprintable() for cell in _row(one))
            json.dumps(_summary(one), allow_nan=False)
        NetworkCache(Path(folder) / "cache").take_in(card)


def _key(path: Path) -> str:
    """Return the key that a card says, if it can be the name of a file."""
    try:
        key = json.loads(path.read_bytes())["key"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return KEY
    return key if isinstance(key, str) and len(key) == len(KEY) and key.isalnum() and key.isascii() else KEY


def plain(content: bytes) -> Any:
    """Return the plain data of a seed."""
    return json.loads(content)


KINDS = (Kind("card", (CARD,), read, "mutant.json", data_of=plain),)
