"""How uncertain answers are, place by place. Importing this needs neither torch nor numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesim.rng import generator

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from edgesim.domain.networks.escalation import Uncertainty

PENALTY = 1e-3
"""Weight of beta^2 in `dirichlet_loss`; assumed."""
_LEAST = 1e-6


def uncertainty_of(
    kind: Uncertainty, answers: NDArray[np.float32], targets: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Return the uncertainty of each place, shape (n, *places); entropies are in nats.

    Parameters
    ----------
    kind : see `edgesim.domain.networks.escalation.Escalation`.
    answers : logits, shape (n, classes, *places); for ``second-network`` one channel more.
    targets : classes, shape (n, *places); only an ``oracle`` looks at them.
    classes : their number.

    Examples
    --------
    >>> import numpy as np
    >>> answers = np.log([[[0.5, 0.9]], [[0.5, 0.1]]]).transpose(1, 0, 2)  # one sample, 2 classes, 2 places
    >>> uncertainty_of("entropy", answers, np.array([[0, 1]]), 2).round(3).tolist()
    [[0.693, 0.325]]
    >>> uncertainty_of("oracle", answers, np.array([[0, 1]]), 2).tolist()
    [[0.0, 1.0]]
    """
    import numpy as np
    from scipy.special import softmax

    if kind == "random":
        return generator(0, "escalation/random").random(targets.shape)
    logits = answers[:, :classes].astype(np.float64)
    if kind == "oracle":
        wrong: NDArray[np.float64] = (logits.argmax(axis=1) != targets).astype(np.float64)
        return wrong
    p: NDArray[np.float64] = softmax(logits, axis=1)
    if kind == "least-confidence":
        return np.asarray(1 - p.max(axis=1))
    if kind == "entropy":
        return np.asarray(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=1))
    return expected_entropy(p, np.logaddexp(0, answers[:, classes].astype(np.float64)))


def expected_entropy(p: NDArray[np.float64], beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return E[H(q)], q ~ Dirichlet(beta p): psi(beta + 1) - sum_k p_k psi(beta p_k + 1), in nats.

    Parameters
    ----------
    p : class probabilities along axis 1.
    beta : how sure it is that q is p; 0: q is one class, infinity: q is p.

    References
    ----------
    D. Wolpert, D. Wolf, Estimating functions of probability distributions from a finite set of samples, Phys. Rev. E 52, 1995, doi
    10.1103/PhysRevE.52.6841.

    Examples
    --------
    Two equal classes and beta = 2: q is uniform on 0 to 1, and the mean of its entropy is 1/2.

    >>> import numpy as np
    >>> float(expected_entropy(np.array([[0.5, 0.5]]), np.array([2.0]))[0].round(9))
    0.5
    """
    import numpy as np
    from scipy.special import digamma

    return np.asarray(digamma(beta + 1) - (p * digamma(beta[:, None] * p + 1)).sum(axis=1))


def dirichlet_loss(logits: torch.Tensor, raw: torch.Tensor, targets: torch.Tensor, ignored: int) -> torch.Tensor:
    """Return mean(-E[ln q_y] + PENALTY beta^2) over places that count, q ~ Dirichlet(beta p), beta = ln(1 + e^raw): what a second network learns.

    -E[ln q_y] = psi(beta) - psi(beta p_y) falls as beta grows, the more the less p_y is; the penalty holds it. So beta is large where the first network is
    often wrong, and `expected_entropy` keeps the entropy of p there and takes it away elsewhere. The first network learns nothing from it.

    References
    ----------
    After J. Mena, O. Pujol, J. Vitria, Uncertainty-Based Rejection Wrappers for Black-Box Classifiers, IEEE Access 8, 2020, doi 10.1109/ACCESS.2020.2996495, who
    draw several q and take the loss of their mean. Ours: the loss of one draw, whose expectation has a closed form, as has that of its entropy; the mean of
    many draws is p whatever beta is.
    """
    import torch
    from torch.nn import functional

    counts: Any = targets != ignored
    p = functional.softmax(logits.detach(), dim=1).gather(1, targets.clamp(min=0).unsqueeze(1)).squeeze(1)
    beta = functional.softplus(raw)[counts] + _LEAST
    loss: torch.Tensor = torch.digamma(beta) - torch.digamma(beta * p[counts].clamp(min=_LEAST)) + PENALTY * beta**2
    return loss.mean() if loss.numel() else raw.sum() * 0
