"""The networks in `models/` are what they say, and are found by the scenarios they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgesim.domain.networks.training import Training
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.cards import content_key
from edgesim.nn.train.training import forward, train_teacher
from edgesim.tasks.classification import accuracy

if TYPE_CHECKING:
    from conftest import Silent

    from edgesim.domain.networks.samples import Dataset

FOLDER = Path(__file__).parents[2] / "models" / "digits"


@pytest.mark.parametrize("card", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem[:12])
def test_key_weights_and_card_belong_together(card: Path, tmp_path: Path) -> None:
    """They can be imported, and the card gives accuracy and licence."""
    assert NetworkCache(tmp_path).take_in(card) == card.stem
    content = json.loads(card.read_text())
    assert content_key(content["determined_by"]) == card.stem
    assert content["about"]["licence_of_data"].startswith("BSD-3-Clause")
    assert 0.85 < content["metrics"]["test_accuracy"] <= 1


def test_the_teacher_of_the_default_scenario_is_found(digits: Dataset, silent: Silent, tmp_path: Path) -> None:
    """Nothing is trained, and its accuracy is that of its card."""
    cache = NetworkCache(tmp_path)
    for card in FOLDER.glob("*.json"):
        cache.take_in(card)
    found = train_teacher(SmallCNN(), digits, Training(epochs=30), seed=1, progress=silent, cache=cache)
    assert silent.labels == []
    assert accuracy(forward(found.network, digits.test.inputs), digits.test.targets) == found.metrics["test_accuracy"]
