"""The times of operators by kind and size on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.nn.timing.clock import Conditions, Watch
from edgesim.nn.timing.layers import Rehearsed
from edgesim.nn.timing.probes import build_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.nn.timing.layers import Layers
    from edgesim.nn.timing.probes import Probe

N_ROUNDS = 6
"""How often every network has its turn."""


def time_operators(seconds: float, probes: Sequence[Probe] = ()) -> tuple[list[Layers], Conditions]:
    """Measure every layer of the probes, in rounds, and return their times by probe, with the state of the machine.

    Parameters
    ----------
    seconds : how long to measure altogether; every probe is repeated some times in any case.
    probes : what is measured; by default `probes.probes`.
    """
    watch = Watch()
    rehearsed = [Rehearsed(one.network, {"x": one.spec}, {"x": one.sample}) for one in probes or build_all()]
    rehearse_in_turn(rehearsed, seconds)
    return [one.times()[0] for one in rehearsed], watch.conditions()


def rehearse_in_turn(rehearsed: Sequence[Rehearsed], seconds: float) -> None:
    """Repeat networks for some seconds altogether, in rounds, so that what disturbs for a while meets all of them."""
    for _ in range(N_ROUNDS):
        for one in rehearsed:
            one.run(seconds / N_ROUNDS / len(rehearsed), fewest=3)
