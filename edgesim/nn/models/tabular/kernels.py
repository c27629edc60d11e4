"""Options of the networks that are solved for, not trained by gradients. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from edgesim.domain.networks.samples import SampleKind
from edgesim.nn.models.shapes import one_float, vector

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression: one linear layer, for tables. The control that says whether a network is worth its cost.

    The weights are those of the largest penalised likelihood of the training split; the penalty, of 17 between 10^-5 and 10^3, is the
    best of the validation split. Options of `training` do not matter to it.

    Formula
    -------
    Answer = W x + b, the logits of the classes; W, b make sum_i -log softmax(W x_i + b)[y_i] + |W|^2 / (2 C) smallest.

    Validity
    --------
    Tasks with classes.

    References
    ----------
    scikit-learn, LogisticRegression.
    """

    kind_of_samples: ClassVar[SampleKind] = "rows of numbers"

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the network, its weights zero until they are solved for."""
        from edgesim.nn.models.tabular.kernel_networks import LogisticRegression

        (n_features,) = one_float("logistic", inputs, ("features",))
        return LogisticRegression(n_features, vector("logistic", output))

    def filter_layer(self) -> None:
        """Return None: there are no hidden units to divide."""


@dataclass(frozen=True, slots=True)
class RBF:
    """Radial basis functions around centres, with logistic regression on what they give, for tables.

    The centres are those of k-means on the training split; all have one width, and the read-out is solved for as `logistic` is.

    Parameters
    ----------
    centres : K, the number of centres and units.

    Formula
    -------
    phi_k(x) = exp(-|x - c_k|^2 / (2 s^2)), s = d / sqrt(2 K), d the largest distance of two centres. Answer = W phi + b.

    Validity
    --------
    Tasks with classes; features that are scaled alike, since all weigh the same in a distance.

    References
    ----------
    D. S. Broomhead, D. Lowe, Multivariable Functional Interpolation and Adaptive Networks, Complex Systems 2, 1988.
    """

    kind_of_samples: ClassVar[SampleKind] = "rows of numbers"
    centres: Annotated[int, Ge(2)] = 20

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the network, its centres and weights zero until they are solved for."""
        from edgesim.nn.models.tabular.kernel_networks import RadialBasis

        (n_features,) = one_float("rbf", inputs, ("features",))
        return RadialBasis(n_features, self.centres, vector("rbf", output))

    def filter_layer(self) -> str:
        """Return the name of the layer of the basis functions."""
        return "basis"


@dataclass(frozen=True, slots=True)
class GRNN:
    """General regression network: every training sample speaks for its class, the louder the nearer it is; for tables.

    Nothing is fitted but one width. It is distributed by its training samples with the strategy ``sample-shards``.

    Formula
    -------
    Share of class c = sum over training samples i of c of exp(-|x - x_i|^2 / (2 s^2)) / the same sum over all. The answer is
    log sum_(i of c) exp((x . x_i - |x_i|^2 / 2) / s^2), of which the softmax is the share: |x|^2 is the same for all. s, of 41 between 0.1 and
    10, is that of the smallest squared error of the shares when each training sample is left out in turn.

    Validity
    --------
    Tasks with classes; features that are scaled alike. Memory and work grow with the training samples, which lie on the devices.

    References
    ----------
    D. F. Specht, A General Regression Neural Network, IEEE Transactions on Neural Networks 2(6), 1991, doi 10.1109/72.97934.
    """

    kind_of_samples: ClassVar[SampleKind] = "rows of numbers"

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the network, without samples until it is solved."""
        from edgesim.nn.models.tabular.kernel_networks import GeneralRegression

        (n_features,) = one_float("grnn", inputs, ("features",))
        return GeneralRegression(n_features, vector("grnn", output))

    def filter_layer(self) -> None:
        """Return None: its units are the training samples themselves; divide them with ``sample-shards``."""
