"""Data sets of tables, read where a package holds them. Importing this needs neither torch nor numpy."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError
from edgesim.nn.data.packages.installed import installed_files
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

NUMBERS = ("age", "rest SBP", "cholesterol", "max HR", "ST by exercise", "major vessels colored")
"""Columns of the heart table that are numbers; the others are names of one of a few things."""
KINDS = {
    "gender": ("female", "male"),
    "chest pain": ("asymptomatic", "atypical ang", "non-anginal", "typical ang"),
    "fasting blood sugar > 120": ("0", "1"),
    "rest ECG": ("ST-T abnormal", "left vent hypertrophy", "normal"),
    "exerc ind ang": ("0", "1"),
    "slope peak exc ST": ("downsloping", "flat", "upsloping"),
    "thal": ("fixed defect", "normal", "reversable defect"),
}
DIAGNOSIS = "diameter narrowing"
MISSING = ("", "?")


@dataclass(frozen=True, slots=True)
class HeartDisease:
    """Heart disease of Cleveland: 303 patients, 13 findings, and whether a vessel of the heart is narrowed (139 of them).

    It is so small that one test split says little: the patients are divided into folds of equal size with the same share of both
    classes, and fold `fold` is the test, the next one the validation, the others the training split. Sweep `fold` over all of them, and
    every patient is tested once; with another `seed` they are divided anew.

    Six findings are numbers, scaled to mean 0 and variance 1 over the training split; of the seven others each possible value is a
    feature, 0 or 1. A finding that is missing, six in all, is taken as the training split's mean or most frequent value.

    Parameters
    ----------
    fold : the one that is tested, from 0.
    folds : number of folds.
    seed : of the division.
    folder : holds ``heart_disease.tab`` in place of the package.

    References
    ----------
    R. Detrano et al., International application of a new probability algorithm for the diagnosis of coronary artery disease, American
    Journal of Cardiology 64, 1989. Read from the package Orange3, which is under the GPL.
    """

    kind_of_samples: ClassVar[SampleKind] = "rows of numbers"
    fold: Annotated[int, Ge(0)] = 0
    folds: Annotated[int, Ge(3)] = 10
    seed: Annotated[int, Ge(0)] = 0
    folder: FolderName | None = None

    def find(self) -> Path:
        """Return the file. Raises `DataError` when it is not there, or there is no such fold."""
        if self.fold >= self.folds:
            raise DataError(f"there are {self.folds} folds, from 0 to {self.folds - 1}, and no fold {self.fold}")
        path = "Orange/datasets/heart_disease.tab"
        (found,) = installed_files("heart-disease", "orange3==3.40.0", (path,), self.folder)
        return found

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 22). Raises `DataError` when the file is missing or damaged."""
        import numpy as np

        rows = _read(self.find())
        ill = np.array([_class_of(row[DIAGNOSIS]) for row in rows])
        of_fold = folds_of(ill, self.folds, self.seed)
        validation = (self.fold + 1) % self.folds
        is_train = (of_fold != self.fold) & (of_fold != validation)
        features = _features(rows, is_train)
        train_samples, validation_samples, test_samples = (
            Samples({"features": features[chosen]}, ill[chosen])
            for chosen in (is_train, of_fold == validation, of_fold == self.fold)
        )
        return Dataset(
            name=f"heart-disease (fold {self.fold} of {self.folds})",
            train=train_samples,
            validation=validation_samples,
            test=test_samples,
            task=Classification(2),
            licence="CC BY 4.0 (UCI Machine Learning Repository)",
            source="Orange3 3.40.0, heart_disease.tab",
        )


def folds_of(classes: NDArray[np.int64], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each sample; folds have equal shares of the classes and are drawn with a seed.

    Raises
    ------
    DataError
        When a class has fewer samples than there are folds.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    least = int(np.bincount(classes).min())
    if least < n_folds:
        raise DataError(f"{n_folds} folds need as many samples of every class, but one has {least}")
    fold = np.empty(len(classes), dtype=np.int64)
    divided = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(classes, classes)
    for number, (_, held) in enumerate(divided):
        fold[held] = number
    return fold


def _read(path: Path) -> list[dict[str, str]]:
    """Return the rows of the heart table by name of the column; behind the names stand two lines about them."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, _, _, *lines = csv.reader(file, delimiter="\t")
    except (OSError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is damaged: it is no table with names and two lines about them") from error
    wanted = {*NUMBERS, *KINDS, DIAGNOSIS}
    if set(header) != wanted or any(len(line) != len(header) for line in lines) or not lines:
        raise DataError(f"{path} is damaged: its columns are not {', '.join(sorted(wanted))}")
    return [dict(zip(header, line, strict=True)) for line in lines]


def _class_of(text: str) -> int:
    if text not in {"0", "1"}:
        raise DataError(f"the heart table is damaged: {DIAGNOSIS} is {text!r}, not 0 or 1")
    return int(text)


def _features(rows: Sequence[dict[str, str]], is_train: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the features of every patient; all that is estimated comes from the training split."""
    import numpy as np

    columns: list[NDArray[Any]] = []
    for name in NUMBERS:
        values = np.array([_number(name, row[name]) for row in rows])
        mean = np.nanmean(values[is_train])
        filled = np.where(np.isnan(values), mean, values)
        columns.append((filled - filled[is_train].mean()) / filled[is_train].std())
    for name, kinds in KINDS.items():
        found = [row[name] for row in rows]
        strange = sorted({*found} - {*kinds, *MISSING})
        if strange:
            raise DataError(f"the heart table is damaged: {name!r} is {strange[0]!r}, not one of {', '.join(kinds)}")
        usual = max(kinds, key=[one for one, is_known in zip(found, is_train, strict=True) if is_known].count)
        own = [usual if one in MISSING else one for one in found]
        shown = kinds[1:] if len(kinds) == 2 else kinds
        columns += [np.array([one == kind for one in own], dtype=float) for kind in shown]
    return np.stack(columns, axis=1).astype(np.float32)


def _number(name: str, text: str) -> float:
    try:
        return float("nan") if text in MISSING else float(text)
    except ValueError:
        raise DataError(f"the heart table is damaged: {name!r} is {text!r}, which is no number") from None
