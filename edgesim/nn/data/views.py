"""Variants of training samples, one per epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgesim.errors import DataError
from edgesim.nn.tensors import tensors_of
from edgesim.rng import generator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgesim.domain.networks.samples import Augmentation, Dataset
    from edgesim.domain.networks.training import Training


class Views:
    """The training samples as each epoch sees them.

    View v of a sample is always the same, whatever was asked before: what varies is drawn for all samples at once from a stream of
    its own. Without augmentation there is one view, the samples themselves.

    Parameters
    ----------
    dataset : its training split is viewed; it says which augmentations there are.
    training : `augmentation` and `views` count.
    seed : of the draws.

    Raises
    ------
    DataError
        When the data set has no such augmentation.
    """

    def __init__(self, dataset: Dataset, training: Training, seed: int) -> None:
        self._tensors = tensors_of(dataset.train.inputs)
        self._specs = dataset.inputs
        self._n = len(dataset.train)
        self._augmentation = augmentation_of(dataset, training)
        self.seed = seed
        self.n_views = 1 if self._augmentation is None else training.views
        self._drawn: tuple[int, tuple[torch.Tensor, ...]] | None = None

    def __len__(self) -> int:
        return self._n

    def of_epoch(self, epoch: int) -> int:
        """Return the view that an epoch, counted from 1, sees."""
        return (epoch - 1) % self.n_views

    def batch(self, indices: torch.Tensor, view: int) -> Mapping[str, torch.Tensor]:
        """Return some samples in a view."""
        samples = {name: tensor[indices] for name, tensor in self._tensors.items()}
        if self._augmentation is None:
            return samples
        return self._augmentation.apply(samples, tuple(drawn[indices] for drawn in self._draws(view)))

    def whole(self, view: int, batch_size: int) -> Mapping[str, torch.Tensor]:
        """Return all samples in a view, made in batches."""
        if self._augmentation is None:
            return self._tensors
        batches = [self.batch(indices, view) for indices in torch.split(torch.arange(len(self)), batch_size)]
        return {name: torch.cat([batch[name] for batch in batches]) for name in self._tensors}

    def _draws(self, view: int) -> tuple[torch.Tensor, ...]:
        if self._augmentation is not None and (self._drawn is None or self._drawn[0] != view):
            rng = generator(self.seed, "views", view)
            self._drawn = view, self._augmentation.draw(self._specs, self._n, rng)
        return () if self._drawn is None else self._drawn[1]


def augmentation_of(dataset: Dataset, training: Training) -> Augmentation | None:
    """Return how samples vary, None when they do not.

    Raises
    ------
    DataError
        When the data set has no such augmentation.
    """
    if training.augmentation == "none":
        return None
    if training.augmentation not in dataset.augmentations:
        known = ", ".join(["none", *dataset.augmentations])
        raise DataError(f"data set {dataset.name} has no augmentation {training.augmentation!r}; it has {known}")
    return dataset.augmentations[training.augmentation]
