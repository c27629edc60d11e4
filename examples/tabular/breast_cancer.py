"""Data set `breast-cancer`: a table as a plug-in of one file, judged by ROC-AUC."""

from dataclasses import dataclass

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.registry import DATASETS
from edgesim.tasks.multi_label import MultiLabel


@DATASETS.register("breast-cancer")
@dataclass(frozen=True)
class BreastCancer:
    """Breast cancer of Wisconsin: 569 rows of 30 measures of cell nuclei; is the tumour benign?

    Each measure is scaled to mean 0 and variance 1 over the training split. Splits are stratified, with seed 0.

    Parameters
    ----------
    test_share : share of the rows that is kept for the test; as many rows are for validation.

    References
    ----------
    W. Wolberg et al., Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository, 1993, doi 10.24432/C5DW2B.
    """

    test_share: float = 0.2

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 30), targets (n, 1)."""
        import numpy as np
        from sklearn.datasets import load_breast_cancer
        from sklearn.model_selection import train_test_split

        table, benign = load_breast_cancer(return_X_y=True)
        held = round(self.test_share * len(table))
        rest, test = train_test_split(np.arange(len(table)), test_size=held, stratify=benign, random_state=0)
        train, validation = train_test_split(rest, test_size=held, stratify=benign[rest], random_state=0)
        scaled = ((table - table[train].mean(0)) / table[train].std(0)).astype(np.float32)
        targets = benign.astype(np.float32)[:, None]
        parts = (Samples({"features": scaled[rows]}, targets[rows]) for rows in (train, validation, test))
        return Dataset(
            "breast-cancer", *parts, MultiLabel(1), licence="CC BY 4.0", source="sklearn.datasets.load_breast_cancer"
        )
