"""From texts to rows of numbers: a tokeniser, and a vocabulary that knows the words of the training split alone."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

PADDING, UNKNOWN = 0, 1
"""The numbers of what stands behind a text, and of all words that the vocabulary does not have."""
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[!?]")


def tokens_of(text: str) -> list[str]:
    """Return the words of a text in lower case, and its exclamation and question marks.

    Examples
    --------
    >>> tokens_of("It isn't bad -- is it?")
    ['it', "isn't", 'bad', 'is', 'it', '?']
    """
    return [token.replace("’", "'") for token in _TOKEN.findall(text.lower())]


@dataclass(frozen=True)
class Vocabulary:
    """Numbers for words, in the order of the words given, from 2 on; 0 is padding and 1 any other word.

    Parameters
    ----------
    words : each once.
    """

    words: tuple[str, ...]
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers.update({word: number for number, word in enumerate(self.words, start=2)})

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]], least_count: int, most: int) -> Vocabulary:
        """Return the words that texts hold at least so often, the most frequent first, equal ones in alphabetical order.

        Parameters
        ----------
        texts : in tokens, those of the training split and no others.
        least_count : how often a word must stand there.
        most : numbers at most, padding and unknown included.

        Examples
        --------
        >>> Vocabulary.of([["b", "a"], ["c", "a", "b"]], least_count=2, most=10).words
        ('a', 'b')
        """
        counts = Counter(token for text in texts for token in text)
        kept = sorted((-count, word) for word, count in counts.items() if count >= least_count)
        return cls(tuple(word for _, word in kept[: most - 2]))

    def __len__(self) -> int:
        """Return how many numbers there are, padding and unknown included."""
        return len(self.words) + 2

    def rows(self, texts: Sequence[Sequence[str]], length: int) -> NDArray[np.int32]:
        """Return texts as numbers, shape (n, length): cut behind `length` tokens, or filled up with padding.

        Examples
        --------
        >>> Vocabulary(("good", "film")).rows([["a", "good", "film"], ["film"]], 2).tolist()
        [[1, 2], [3, 0]]
        """
        import numpy as np

        rows = np.full((len(texts), length), PADDING, dtype=np.int32)
        for row, text in zip(rows, texts, strict=True):
            numbers = [self._numbers.get(token, UNKNOWN) for token in text[:length]]
            row[: len(numbers)] = numbers
        return rows
