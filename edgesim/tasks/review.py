"""What answers are worth when a person looks at some of them. Importing this needs neither torch nor numpy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from edgesim.domain.networks.task import Score
from edgesim.tasks.uncertainty import uncertainty_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.escalation import Escalation

IGNORED = -1
"""The target of a place that does not count."""
ESCALATED = "escalated"
_CONDESSA = "F. Condessa, J. Bioucas-Dias, J. Kovacevic, Pattern Recognition 63, 2017, doi 10.1016/j.patcog.2016.10.011"


def reviewed_scores(scores: Sequence[Score], escalation: Escalation, classes: int) -> tuple[Score, ...]:
    """Return the scores of answers of which a person corrects some: those of the task, the share of samples, and how well they were chosen.

    Parameters
    ----------
    scores : of the task, of logits of shape (n, classes, *places).
    escalation : which samples.
    classes : their number.
    """
    own: dict[str, Any] = {"escalation": escalation, "classes": classes}
    final = [
        Score(
            f"final_{score.name}", partial(_final, of=score.of, **own), f"Final {score.title[0].lower()}{score.title[1:]}", score.unit, score.low, score.high,
            score.is_share, score.is_larger_better, score.without_answer, summary=f"{score.name} behind the person",
            formula=f"{score.formula}; places of escalated samples are right", source=score.source,
        )
        for score in scores
    ]  # fmt: skip
    share = Score(
        ESCALATED, partial(_escalated, **own), "Escalated", low=0.0, high=1.0, is_share=True, is_larger_better=False,
        is_mean_of_samples=escalation.above is not None, summary="share of the samples that a person looks at",
        formula="mean over trials of the share of the test split whose uncertainty, with what arrived, is above the bound; 0 without an answer",
        source="edgesim's own definition",
    )  # fmt: skip
    chosen = [
        Score(
            name, partial(_measured, of=function, **own), label=label, low=0.0, high=1.0 if is_share else float("inf"), is_share=is_share,
            summary=summary, formula=formula, source=_CONDESSA,
        )
        for name, function, label, is_share, summary, formula in _CHOSEN
    ]  # fmt: skip
    return (*final, share, *chosen)


def escalated_samples(
    escalation: Escalation, answers: NDArray[np.float32], targets: NDArray[np.int64], classes: int
) -> NDArray[np.bool_]:
    """Return which samples a person looks at, shape (n,); of a share, the most uncertain ones, the first among equals."""
    import numpy as np

    n = len(targets)
    counts = (targets != IGNORED).reshape(n, -1)
    each = uncertainty_of(escalation.uncertainty, answers, targets, classes).reshape(n, -1)
    found = (each * counts).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
    if escalation.share is None:
        is_above: NDArray[np.bool_] = found > escalation.above
        return is_above
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[np.argsort(-found, kind="stable")[: round(escalation.share * n)]] = True
    return chosen


def _final(
    answers: NDArray[np.float32],
    targets: NDArray[np.int64],
    of: Callable[[NDArray[np.float32], NDArray[np.int64]], float],
    escalation: Escalation,
    classes: int,
) -> float:
    """Return a score of the answers with those of the person in place of some."""
    import numpy as np

    chosen = escalated_samples(escalation, answers, targets, classes)
    corrected = answers[:, :classes].copy()
    right = np.arange(classes).reshape(-1, *[1] * (targets.ndim - 1)) == targets[chosen][:, None]
    corrected[chosen] = right
    return of(corrected, targets)


def _escalated(answers: NDArray[np.float32], targets: NDArray[np.int64], escalation: Escalation, classes: int) -> float:
    """Return the share of the samples that a person looks at."""
    return float(escalated_samples(escalation, answers, targets, classes).mean())


def _measured(
    answers: NDArray[np.float32],
    targets: NDArray[np.int64],
    of: Callable[[NDArray[np.bool_], NDArray[np.bool_]], float],
    escalation: Escalation,
    classes: int,
) -> float:
    """Return what a function says of the places that count: whether they are right, and whether they are rejected."""
    import numpy as np

    chosen = escalated_samples(escalation, answers, targets, classes)
    counts = targets != IGNORED
    is_rejected = np.broadcast_to(chosen.reshape(-1, *[1] * (targets.ndim - 1)), targets.shape)
    return of((answers[:, :classes].argmax(axis=1) == targets)[counts], is_rejected[counts])


def non_rejected_accuracy(is_right: NDArray[np.bool_], is_rejected: NDArray[np.bool_]) -> float:
    """Return |A and N| / |N|, A the right and N those that are not rejected; NaN where all are.

    Examples
    --------
    >>> import numpy as np
    >>> right, rejected = np.array([1, 1, 1, 0, 0], bool), np.array([0, 0, 1, 1, 0], bool)
    >>> non_rejected_accuracy(right, rejected), classification_quality(right, rejected), rejection_quality(right, rejected)
    (0.6666666666666666, 0.6, 1.5)
    """
    kept = is_right[~is_rejected]
    return float(kept.mean()) if len(kept) else float("nan")


def classification_quality(is_right: NDArray[np.bool_], is_rejected: NDArray[np.bool_]) -> float:
    """Return (|A and N| + |M and R|) / (|N| + |R|), M the wrong and R the rejected ones."""
    return float((is_right != is_rejected).mean())


def rejection_quality(is_right: NDArray[np.bool_], is_rejected: NDArray[np.bool_]) -> float:
    """Return (|M and R| / |A and R|) / (|M| / |A|); above 1: better than at random; NaN where one of these is empty but M and R."""
    wrong, right = int((~is_right).sum()), int(is_right.sum())
    wrong_rejected = int((~is_right & is_rejected).sum())
    right_rejected = int((is_right & is_rejected).sum())
    return wrong_rejected * right / (right_rejected * wrong) if right_rejected and wrong else float("nan")


_CHOSEN = (
    (
        "non_rejected_accuracy", non_rejected_accuracy, "Non-rejected accuracy", True, "share of the places that no person looks at that are right",
        "|A and N| / |N|, A right, N not escalated",
    ),
    (
        "classification_quality", classification_quality, "Classification quality", True, "share of the places that are right and kept, or wrong and escalated",
        "(|A and N| + |M and R|) / (|N| + |R|), M wrong, R escalated",
    ),
    (
        "rejection_quality", rejection_quality, "Rejection quality", False, "odds of a wrong place among escalated ones, relative to those among all",
        "(|M and R| / |A and R|) / (|M| / |A|); not defined where nothing right is escalated, or nothing is wrong",
    ),
)  # fmt: skip
