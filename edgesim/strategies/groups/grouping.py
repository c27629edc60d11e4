"""Devices in groups of which one is there with high probability, and which student each group runs."""

from __future__ import annotations

from math import inf, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def groups_of(probabilities: Sequence[float], most_lost: float) -> tuple[tuple[int, ...], ...]:
    r"""Return as many groups as are found in which all devices fail together with a small probability; nothing where even all together do not.

    With probabilities :math:`p_i` of independent failures each group has :math:`\prod p_i \le \varepsilon`, or :math:`\sum -\log p_i \ge -\log
    \varepsilon`. For each number of groups, from the largest down, devices go one after another, the most reliable first, to the group whose sum is
    least. That finds the most groups where devices are alike; in general there may be more.

    Examples
    --------
    Two of ten per cent are needed for one per cent; a device of one per cent is a group by itself.

    >>> groups_of([0.1, 0.1, 0.01, 0.1, 0.1], 0.01)
    ((2,), (0, 3), (1, 4))
    >>> groups_of([0.5, 0.5], 0.1)
    ()
    """
    weights = [-log(p) if p > 0 else inf for p in probabilities]
    needed = -log(most_lost) * (1 - 1e-12)
    order = sorted(range(len(weights)), key=lambda device: -weights[device])
    for n_groups in range(len(weights), 0, -1):
        groups: list[list[int]] = [[] for _ in range(n_groups)]
        sums = [0.0] * n_groups
        for device in order:
            least = sums.index(min(sums))
            groups[least].append(device)
            sums[least] += weights[device]
        if min(sums) >= needed:
            return tuple(tuple(group) for group in groups)
    return ()


def assigned(latencies_s: NDArray[np.float64]) -> tuple[int, ...] | None:
    """Return the student of each group so that the slowest group is as fast as it can be, and then all together; None when nothing fits.

    Parameters
    ----------
    latencies_s : of each group with each student, shape (groups, groups), in s; infinite where a student does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> assigned(np.array([[1.0, 5.0], [2.0, 9.0]]))  # 5 and 2, not 1 and 9
    (1, 0)
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    for limit_s in np.unique(latencies_s[np.isfinite(latencies_s)]):
        allowed = np.where(latencies_s <= limit_s, latencies_s, inf)
        try:
            _, chosen = linear_sum_assignment(allowed)
        except ValueError:  # says that no assignment is finite
            continue
        return tuple(int(student) for student in chosen)
    return None
