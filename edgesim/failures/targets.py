"""What a failure model acts on."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from edgesim.domain.topology import Topology


@lru_cache(maxsize=2**16)
def is_selected(name: str, pattern: str) -> bool:
    """Return whether a glob pattern selects an id; remembered, since every trial asks for the same ones."""
    return fnmatchcase(name, pattern)


def matching(topology: Topology, pattern: str) -> list[str]:
    """Return the ids that a glob pattern selects: of links when it holds ``->``, else of devices; in topology order.

    Examples
    --------
    >>> from edgesim.domain.topology import Device, DeviceProfile, Link
    >>> profile = DeviceProfile("example", {}, 1.0, 0.0, 1, 0.0, 0.0, 0.0, 0.0, "assumed")
    >>> topology = Topology((Device("hub", profile), Device("w1", profile)), (Link("w1->hub", "w1", "hub", 1e6),))
    >>> matching(topology, "*"), matching(topology, "*->*")
    (['hub', 'w1'], ['w1->hub'])
    """
    if "->" in pattern:
        ids = [link.link_id for link in topology.links]
    else:
        ids = [device.device_id for device in topology.devices]
    return [name for name in ids if is_selected(name, pattern)]
