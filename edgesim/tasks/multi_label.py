"""Several yes-or-no questions about each sample, some without a known answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from edgesim.domain.networks.task import Score, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MultiLabel:
    """Answer several yes-or-no questions about each sample.

    Answers are logits, shape (n, labels), NaN for a label that is not answered; targets are 1, 0 or NaN where nobody knows, shape
    (n, labels).

    Parameters
    ----------
    labels : number of questions.
    weight_of_yes : how much a yes counts in the loss against a no, by label; 1 where nothing is given. With the number of no over that of
        yes both weigh the same in sum, so that a rare yes is said at all.

    Formula
    -------
    Loss = mean over known targets of the binary cross-entropy, times the weight where the target is 1. Imitation = mean over samples and labels of the binary
    p_T log(p_T / p_S) + (1 - p_T) log((1 - p_T) / (1 - p_S)), p the sigmoid of logits / T. Scores are means over the labels that can
    be judged: those of which both answers are known somewhere.

    Validity
    --------
    ROC-AUC looks at the order of the answers to one question only; MCC and accuracy say yes where the logit is above 0.

    References
    ----------
    scikit-learn, roc_auc_score and matthews_corrcoef.
    """

    labels: Annotated[int, Ge(1)] = 1
    weight_of_yes: tuple[float, ...] = ()

    @property
    def scores(self) -> tuple[Score, ...]:
        """ROC-AUC, Matthews' correlation coefficient, accuracy, and the share of the labels that have an answer."""
        return (
            Score(
                "roc_auc", partial(over_labels, of=_roc_auc, unanswered=0.5), label="ROC-AUC", low=0.0, high=1.0, without_answer=0.5,
                summary="how well answers are ordered: probability that a random yes has a larger logit than a random no",
                formula="mean over labels with both answers of the area under the ROC curve; 0.5 for a trial without an answer",
                source="scikit-learn, roc_auc_score",
            ),
            Score(
                "mcc", partial(over_labels, of=_mcc), label="MCC", low=-1.0, high=1.0,
                summary="Matthews' correlation coefficient of answers and targets",
                formula="mean over labels with both answers of the correlation of [logit > 0] and target; 0 for a trial without an answer",
                source="scikit-learn, matthews_corrcoef",
            ),
            Score(
                "accuracy", partial(over_labels, of=_accuracy), low=0.0, high=1.0, is_share=True,
                summary="share of right answers", formula="mean over labels with both answers of the share of [logit > 0] = target",
            ),
            Score(
                "labels_answered", answered, label="Share of labels with an answer", low=0.0, high=1.0, is_share=True,
                summary="share of the labels that can be judged and have an answer, be it a guess", formula="labels with both answers that have a logit / labels with both answers",
            ),
        )  # fmt: skip

    @property
    def output(self) -> TensorSpec:
        """A logit for each label."""
        return TensorSpec((self.labels,))

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with targets: their form, values beside 0, 1 and NaN, or that no label can be judged."""
        import numpy as np

        if str(targets.dtype) != "float32" or targets.shape[1:] != (self.labels,):
            return f"targets are {targets.dtype} of shape {targets.shape[1:]} a sample; expected float32 of shape ({self.labels},)"
        if not (np.isnan(targets) | (targets == 0) | (targets == 1)).all():
            return "targets hold values beside 0, 1 and NaN"
        if not ((targets == 0).any(axis=0) & (targets == 1).any(axis=0)).any():
            return "no label has both answers, so none can be judged"
        return ""

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean binary cross-entropy over the known targets; 0 when none is known."""
        import torch

        is_known = ~torch.isnan(targets)
        weight = torch.tensor(self.weight_of_yes) if self.weight_of_yes else None
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            answers, torch.nan_to_num(targets), reduction="none", pos_weight=weight
        )
        return (each * is_known).sum() / is_known.sum().clamp_min(1)

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the mean binary divergence of sigmoid(logits / T)."""
        from torch.nn import functional

        ours, theirs = answers / temperature, wanted / temperature
        p = theirs.sigmoid()
        yes = p * (functional.logsigmoid(theirs) - functional.logsigmoid(ours))
        no = (1 - p) * (functional.logsigmoid(-theirs) - functional.logsigmoid(-ours))
        return (yes + no).mean()

    def guess(self, targets: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of the shares of yes among what is known."""
        import numpy as np

        is_known = ~np.isnan(targets)
        share = np.nan_to_num(targets).sum(axis=0) / np.maximum(1, is_known.sum(axis=0))
        share = np.clip(share, 1e-6, 1 - 1e-6)
        logits: NDArray[np.float32] = np.log(share / (1 - share)).astype(np.float32)
        return logits


def over_labels(
    answers: NDArray[np.float32],
    targets: NDArray[Any],
    of: Callable[[NDArray[np.float32], NDArray[np.bool_]], float],
    unanswered: float = 0.0,
) -> float:
    """Return the mean over the labels of which both answers are known somewhere and that have one; NaN when none is known.

    With no answer to any label it is `unanswered`, what a request without an answer is worth.

    Examples
    --------
    >>> import numpy as np
    >>> targets = np.array([[1.0, 0.0], [0.0, np.nan], [1.0, 0.0]])  # of the second label only no is known
    >>> over_labels(np.array([[2.0, 9.0], [1.0, 9.0], [0.5, 9.0]]), targets, of=_roc_auc)
    0.5
    """
    import numpy as np

    if np.isnan(answers).all():
        return unanswered
    found = []
    for label in range(targets.shape[1]):
        is_known = ~np.isnan(targets[:, label]) & ~np.isnan(answers[:, label])
        right = targets[is_known, label] > 0.5
        if right.any() and not right.all():
            found.append(of(answers[is_known, label], right))
    return float(np.mean(found)) if found else float("nan")


def answered(answers: NDArray[np.float32], targets: NDArray[Any]) -> float:
    """Return the share of the labels with both answers known that have a logit for every sample.

    Examples
    --------
    >>> import numpy as np
    >>> answered(np.array([[2.0, np.nan], [1.0, np.nan]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    0.5
    """
    import numpy as np

    judged = ((targets == 0).any(axis=0)) & ((targets == 1).any(axis=0))
    return float((~np.isnan(answers[:, judged])).all(axis=0).mean())


def _roc_auc(answers: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(right, answers))


def _mcc(answers: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(right, answers > 0))


def _accuracy(answers: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    return float(((answers > 0) == right).mean())
