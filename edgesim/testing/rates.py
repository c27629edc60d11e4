"""What a changing rate promises."""

from __future__ import annotations

import pickle
from itertools import islice, pairwise
from math import inf
from typing import TYPE_CHECKING

from edgesim.testing.expect import expect

if TYPE_CHECKING:
    from edgesim.domain.system.rates import ChangingRate


def check_rates(rate: ChangingRate, *, n_changes: int = 1000) -> None:
    """Check what `edgesim.domain.system.rates.ChangingRate` promises.

    Changes come in order of time, from 0 s on, each to a finite rate of at least 0; they are the same each time, and after pickling; and
    of the first ones not all are to 0, nor is the last of all.

    Parameters
    ----------
    rate : an instance, with its options.
    n_changes : as many are looked at, if there are as many.

    Raises
    ------
    AssertionError
        When one of these does not hold.

    Examples
    --------
    >>> from edgesim.network.rates import RateStep, Steps
    >>> check_rates(Steps((RateStep(0.0, 1e6), RateStep(0.5, 0.0)), period_s=1.0))
    """
    changes = list(islice(rate.changes(), n_changes))
    expect(changes, "changes gives nothing; a rate that never changes is the bandwidth of the link")
    for time_s, rate_bit_per_s in changes:
        expect(0 <= time_s < inf, f"a rate changes at {time_s} s; expected a finite time from 0 s on")
        expect(
            0 <= rate_bit_per_s < inf,
            f"at {time_s} s the rate is {rate_bit_per_s} bit/s; expected a finite one, at least 0",
        )
    for (earlier_s, _), (later_s, _) in pairwise(changes):
        expect(
            earlier_s < later_s, f"a change at {later_s} s comes behind one at {earlier_s} s; their times must increase"
        )
    copied: ChangingRate = pickle.loads(pickle.dumps(rate))  # noqa: S301 - just pickled here
    for what, one in (("asked again", rate), ("pickled", copied)):
        expect(
            list(islice(one.changes(), n_changes)) == changes,
            f"{what}, it changes otherwise; changes are the same each time",
        )
    is_for_ever = len(changes) < n_changes and changes[-1][1] == 0.0
    expect(not is_for_ever, f"from {changes[-1][0]} s on the rate is 0 for ever; an outage does this")
    expect(
        any(rate_bit_per_s > 0 for _, rate_bit_per_s in changes),
        f"in its first {len(changes)} changes the rate is always 0",
    )
