"""What a topology names, read from plain data: devices, links and media, and the entries that make them.

It passes over what is not of the expected kind, so that the checks of a scenario can use it beside other mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from edgesim.scenario.topology.expand import Ids, expand_range, link_ends, link_id, link_pairs
from edgesim.scenario.topology.shapes import SHAPES, read_shape
from edgesim.scenario.topology.wifi import MEDIUM, WifiSpec, read_wifi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.scenario.text.source import DataPath
    from edgesim.scenario.topology.shapes import ShapeSpec


@dataclass
class Outline:
    """What a topology names, read from plain data.

    Parameters
    ----------
    devices : path of the entry that makes each device, by device id.
    links : path of the entry that makes each link, by link id.
    pairs : source and destination of each link, by link id.
    media : the shared channels.
    switches : path of the entry that makes each switch, and its ports, by id.
    wifi : the Wi-Fi cell.
    repeated_devices, repeated_links : ids that a later entry makes again, with the path of that entry.
    oversized : entries that would make more than `MAX_LINKS` links.
    is_complete : whether every device id could be read; otherwise nothing can be said about what is missing.
    are_links_complete : whether both ends of every entry of ``links:`` could be read.
    """

    devices: dict[str, DataPath] = field(default_factory=dict)
    links: dict[str, DataPath] = field(default_factory=dict)
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)
    media: tuple[str, ...] = ()
    switches: dict[str, tuple[DataPath, object]] = field(default_factory=dict)
    wifi: WifiSpec | None = None
    repeated_devices: list[tuple[str, DataPath]] = field(default_factory=list)
    repeated_links: list[tuple[str, DataPath]] = field(default_factory=list)
    oversized: list[DataPath] = field(default_factory=list)
    is_complete: bool = True
    are_links_complete: bool = True

    @cached_property
    def device_ids(self) -> Ids:
        """The ids of the devices, once all are noted."""
        return Ids(self.devices)

    @cached_property
    def end_ids(self) -> Ids:
        """The ids of what links join: of devices, and, which only their names select, of switches."""
        return Ids(self.devices, self.switches)

    @cached_property
    def link_ids(self) -> Ids:
        """The ids of the links, once all are noted."""
        return Ids(self.links)

    def add_shape(self, shape: ShapeSpec | None, seed: int, path: DataPath) -> None:
        """Note the devices, links and medium of a shape; None is one whose form is wrong."""
        if shape is None:
            self.is_complete = False
            return
        for name in shape.ids():
            self._add_id(name, path)
        for left, right, _ in shape.pairs(seed):
            self._add_link(left, right, path)
            self._add_link(right, left, path)
        if shape.medium is not None and shape.medium not in self.media:
            self.media = (*self.media, shape.medium)

    def add_device(self, device: object, path: DataPath) -> None:
        """Note the ids that an entry of ``devices:`` makes."""
        for name in self._ids_of(device):
            self._add_id(name, path)

    def add_switch(self, switch: object, path: DataPath) -> None:
        """Note the ids that an entry of ``switches:`` makes."""
        for name in self._ids_of(switch):
            if name in self.devices or name in self.switches:
                self.repeated_devices.append((name, path))
            else:
                self.switches[name] = (path, switch.get("ports") if isinstance(switch, dict) else None)

    def add_wifi(self, wifi: WifiSpec | None, media: list[object]) -> None:
        """Note access point, links and medium of a Wi-Fi cell; None is one whose form is wrong. `media` are those that are listed."""
        self.wifi = wifi
        if wifi is None:
            self.is_complete = self.are_links_complete = False
            return
        path: DataPath = ("topology", "wifi")
        if wifi.access_point is None:
            self.add_switch({"id": wifi.point_id}, path)
        for src, dst in wifi.pairs(self.end_ids) if wifi.point_id in self.end_ids else ():
            self._add_link(src, dst, path)
        if MEDIUM not in self.media or MEDIUM in media:  # a shape may join it
            self.media = (*self.media, MEDIUM)

    def _ids_of(self, entry: object) -> tuple[str, ...]:
        text = entry.get("id") if isinstance(entry, dict) else None
        try:
            ids = expand_range(text) if isinstance(text, str) else ()
        except ValueError:
            ids = ()
        self.is_complete = self.is_complete and bool(ids)
        return ids

    def _add_id(self, name: str, path: DataPath) -> None:
        if name in self.devices:
            self.repeated_devices.append((name, path))
        self.devices.setdefault(name, path)

    def add_link(self, link: object, path: DataPath) -> None:
        """Note the links that an entry of ``links:`` makes."""
        if not isinstance(link, dict) or len(link_ends(link)[0]) != 2:
            self.are_links_complete = False
            return
        try:
            pairs = tuple(link_pairs(link, self.end_ids))
        except ValueError:
            self.oversized.append(path)
            return
        for src, dst in pairs:
            self._add_link(src, dst, path)

    def _add_link(self, src: str, dst: str, path: DataPath) -> None:
        name = link_id(src, dst)
        if name in self.links:
            self.repeated_links.append((name, path))
        else:
            self.links[name] = path
            self.pairs[name] = (src, dst)


def outline(topology: object, seed: object = 1) -> Outline:
    """Read the outline of a ``topology:`` from plain data; the seed places the devices of a random geometric shape."""
    if not isinstance(topology, dict):
        return Outline(is_complete=False)
    media, devices, links = (topology.get(key) for key in ("media", "devices", "links"))
    shapes = [name for name in SHAPES if topology.get(name) is not None]
    if not isinstance(devices, list) and (devices is not None or not shapes):
        return Outline(is_complete=False)
    entries = [one.get("id") if isinstance(one, dict) else one for one in media] if isinstance(media, list) else []
    is_read = topology.get("file") is None  # a graph file that could be read stands for nothing any more
    result = Outline(media=tuple(name for name in entries if isinstance(name, str)), is_complete=is_read)
    for name in shapes:
        result.add_shape(read_shape(name, topology[name]), seed if isinstance(seed, int) else 1, ("topology", name))
    for index, device in _listed(devices):
        result.add_device(device, ("topology", "devices", index, "id"))
    for index, switch in _listed(topology.get("switches")):
        result.add_switch(switch, ("topology", "switches", index, "id"))
    if topology.get("wifi") is not None:
        result.add_wifi(read_wifi(topology["wifi"]), entries)
    for index, link in _listed(links):
        result.add_link(link, ("topology", "links", index))
    return result


def _listed(entries: object) -> Iterator[tuple[int, object]]:
    """Yield the entries of a list, and nothing of anything else."""
    return iter(enumerate(entries if isinstance(entries, list) else ()))
