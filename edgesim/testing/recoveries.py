"""What a recovery promises."""

from __future__ import annotations

import pickle
from math import inf
from typing import TYPE_CHECKING

from edgesim.testing.expect import expect

if TYPE_CHECKING:
    from edgesim.interfaces import Recovery

_N_LOST = 1000


def check_recovery(recovery: Recovery) -> None:
    """Check what `edgesim.interfaces.Recovery` promises.

    Times are finite and at least 0; what was given up is never tried again; answers are the same each time, and after pickling.

    Parameters
    ----------
    recovery : an instance, with its options.

    Raises
    ------
    AssertionError
        When one of these does not hold.

    Examples
    --------
    >>> from edgesim.recoveries.retry import Retry
    >>> check_recovery(Retry(0.1))
    """
    times = [recovery.again_s(n_lost) for n_lost in range(1, _N_LOST + 1)]
    for n_lost, time_s in enumerate(times, start=1):
        expect(
            time_s is None or 0.0 <= time_s < inf,
            f"what is lost for time {n_lost} is tried again after {time_s} s; expected a finite time of at least 0, or None",
        )
    is_given_up = [time_s is None for time_s in times]
    expect(is_given_up == sorted(is_given_up), "what was given up is tried again; after None there is nothing but None")
    expect(is_given_up[-1], f"what is lost {_N_LOST} times is tried once more; give it up some time")
    copied: Recovery = pickle.loads(pickle.dumps(recovery))  # noqa: S301 - just pickled here
    for what, one in (("asked again", recovery), ("pickled", copied)):
        again = [one.again_s(n_lost) for n_lost in range(1, _N_LOST + 1)]
        expect(again == times, f"{what}, it says other times; expected the same each time")
