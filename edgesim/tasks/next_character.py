"""The character that follows, at each place of a text."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, log2
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from edgesim.domain.networks.task import Score, TensorSpec
from edgesim.tasks.classification import class_fault, softmax_imitation

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class NextCharacter:
    """Tell at each place of a text which character follows.

    Answers are logits, shape (n, characters, length); targets are the numbers of the characters that follow, shape (n, length).

    Parameters
    ----------
    characters : how many different ones there are.
    length : of a text.

    Formula
    -------
    Bits per character = mean over samples and places of -log2 p, p the softmax of the logits at the character that follows. Loss = the same
    with the natural logarithm. Imitation as in ``classification``, the mean over all places too.

    Validity
    --------
    A place knows what stands before it in its own sample, and no more: with short samples there are more bits than a network would need
    that reads on. Places of one sample are not independent.

    References
    ----------
    C. E. Shannon, Prediction and Entropy of Printed English, Bell System Technical Journal 30(1), 1951: 0.6 to 1.3 bits for people who know 100
    characters, of 27 different ones.
    """

    characters: Annotated[int, Ge(2)]
    length: Annotated[int, Ge(1)]

    @property
    def scores(self) -> tuple[Score, ...]:
        """Bits per character, and the share of characters that are the most likely one."""
        return (
            Score(
                "bits_per_character", bits_per_character, label="Bits per character", unit="bit", low=0.0, is_larger_better=False,
                without_answer=log2(self.characters), is_mean_of_samples=True,
                summary="how surprising the characters that follow are to the networks, with what arrived in time",
                formula="mean over samples and places of -log2 p(character that follows); log2(characters) for a trial without an answer",
                source="C. E. Shannon, 1951",
            ),
            Score(
                "character_accuracy", character_accuracy, label="Characters foretold", low=0.0, high=1.0, is_share=True, is_mean_of_samples=True,
                summary="share of the characters that are those held most likely",
                formula="mean over samples and places of [argmax = character that follows]; 0 for a trial without an answer",
            ),
        )  # fmt: skip

    @property
    def output(self) -> TensorSpec:
        """A logit for each character and place."""
        return TensorSpec((self.characters, self.length))

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with targets: their form, or that they are no characters."""
        return class_fault(targets, (self.length,), 0, self.characters)

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy."""
        from torch.nn import functional

        return functional.cross_entropy(answers, targets)

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the mean over samples, characters and places of p_T log(p_T / p_S)."""
        return softmax_imitation(answers, wanted, temperature)

    def guess(self, targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logarithms of the frequencies of the characters, the same for all places."""
        import numpy as np

        counts = np.bincount(targets.ravel(), minlength=self.characters)
        logits = np.log(np.maximum(counts, 1e-9) / max(1, counts.sum())).astype(np.float32)
        everywhere: NDArray[np.float32] = np.repeat(logits[:, None], self.length, axis=1)
        return everywhere


def bits_per_character(answers: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the mean of -log2 p at the targets.

    Examples
    --------
    One sample of two places, two characters: a coin, then one that is three times as likely as the other.

    >>> import numpy as np
    >>> answers = np.log([[[0.5, 0.75], [0.5, 0.25]]])
    >>> round(bits_per_character(answers, np.array([[0, 1]])), 6)  # (1 + 2) / 2
    1.5
    """
    import numpy as np

    largest = answers.max(axis=1)
    total = np.log(np.exp(answers - largest[:, None]).sum(axis=1, dtype=np.float64)) + largest
    there = np.take_along_axis(answers, targets[:, None], axis=1)[:, 0]
    return float((total - there).mean(dtype=np.float64) / log(2))


def character_accuracy(answers: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the share of places whose largest logit is at the character that follows.

    Examples
    --------
    >>> import numpy as np
    >>> character_accuracy(np.array([[[2.0, 0.0, 1.0], [1.0, 3.0, 0.0]]]), np.array([[0, 1, 1]])) == 2 / 3
    True
    """
    return float((answers.argmax(axis=1) == targets).mean())
