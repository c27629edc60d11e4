"""What it costs that the devices of a plan, which share nothing, share the cores of one machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.domain.records import Stay


def spans_of(plan: Plan, stays: Iterable[Stay], real_s: Mapping[str, float]) -> list[tuple[float, float]]:
    """Return when this machine works for a device of a plan: from its release, in s, begin and end, in no order.

    Parameters
    ----------
    plan, stays : of a request as it was simulated, with a `host_overhead` of its devices: a message that is sent or read occupies the machine as long as its device.
    real_s : how long a computation occupies the machine, from its start on.
    """
    devices = set(plan.device_ids)
    own = [stay for stay in stays if stay.resource_id in devices]
    return [(one.started_s, one.started_s + real_s.get(one.step_id, one.ended_s - one.started_s)) for one in own]


def sharing_s(spans: Iterable[tuple[float, float]], n_cores: int) -> float:
    """Return by how much work that shares cores makes a request longer, in s.

    Where k things are worked on at the same time, each gets C / k of a core if that is less than one, so that the machine is behind by

    W = integral over time of max(0, k(t) / C - 1).

    This is a bound where the next things to do wait for all of them, and too much where some could wait. Whatever the system and other programs do besides is not in it.

    Parameters
    ----------
    spans : when each thing begins and ends, in s, if it has a core of its own.
    n_cores : C.

    Examples
    --------
    Two cores with three things to do for 4 ms, of which one goes on alone for 2 ms, are behind by half of 4 ms.

    >>> sharing_s([(0.0, 0.004), (0.0, 0.004), (0.0, 0.006)], n_cores=2)
    0.002
    """
    moments = sorted(moment for begun_s, ended_s in spans for moment in ((begun_s, 1), (ended_s, -1)))
    found_s, n_now, last_s = 0.0, 0, 0.0
    for at_s, change in moments:
        found_s += max(0.0, n_now / n_cores - 1) * (at_s - last_s)
        n_now, last_s = n_now + change, at_s
    return found_s
