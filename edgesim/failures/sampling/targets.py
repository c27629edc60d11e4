"""What a failure model acts on."""

from __future__ import annotations

from edgesim.domain.system.selection import is_selected, parts_of
from edgesim.domain.system.topology import Topology


def matching(topology: Topology, pattern: str) -> list[str]:
    """Return the ids that a pattern selects: of links when it holds ``->``, else of devices; in topology order.

    A switch is selected by its name, or a range in which it is, and never by signs such as ``*``.

    Examples
    --------
    >>> from edgesim.domain.system.topology import Device, DeviceProfile, Link
    >>> profile = DeviceProfile("example", {"other": 1.0}, 1.0, 0.0, 1, 0.0, 0.0, 0.0, 0.0, "assumed")
    >>> topology = Topology((Device("hub", profile), Device("w1", profile)), (Link("w1->hub", "w1", "hub", 1e6),))
    >>> matching(topology, "*"), matching(topology, "*->*")
    (['hub', 'w1'], ['w1->hub'])
    """
    if "->" in pattern:
        ids, switches = [link.link_id for link in topology.links], []
    else:
        ids = [device.device_id for device in topology.devices]
        switches = [name for name in topology.switch_of if name in parts_of(pattern)[0]]
    return [name for name in ids if is_selected(name, pattern)] + switches
