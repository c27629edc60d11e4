"""Max-min fair sharing of channels, as a pure function.

Each transfer crosses channels; on a link of B bit/s it uses 1/B of the channel's time for every bit/s of its rate. A channel
gives away at most all of its time, so for every channel c

    sum over transfers f of  x_f * u_cf  <=  1,      u_cf = sum over the links of f on c of 1 / B.

A link with a channel of its own is the usual capacity constraint; links of one medium share its time; a message that an
access point relays within one medium uses its time twice. Rates are max-min fair: no rate can grow unless one that is not
larger shrinks. Valid for many packets per message and senders that react faster than messages last.

References
----------
D. Bertsekas, R. Gallager, Data Networks, 2nd ed., Prentice Hall, 1992, section 6.5.2 (progressive filling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf


def max_min_rates(usages: Sequence[Mapping[int, float]]) -> list[float]:
    """Return the max-min fair rates by progressive filling.

    All rates grow together; when a channel is full, the transfers that cross it are frozen, and the others go on.

    Parameters
    ----------
    usages : by transfer: channel -> u_cf > 0, the channel's time per bit/s, in s/bit.

    Returns
    -------
    rates
        By transfer, in bit/s; inf for a transfer that crosses no channel.

    Notes
    -----
    Cost: (number of bottlenecks) x (channels) + (transfers x channels each).

    Examples
    --------
    Two links of 10 and 4 Mbit/s; one transfer over both, one over each:

    >>> rates = max_min_rates([{0: 1 / 10e6, 1: 1 / 4e6}, {0: 1 / 10e6}, {1: 1 / 4e6}])
    >>> [round(rate / 1e6, 6) for rate in rates]
    [2.0, 8.0, 2.0]
    """
    rates = [inf] * len(usages)
    users: dict[int, list[int]] = {}
    for transfer, usage in enumerate(usages):
        for channel in usage:
            users.setdefault(channel, []).append(transfer)
    free = dict.fromkeys(users, 1.0)
    growing = {channel: sum(usages[transfer][channel] for transfer in crossing) for channel, crossing in users.items()}
    n_growing = {channel: len(crossing) for channel, crossing in users.items()}
    while growing:
        bottleneck = min(growing, key=lambda channel: (free[channel] / growing[channel], channel))
        rate = free[bottleneck] / growing[bottleneck]
        for transfer in users[bottleneck]:
            if rates[transfer] < inf:
                continue
            rates[transfer] = rate
            for channel, time_per_bit in usages[transfer].items():
                free[channel] = max(0.0, free[channel] - rate * time_per_bit)
                growing[channel] -= time_per_bit
                n_growing[channel] -= 1
                if n_growing[channel] == 0:
                    del growing[channel]
    return rates
