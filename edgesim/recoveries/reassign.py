"""The plan is made anew for the devices that are left."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Annotated, Any

from annotated_types import Ge

from edgesim.domain.system.detector import Detector
from edgesim.domain.system.topology import Reference, Topology
from edgesim.interfaces import StandIn, Strategy, needs_training
from edgesim.units import BytePerSecond


@dataclass(frozen=True, slots=True)
class Reassign:
    """Let the strategy plan anew without the devices that are taken as down, and send weights to those that lack them.

    The strategy deploys itself on the topology without these devices, for each set of up to `lost` of them; options that list devices lose them.
    When the detector suspects devices, the plan of the largest set of survivors that has none of them takes over: the monitor, which has all
    weights in storage, sends devices those that they lack, and when the last have come, requests that are released follow the new plan. Its real networks answer.

    Parameters
    ----------
    detector : finds devices that are down. Its options `period`, `timeout`, `size` and `monitor`: see `edgesim.domain.system.detector.Detector`.
    lost : most devices that are lost at once for which there are plans; when more are suspected, the plan stays as it is.
    loading_byte_per_s : how fast devices read weights that came into memory, in byte/s; without it that takes no time.
    back : whether devices that are trusted again are used again, with the weights that they then lack.

    Formula
    -------
    Of each layer a device is sent what its new part has more than its old one. Answers stay away, or have gaps, from the failure until the detection, the sending and the reading are over.

    Validity
    --------
    The old part of a layer is taken as part of the new one: a lower bound on what is sent. Networks that a strategy trains are sent whole. Devices hold the weights of
    one plan at a time. Sets of survivors for which the strategy has no plan are left out.

    References
    ----------
    Our own rules.
    """

    detector: Detector
    lost: Annotated[int, Ge(1)] = 1
    loading_byte_per_s: BytePerSecond | None = None
    back: bool = True

    @property
    def warm(self) -> bool:
        """False: weights are sent when they are needed."""
        return False

    def again_s(self, n_lost: int) -> float | None:  # noqa: ARG002 - the seam's form
        """Return None: what is lost is given up."""
        return None

    def stand_ins(
        self, label: str, strategies: Mapping[str, Strategy], topology: Topology, watched: Sequence[str]
    ) -> Sequence[StandIn]:
        """Return the strategy without each set of devices, those without one first."""
        strategy = strategies[label]
        sets = [set(some) for n in range(1, self.lost + 1) for some in combinations(sorted(watched), n)]
        return [
            StandIn(_without(strategy, lost), topology.without(lost), is_same_network=not needs_training(strategy))
            for lost in sets
        ]


def _without(strategy: Any, lost: set[str]) -> Any:
    """Return a strategy whose options list no lost devices.

    Examples
    --------
    >>> from edgesim.strategies.layers.chain import Chain
    >>> _without(Chain(("a", "b", "c")), {"b"}).devices
    ('a', 'c')
    """
    hints = typing.get_type_hints(type(strategy), include_extras=True)
    listed = {
        field.name: getattr(strategy, field.name) for field in fields(strategy) if _lists_devices(hints[field.name])
    }
    left = {name: tuple(one for one in value if one not in lost) for name, value in listed.items()}
    changed = {name: value for name, value in left.items() if value != tuple(listed[name])}
    return replace(strategy, **changed) if changed else strategy


def _lists_devices(hint: Any) -> bool:
    """Return whether an annotation is of a tuple of ids of devices."""
    if typing.get_origin(hint) is Annotated:
        return _lists_devices(typing.get_args(hint)[0])
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is not tuple or typing.get_origin(inner[0]) is not Annotated:
        return False
    return any(
        isinstance(mark, Reference) and mark.kind == "device" and not mark.is_pattern for mark in inner[0].__metadata__
    )
