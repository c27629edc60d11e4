"""Variants of training samples, one per epoch: mirrored and shifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from edgesim.rng import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.training import Training


class Views:
    """The training samples as each epoch sees them.

    View v of a sample is always the same, whatever was asked before: its mirroring and shift are drawn for all samples
    at once from a stream of their own. Without augmentation there is one view, the samples themselves.

    Parameters
    ----------
    inputs : samples, shape (n, channels, height, width).
    training : `augmentation` and `views` count.
    seed : of the draws.
    """

    def __init__(self, inputs: NDArray[np.float32], training: Training, seed: int) -> None:
        self._inputs = torch.from_numpy(np.ascontiguousarray(inputs))
        self._augmentation = training.augmentation
        self._seed = seed
        self.n_views = 1 if training.augmentation == "none" else training.views
        self._drawn: tuple[int, torch.Tensor, torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self._inputs)

    def of_epoch(self, epoch: int) -> int:
        """Return the view that an epoch, counted from 1, sees."""
        return (epoch - 1) % self.n_views

    def batch(self, indices: torch.Tensor, view: int) -> torch.Tensor:
        """Return some samples in a view."""
        samples = self._inputs[indices]
        if self._augmentation == "none":
            return samples
        rows, columns = (table[indices] for table in self._tables(view))
        height, width = samples.shape[2:]
        # one row and column of zeros behind the image stand for all pixels from outside
        padded = torch.nn.functional.pad(samples, (0, 1, 0, 1))
        which = torch.arange(len(samples))[:, None, None]
        moved = padded.permute(0, 2, 3, 1)[which, rows[:, :height, None], columns[:, None, :width]]
        return moved.permute(0, 3, 1, 2).contiguous()

    def whole(self, view: int, batch_size: int) -> torch.Tensor:
        """Return all samples in a view, made in batches."""
        if self._augmentation == "none":
            return self._inputs
        return torch.cat([self.batch(indices, view) for indices in torch.split(torch.arange(len(self)), batch_size)])

    def _tables(self, view: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return for each sample which source row stands at each row, and likewise for columns; the size means a zero."""
        if self._drawn is None or self._drawn[0] != view:
            draws = generator(self._seed, "views", view)
            n, _, height, width = self._inputs.shape
            shifts = [draws.integers(-(size // 8), size // 8 + 1, size=n) for size in (height, width)]
            is_mirrored = draws.random(n) < 0.5
            if "shift" not in self._augmentation:
                shifts = [np.zeros_like(shift) for shift in shifts]
            if "flip" not in self._augmentation:
                is_mirrored = np.zeros_like(is_mirrored)
            rows, columns = (
                np.arange(size) - shift[:, None] for size, shift in zip((height, width), shifts, strict=True)
            )
            rows[(rows < 0) | (rows >= height)] = height
            columns[(columns < 0) | (columns >= width)] = width
            columns[is_mirrored] = columns[is_mirrored, ::-1]
            self._drawn = view, torch.from_numpy(rows), torch.from_numpy(columns)
        return self._drawn[1], self._drawn[2]
