"""Data sets: names -> training, validation and test splits as numpy arrays. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.domain.model import Dataset, Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Digits:
    """Handwritten digits of scikit-learn: 1,797 grey images of 8x8 pixels, 10 classes.

    Values 0 ... 16 are scaled to [0, 1]. The splits are fixed, so that every study sees the same test samples: 60 % train,
    20 % validation, 20 % test, drawn at random within each class (stratified) with scikit-learn's `train_test_split` and
    seed 0. They are disjoint. Writers are not known, so one writer's digits may stand in several splits.

    References
    ----------
    E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    doi 10.24432/C50P49; scikit-learn ships its test part.
    """

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 1, 8, 8)."""
        import numpy as np
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        inputs, labels = load_digits(return_X_y=True)
        inputs = np.ascontiguousarray(inputs.reshape(-1, 1, 8, 8) / 16.0, dtype=np.float32)
        labels = labels.astype(np.int64)
        rest, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
        train, validation = train_test_split(rest, test_size=0.25, stratify=labels[rest], random_state=0)
        return Dataset(
            name="digits",
            train=_take(inputs, labels, train),
            validation=_take(inputs, labels, validation),
            test=_take(inputs, labels, test),
            n_classes=10,
            licence="BSD-3-Clause (scikit-learn); CC BY 4.0 (UCI)",
            source="sklearn.datasets.load_digits",
        )


def _take(inputs: NDArray[np.float32], labels: NDArray[np.int64], indices: NDArray[np.int64]) -> Split:
    return Split(inputs[indices], labels[indices])
