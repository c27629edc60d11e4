"""Numbers for each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from edgesim.domain.networks.task import Score, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Regression:
    """Tell one or more numbers for each sample.

    Answers and targets have shape (n, values).

    Parameters
    ----------
    values : how many numbers.
    unit : of the numbers, for axes and tables.
    spread : root mean square error of a request without an answer: that of guessing the mean, in the unit of the numbers. With
        targets of standard deviation 1, it is 1.

    Formula
    -------
    Loss = mean squared error. Imitation = half the mean squared difference of answers / T.

    Validity
    --------
    R2 compares with the mean of the test targets; it is negative for answers worse than that.

    References
    ----------
    scikit-learn, root_mean_squared_error and r2_score.
    """

    values: Annotated[int, Ge(1)] = 1
    unit: str = "1"
    spread: Annotated[float, Ge(0)] = 1.0

    @property
    def scores(self) -> tuple[Score, ...]:
        """Root mean square error, and R2."""
        return (
            Score(
                "rmse", rmse, label="RMSE", unit=self.unit, low=0.0, is_larger_better=False, without_answer=self.spread,
                summary="root mean square error of the answers",
                formula="mean over values of sqrt(mean over samples of (answer - target)^2); the spread for a trial without an answer",
                source="scikit-learn, root_mean_squared_error",
            ),
            Score(
                "r2", r2, label="R²", high=1.0,
                summary="share of the variance of the targets that the answers explain",
                formula="mean over values of 1 - sum (answer - target)^2 / sum (target - mean)^2; 0 for a trial without an answer",
                source="scikit-learn, r2_score",
            ),
        )  # fmt: skip

    @property
    def output(self) -> TensorSpec:
        """The numbers."""
        return TensorSpec((self.values,))

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with targets: their form, or values that are not finite."""
        import numpy as np

        if str(targets.dtype) != "float32" or targets.shape[1:] != (self.values,):
            return f"targets are {targets.dtype} of shape {targets.shape[1:]} a sample; expected float32 of shape ({self.values},)"
        return "" if np.isfinite(targets).all() else "targets hold values that are not finite"

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error."""
        from torch.nn import functional

        return functional.mse_loss(answers, targets)

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return half the mean squared difference of answers / T, so that the temperature cancels in the loss of distillation."""
        return ((answers - wanted) / temperature).square().mean() / 2

    def guess(self, targets: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean of the targets."""
        import numpy as np

        mean: NDArray[np.float32] = targets.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean


def rmse(answers: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    """Return the root mean square error, the mean over the values.

    Examples
    --------
    >>> import numpy as np
    >>> rmse(np.array([[1.0], [2.0]]), np.array([[4.0], [6.0]]))  # sqrt((9 + 16) / 2)
    3.5355339059327378
    """
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(targets, answers))


def r2(answers: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    """Return the coefficient of determination, the mean over the values.

    Examples
    --------
    >>> import numpy as np
    >>> r2(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]))  # 1 - 1 / 2
    0.5
    """
    from sklearn.metrics import r2_score

    return float(r2_score(targets, answers))
