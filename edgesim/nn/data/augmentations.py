"""How images vary from epoch to epoch: mirrored and shifted. Importing this needs neither torch nor numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import torch

    from edgesim.domain.networks.samples import Inputs


@dataclass(frozen=True, slots=True)
class FlipAndShift:
    """Mirror half of the images left to right, move each by up to an eighth of its height and width and fill with zeros.

    Parameters
    ----------
    is_flipping, is_shifting : which of the two.
    """

    is_flipping: bool = False
    is_shifting: bool = False

    def draw(self, inputs: Inputs, n: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """Draw for each sample which source row stands at each row, and likewise for columns; the extent means a zero."""
        import numpy as np
        import torch

        (spec,) = inputs.values()
        _, height, width = spec.shape
        shifts = [rng.integers(-(size // 8), size // 8 + 1, size=n) for size in (height, width)]
        is_mirrored = rng.random(n) < 0.5
        if not self.is_shifting:
            shifts = [np.zeros_like(shift) for shift in shifts]
        if not self.is_flipping:
            is_mirrored = np.zeros_like(is_mirrored)
        rows, columns = (np.arange(size) - shift[:, None] for size, shift in zip((height, width), shifts, strict=True))
        rows[(rows < 0) | (rows >= height)] = height
        columns[(columns < 0) | (columns >= width)] = width
        columns[is_mirrored] = columns[is_mirrored, ::-1]
        return torch.from_numpy(rows), torch.from_numpy(columns)

    def apply(self, samples: Mapping[str, torch.Tensor], drawn: tuple[torch.Tensor, ...]) -> Mapping[str, torch.Tensor]:
        """Return images, shape (n, channels, height, width), with the drawn rows and columns."""
        import torch

        ((name, images),) = samples.items()
        rows, columns = drawn
        height, width = images.shape[2:]
        # one row and column of zeros behind the image stand for all pixels from outside
        padded = torch.nn.functional.pad(images, (0, 1, 0, 1))
        which = torch.arange(len(images))[:, None, None]
        moved = padded.permute(0, 2, 3, 1)[which, rows[:, :height, None], columns[:, None, :width]]
        return {name: moved.permute(0, 3, 1, 2).contiguous()}


OF_IMAGES: dict[str, FlipAndShift] = {
    "flip": FlipAndShift(is_flipping=True),
    "shift": FlipAndShift(is_shifting=True),
    "flip-and-shift": FlipAndShift(is_flipping=True, is_shifting=True),
}
"""The augmentations of data sets of images, by name."""
