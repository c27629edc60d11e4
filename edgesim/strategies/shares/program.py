"""The shares of layers that cost least energy, or time, by a linear program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StageCosts:
    """What a share of each stage costs on each device; all linear, arrays of shape (stages, devices).

    Parameters
    ----------
    fixed_s, share_s : time of a device for a stage = fixed + share x its share: input there, computing, output back, in s.
    share_j : what a share adds to idle power, in J.
    idle_w : idle power of all devices together, in W.
    """

    fixed_s: NDArray[np.float64]
    share_s: NDArray[np.float64]
    share_j: NDArray[np.float64]
    idle_w: float

    def of(self, devices: Sequence[int]) -> StageCosts:
        """Return the costs of some of the devices."""
        chosen = list(devices)
        return StageCosts(self.fixed_s[:, chosen], self.share_s[:, chosen], self.share_j[:, chosen], self.idle_w)


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of shape (stages, devices), and the sum of the stages' times in s."""

    shares: NDArray[np.float64]
    latency_s: float


def least_shares(costs: StageCosts, deadline_s: float | None, *, is_fastest: bool = False) -> Shares | None:
    r"""Return the shares of least energy within a deadline, or those of least time; None when there are none.

    With shares :math:`\pi_{ki} \ge 0`, :math:`\sum_i \pi_{ki} = 1` and the time :math:`s_k` of stage k,

    .. math:: \min \sum_{ki} e_{ki} \pi_{ki} + W \sum_k s_k \quad\text{with}\quad
       s_k \ge a_{ki} + b_{ki} \pi_{ki}, \quad \sum_k s_k \le D.

    Examples
    --------
    One stage: 1 s and 3 J on one device, 3 s and 1 J on the other. In 3 s the second does all, in 1.5 s half, and 0.75 s is the least.

    >>> import numpy as np
    >>> costs = StageCosts(np.zeros((1, 2)), np.array([[1.0, 3.0]]), np.array([[3.0, 1.0]]), 0.0)
    >>> [least_shares(costs, deadline_s).shares.tolist() for deadline_s in (3.0, 1.5)]
    [[[0.0, 1.0]], [[0.5, 0.5]]]
    >>> least_shares(costs, None, is_fastest=True).latency_s, least_shares(costs, 0.7)
    (0.75, None)
    """
    import numpy as np
    from scipy.optimize import linprog

    n_stages, n_devices = costs.share_s.shape
    n_shares = n_stages * n_devices
    share_j = np.zeros(n_shares) if is_fastest else costs.share_j.ravel()
    goal = np.concatenate([share_j, np.full(n_stages, 1.0 if is_fastest else costs.idle_w)])
    stage = np.repeat(np.eye(n_stages), n_devices, axis=0)
    at_most = np.hstack([np.diag(costs.share_s.ravel()), -stage])
    limits = -costs.fixed_s.ravel()
    if deadline_s is not None:
        at_most = np.vstack([at_most, np.concatenate([np.zeros(n_shares), np.ones(n_stages)])])
        limits = np.append(limits, deadline_s)
    whole = np.hstack([stage.T, np.zeros((n_stages, n_stages))])
    found = linprog(goal, at_most, limits, whole, np.ones(n_stages), method="highs")
    if found.x is None:
        return None
    return Shares(found.x[:n_shares].reshape(n_stages, n_devices), float(found.x[n_shares:].sum()))
