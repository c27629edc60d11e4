"""Training with few labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from edgesim.domain.bounds import not_negative, one_of, positive, share, whole
from edgesim.errors import ScenarioError

Mixed = Literal["answers", "logits"]


@dataclass(frozen=True, slots=True)
class Interpolation:
    """Interpolation consistency training: few samples have labels, and of all others mixtures are answered as mixtures.

    Loss = L_S + w(t) L_U. L_U = mean over batch and classes of (softmax f(Mix(u_j, u_k)) - Mix(softmax z_j, softmax z_k))^2, Mix(x, y) = l x +
    (1 - l) y, l ~ Beta(a, a), one l for each batch, k a permutation of j, f the network and z = f'(u) the answers of its mean f'. L_S = l L(f(Mix(x_j,
    x_k)), y_j) + (1 - l) L(f(Mix(x_j, x_k)), y_k) with an l of its own, L the loss of the task. After each step f' <- d f' + (1 - d) f, d = min(1 - 1 / (step + 1),
    decay), steps counted from 0. f' is what is selected, measured and kept.

    Parameters
    ----------
    labels_per_class : training samples of each class whose label is known, drawn once for each seed. The validation split has all of its labels, and selects the epoch.
    mixing : a of the Beta distribution; with 1 all mixtures are equally likely, near 0 most are nearly one of both samples.
    weight : of L_U behind the ramp; 0 leaves L_U out.
    ramp : share of the epochs over which the weight grows: w(t) = weight exp(-5 (1 - t / T)^2) until T = ramp x epochs, t in epochs.
    decay : the most that a step leaves of the mean.
    mixed : what of the mean's answers is mixed: ``answers``, their softmax, as is written; or ``logits``, of which then the softmax is taken, as in the published code.
    mixes_labelled : whether L_S mixes, too; without, it is L on the labelled samples themselves.

    References
    ----------
    V. Verma et al., Interpolation Consistency Training for Semi-Supervised Learning, IJCAI 2019, arXiv 1903.03825, and its published code, from which we have that the mean
    answers with batch statistics of its own, and the default of `weight`. A step takes labelled samples at random, as many as a batch has if there are so many.

    Examples
    --------
    >>> options = Interpolation(weight=100.0, ramp=0.25)
    >>> [round(options.weight_at(epoch, 40), 2) for epoch in (0, 5, 10, 20)]
    [0.67, 28.65, 100.0, 100.0]
    """

    labels_per_class: Annotated[int, Ge(1)] = 10
    mixing: Annotated[float, Ge(0.01), Le(4)] = 0.1
    weight: Annotated[float, Ge(0)] = 100.0
    ramp: Annotated[float, Gt(0), Le(1)] = 0.25
    decay: Annotated[float, Ge(0), Lt(1)] = 0.99
    mixed: Mixed = "answers"
    mixes_labelled: bool = True

    def __post_init__(self) -> None:
        whole("an interpolation", 1, labels_per_class=self.labels_per_class)
        not_negative("an interpolation", weight=self.weight)
        share("an interpolation", ramp=self.ramp, decay=self.decay)
        positive("an interpolation", ramp=self.ramp, mixing=self.mixing)
        one_of("an interpolation", Mixed, mixed=self.mixed)
        if not 0.01 <= self.mixing <= 4:
            raise ScenarioError(f"mixing of an interpolation is {self.mixing}; expected 0.01 to 4")

    def weight_at(self, epoch: float, epochs: int) -> float:
        """Return w(t): the weight of L_U after so many of all epochs."""
        from math import exp

        left = max(0.0, 1 - epoch / (self.ramp * epochs))
        return self.weight * exp(-5 * left**2)
