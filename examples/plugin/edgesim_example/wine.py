"""Data set `wine`: a table whose task is `balanced-classification`."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim_example.balanced import BalancedClassification


@dataclass(frozen=True)
class Wine:
    """Which of three growers made a wine, by 13 measures; 178 rows.

    Each measure is scaled to mean 0 and variance 1 over the training split. Splits are stratified, with seed 0.

    References
    ----------
    S. Aeberhard, M. Forina, Wine, UCI Machine Learning Repository, 1992, doi 10.24432/C5PC7J.
    """

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 13)."""
        import numpy as np
        from sklearn.datasets import load_wine
        from sklearn.model_selection import train_test_split

        table, grower = load_wine(return_X_y=True)
        rest, test = train_test_split(np.arange(len(table)), test_size=0.2, stratify=grower, random_state=0)
        train, validation = train_test_split(rest, test_size=0.25, stratify=grower[rest], random_state=0)
        scaled = ((table - table[train].mean(0)) / table[train].std(0)).astype(np.float32)
        targets = grower.astype(np.int64)
        parts = (Samples({"measures": scaled[rows]}, targets[rows]) for rows in (train, validation, test))
        return Dataset(
            "wine", *parts, BalancedClassification(3), licence="CC BY 4.0", source="sklearn.datasets.load_wine"
        )
