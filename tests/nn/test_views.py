from __future__ import annotations

import numpy as np
import pytest
import torch

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.training import Training
from edgesim.errors import DataError
from edgesim.nn.data.augmentations import OF_IMAGES
from edgesim.nn.data.views import Views
from edgesim.tasks.classification import Classification

INPUTS = np.random.default_rng(0).random((50, 2, 16, 8)).astype(np.float32) + 1
SPLIT = Samples({"images": INPUTS}, np.zeros(50))
DATA = Dataset("noise", SPLIT, SPLIT, SPLIT, Classification(2), "", "", OF_IMAGES)


def test_without_augmentation_samples_are_as_they_are() -> None:
    """One view for all epochs."""
    views = Views(DATA, Training(views=4), seed=1)
    assert views.n_views == 1
    assert [views.of_epoch(epoch) for epoch in (1, 2, 5)] == [0, 0, 0]
    assert np.array_equal(views.batch(torch.tensor([3, 1]), 0)["images"].numpy(), INPUTS[[3, 1]])


def test_a_flip_mirrors_about_half() -> None:
    """Each sample is itself or its mirror image."""
    views = Views(DATA, Training(augmentation="flip"), seed=1)
    seen = views.whole(2, 7)["images"].numpy()
    is_mirrored = [np.array_equal(after, before[:, :, ::-1]) for before, after in zip(INPUTS, seen, strict=True)]
    is_same = [np.array_equal(after, before) for before, after in zip(INPUTS, seen, strict=True)]
    assert all(a != b for a, b in zip(is_mirrored, is_same, strict=True))
    assert 15 < sum(is_mirrored) < 35


def test_a_shift_moves_by_up_to_an_eighth_and_fills_with_zeros() -> None:
    """Of 16 rows up to 2, of 8 columns up to 1: each sample is one of 15 shifted copies, and all moves occur."""
    views = Views(DATA, Training(augmentation="shift"), seed=1)
    moves = set()
    for before, after in zip(INPUTS, views.whole(0, 50)["images"].numpy(), strict=True):
        padded = np.pad(before, ((0, 0), (2, 2), (1, 1)))
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-1, 2)
            if np.array_equal(after, padded[:, 2 - down : 18 - down, 1 - right : 9 - right])
        ]
        assert len(found) == 1
        moves.add(found[0])
    assert {down for down, _ in moves} == {-2, -1, 0, 1, 2}
    assert {right for _, right in moves} == {-1, 0, 1}


def test_a_view_is_always_the_same() -> None:
    """Whatever was asked before, in whatever batches; epochs go through the views in turn."""
    training = Training(augmentation="flip-and-shift", views=3)
    first, second = Views(DATA, training, seed=1), Views(DATA, training, seed=1)
    first.whole(0, 10)
    assert torch.equal(first.whole(1, 10)["images"], second.whole(1, 50)["images"])
    assert torch.equal(first.batch(torch.tensor([7]), 1)["images"][0], second.whole(1, 50)["images"][7])
    assert not torch.equal(first.whole(1, 10)["images"], first.whole(2, 10)["images"])
    assert [first.of_epoch(epoch) for epoch in range(1, 8)] == [0, 1, 2, 0, 1, 2, 0]
    assert not torch.equal(first.whole(1, 10)["images"], Views(DATA, training, seed=2).whole(1, 10)["images"])


def test_an_augmentation_that_the_data_set_does_not_know() -> None:
    """The message lists those that it knows."""
    with pytest.raises(DataError, match="noise has no augmentation 'rotate'; it has none, flip, shift, flip-and-shift"):
        Views(DATA, Training(augmentation="rotate"), seed=1)
