"""The networks that are solved for; see `edgesim.nn.models.tabular.kernels` for what they compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from edgesim.errors import DataError
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Dataset, Samples

PENALTIES = np.logspace(-5, 3, 17)
WIDTHS = np.logspace(-1, 1, 41)
NOTHING = -1e30
"""The logarithm of a sum without terms, as a finite number."""


class LogisticRegression(nn.Module):
    """One linear layer."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.classifier = zeros(n_features, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the classes."""
        answer: torch.Tensor = self.classifier(x)
        return answer

    def solve(self, dataset: Dataset) -> None:
        """Fit it; see `solve_read_out`."""
        solve_read_out(self.classifier, dataset, dataset.train.only, dataset.validation.only)


class RadialBasis(nn.Module):
    """Units around centres, and a linear layer."""

    def __init__(self, n_features: int, n_centres: int, n_classes: int) -> None:
        super().__init__()
        self.basis = Basis(n_features, n_centres)
        self.classifier = zeros(n_centres, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the classes."""
        answer: torch.Tensor = self.classifier(self.basis(x))
        return answer

    def solve(self, dataset: Dataset) -> None:
        """Place the centres, and fit the read-out.

        Raises
        ------
        DataError
            When there are fewer different training samples than centres.
        """
        from sklearn.cluster import KMeans

        train = dataset.train.only
        n_centres, n_distinct = len(self.basis.scale), len(np.unique(train, axis=0))
        if n_distinct < n_centres:
            raise DataError(f"{n_centres} centres need as many different training samples, but there are {n_distinct}")
        draw = int(torch.randint(2**31, (1,)))
        self.basis.place(KMeans(n_centres, n_init=10, random_state=draw).fit(train).cluster_centers_)
        with torch.inference_mode():
            given = [self.basis(torch.from_numpy(split.only)).numpy() for split in (dataset.train, dataset.validation)]
        solve_read_out(self.classifier, dataset, *given)


class Basis(nn.Module):
    """exp(-|x - c|^2 / (2 s^2)) for some centres c."""

    def __init__(self, n_features: int, n_centres: int) -> None:
        super().__init__()
        self.centres = nn.Linear(n_features, n_centres)  # (x . c - |c|^2 / 2) / s^2
        self.scale = nn.Parameter(torch.ones(n_centres), requires_grad=False)  # 1 / (2 s^2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what each unit gives."""
        near: torch.Tensor = self.centres(x) - (x * x).sum(dim=1, keepdim=True) * self.scale
        return near.exp()

    def place(self, centres: NDArray[Any], width: float | None = None) -> None:
        """Set the centres; the width is the largest distance of two over sqrt(2 K) when it is not given.

        >>> import numpy as np
        >>> basis = Basis(1, 2)
        >>> basis.place(np.array([[0.0], [2.0]]))  # s = 2 / sqrt(4) = 1
        >>> [round(value, 4) for value in basis(torch.tensor([[0.0]]))[0].tolist()]  # exp(0) and exp(-4 / 2)
        [1.0, 0.1353]
        """
        distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
        s = width or float(distances.max()) / (2 * len(centres)) ** 0.5
        set_linear(self.centres, centres / s**2, -(centres**2).sum(axis=1) / (2 * s**2))
        self.scale.data = torch.full((len(centres),), 1 / (2 * s**2))


class GeneralRegression(nn.Module):
    """A unit for each training sample, those of a class side by side, and the logarithm of the sum of each class."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(n_classes, dtype=torch.int64))  # samples of each class
        self.samples = zeros(n_features, 1)  # (x . x_i - |x_i|^2 / 2) / s^2
        self.ends = [0] * (n_classes + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of the sums of the classes."""
        near = self.samples(x)
        sums = [
            torch.logsumexp(near[:, first:last], dim=1) if last > first else near[:, 0] * 0 + NOTHING
            for first, last in zip(self.ends, self.ends[1:], strict=False)
        ]
        return torch.stack(sums, dim=1)

    def solve(self, dataset: Dataset) -> None:
        """Keep the training samples, and find the width."""
        targets = classes_of(dataset, dataset.train)
        self.keep(dataset.train.only, targets, best_width(dataset.train.only, targets, len(self.counts)))

    def keep(self, samples: NDArray[Any], targets: NDArray[Any], width: float) -> None:
        """Set the samples, the class of each, and the width."""
        order = np.argsort(targets, kind="stable")
        ordered = samples[order].astype(np.float64)
        self._resize(np.bincount(targets, minlength=len(self.counts)).tolist())
        set_linear(self.samples, ordered / width**2, -(ordered**2).sum(axis=1) / (2 * width**2))

    def shard(self, chosen: Sequence[int]) -> GeneralRegression:
        """Return the network of some of the samples, by their numbers."""
        part = GeneralRegression(self.samples.in_features, len(self.counts))
        numbers = sorted(chosen)
        part._resize(
            [sum(first <= n < last for n in numbers) for first, last in zip(self.ends, self.ends[1:], strict=False)]
        )
        set_linear(
            part.samples, self.samples.weight[numbers].detach().numpy(), self.samples.bias[numbers].detach().numpy()
        )
        return part.eval()

    def _resize(self, counts: Sequence[int]) -> None:
        """Make room for so many samples of each class."""
        self.counts = torch.tensor(counts, dtype=torch.int64)
        self.ends = [0, *np.cumsum(counts).tolist()]
        self.samples = zeros(self.samples.in_features, max(1, sum(counts)))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        self._resize(state_dict[f"{prefix}counts"].tolist())
        super()._load_from_state_dict(state_dict, prefix, *rest)


def best_width(samples: NDArray[Any], targets: NDArray[Any], n_classes: int) -> float:
    """Return the width with the smallest squared error of the shares when each sample is left out in turn.

    Parameters
    ----------
    samples : shape (n, features).
    targets : classes, shape (n,).
    n_classes : number of classes.
    """
    wanted = np.eye(n_classes)[targets]
    squares = ((samples[:, None].astype(np.float64) - samples[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    squares -= squares.min(axis=1, keepdims=True)  # the nearest has weight 1, so no sum is 0
    errors = []
    for width in WIDTHS:
        weights = np.exp(-squares / (2 * width**2))
        shares = weights @ wanted / weights.sum(axis=1, keepdims=True)
        errors.append(float(((shares - wanted) ** 2).mean()))
    return float(WIDTHS[int(np.argmin(errors))])


def solve_read_out(layer: nn.Linear, dataset: Dataset, train: NDArray[Any], validation: NDArray[Any]) -> None:
    """Fit logistic regression to features of the training split, with the penalty that is best on those of the validation split.

    Raises
    ------
    DataError
        When the task has no classes, or the training split lacks one.
    """
    from sklearn.linear_model import LogisticRegression as Fitted
    from sklearn.metrics import log_loss

    targets, others = (classes_of(dataset, split) for split in (dataset.train, dataset.validation))
    classes = list(range(layer.out_features))
    missing = sorted(set(classes) - set(targets.tolist()))
    if missing:
        raise DataError(f"the training split has no sample of class {missing[0]}, so nothing can be fitted to it")

    def fitted(penalty: float) -> Fitted:
        return Fitted(C=1 / penalty, max_iter=5000).fit(train.astype(np.float64), targets)

    models = [fitted(penalty) for penalty in PENALTIES]
    losses = [log_loss(others, model.predict_proba(validation.astype(np.float64)), labels=classes) for model in models]
    best = models[int(np.argmin(losses))]
    weights, bias = best.coef_, best.intercept_
    if len(weights) == 1:  # of two classes it has the logit of the second over the first
        weights, bias = (np.concatenate([np.zeros_like(one), one]) for one in (weights, bias))
    set_linear(layer, weights, bias)


def classes_of(dataset: Dataset, split: Samples) -> NDArray[np.int64]:
    """Return the classes of some samples. Raises `DataError` when the task has none."""
    if not isinstance(dataset.task, Classification):
        raise DataError(
            f"its weights are solved for classes, but the task is {type(dataset.task).__name__}; choose another model, e.g. mlp"
        )
    return split.targets


def zeros(n_inputs: int, n_outputs: int) -> nn.Linear:
    """Return a linear layer whose weights are to be set."""
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def set_linear(layer: nn.Linear, weights: NDArray[Any], bias: NDArray[Any]) -> None:
    """Set the weights and biases of a linear layer."""
    layer.weight = nn.Parameter(torch.from_numpy(weights.astype(np.float32)), requires_grad=False)
    layer.bias = nn.Parameter(torch.from_numpy(bias.astype(np.float32)), requires_grad=False)
