"""A system with one thing changed: a link or medium of twice the rate, a device twice as fast, a device left out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edgesim.domain.system.devices import HostOverhead
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgesim.domain.plan import Compute
    from edgesim.domain.system.links import Link
    from edgesim.domain.system.rates import ChangingRate
    from edgesim.domain.system.topology import Device, DeviceProfile, Topology
    from edgesim.engine.program.compiled import Program
    from edgesim.interfaces import ComputeModel

FACTOR = 2.0
"""How much faster a link or device is made."""
N_MOST_SINGLE = 32
"""Single links, and single devices, that are tried: those that are busiest."""
N_MOST_LEFT_OUT = 8
"""Devices that are left out, one at a time: those that are busiest."""
Kind = Literal["links", "devices", "fewer"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One change of a system.

    Parameters
    ----------
    kind : of what: ``links`` and ``devices`` are made faster, ``fewer`` leaves a device out.
    text : in words.
    targets : ids of the links or devices that are changed.
    is_single : whether it is one link in both directions, one medium or one device.
    topology, compute : with the change.
    """

    kind: Kind
    text: str
    targets: tuple[str, ...]
    is_single: bool
    topology: Topology
    compute: ComputeModel


@dataclass(frozen=True, slots=True)
class Quicker:
    """Some devices compute in a shorter time, whatever model says how long they take."""

    model: ComputeModel
    device_ids: frozenset[str]

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        """Return the time of a step, in s."""
        time_s = self.model.duration_s(step, profile)
        return time_s / FACTOR if step.device_id in self.device_ids else time_s


@dataclass(frozen=True, slots=True)
class FasterRate:
    """A changing rate that is always higher by `FACTOR`."""

    rate: ChangingRate

    def changes(self) -> Iterator[tuple[float, float]]:
        """Yield when the rate changes, and to what."""
        for time_s, rate_bit_per_s in self.rate.changes():
            yield time_s, FACTOR * rate_bit_per_s


def variants(program: Program, topology: Topology, compute: ComputeModel) -> Iterator[Variant]:
    """Yield the changes of what a plan uses: media, classes of links and devices, then single ones, the busiest first."""
    for text, links, is_single in _link_groups(program):
        yield Variant(
            "links", f"{text} at twice the rate", _ids(links), is_single, _faster_links(topology, links), compute
        )
    for text, ids, is_single in _device_groups(program, topology):
        chosen = frozenset(ids)
        yield Variant(
            "devices", f"{text} twice as fast", tuple(ids), is_single, _faster_hosts(topology, chosen), Quicker(compute, chosen)
        )  # fmt: skip


def left_out(program: Program, topology: Topology, compute: ComputeModel, kept: Sequence[str]) -> Iterator[Variant]:
    """Yield the topologies without one of the devices that compute, but for those that are kept; of equally busy ones of a kind, one."""
    busy_s = _busy_devices(program)
    alike: dict[tuple[object, ...], str] = {}
    for name in sorted(busy_s, key=lambda name: -busy_s[name]):
        alike.setdefault((topology.device_of[name].profile.name, f"{busy_s[name]:.6g}"), name)
    chosen = [name for name in alike.values() if name not in kept]
    for name in chosen[:N_MOST_LEFT_OUT]:
        links = tuple(link for link in topology.links if name not in {link.src_id, link.dst_id})
        devices = tuple(device for device in topology.devices if device.device_id != name)
        smaller = replace(topology, devices=devices, links=links)
        yield Variant("fewer", f"without {name}", (name,), True, smaller, compute)


def _ids(links: Sequence[Link]) -> tuple[str, ...]:
    return tuple(link.link_id for link in links)


def _link_groups(program: Program) -> Iterator[tuple[str, list[Link], bool]]:
    """Yield the links that carry messages: by medium, by rate, and each by itself in both directions."""
    busy_s: dict[str, float] = defaultdict(float)
    link_of: dict[str, Link] = {}
    for hops in program.steps.hops:
        for hop in hops:
            link_of[hop.link.link_id] = hop.link
            busy_s[hop.link.link_id] += hop.occupation_s
    media: dict[str, list[Link]] = defaultdict(list)
    rates: dict[float, list[Link]] = defaultdict(list)
    pairs: dict[frozenset[str], list[Link]] = defaultdict(list)
    for name in sorted(busy_s, key=lambda name: -busy_s[name]):
        link = link_of[name]
        pairs[frozenset((link.src_id, link.dst_id))].append(link)
        if link.medium_id is None:
            rates[link.bandwidth_bit_per_s].append(link)
        else:
            media[link.medium_id].append(link)
    for medium, links in media.items():
        yield f"medium {medium}", links, True
    for rate_bit_per_s, links in rates.items():
        if len({frozenset((link.src_id, link.dst_id)) for link in links}) > 1:
            yield f"all links of {show(rate_bit_per_s, 'bit/s')}", links, False
    for ends, links in list(pairs.items())[:N_MOST_SINGLE]:
        if len(pairs) > 1 or links[0].medium_id is None:
            yield f"link {' - '.join(sorted(ends))}", links, True


def _faster_links(topology: Topology, links: Sequence[Link]) -> Topology:
    """Return a topology with these links faster, and media of which all links are among them."""
    chosen = set(_ids(links))
    whole = {link.medium_id for link in links} - {
        link.medium_id for link in topology.links if link.link_id not in chosen
    }
    made = tuple(_faster_link(link) if link.link_id in chosen else link for link in topology.links)
    media = tuple(
        replace(medium, rate_at=FasterRate(medium.rate_at)) if medium.rate_at and medium.medium_id in whole else medium
        for medium in topology.media
    )
    return replace(topology, links=made, media=media)


def _faster_link(link: Link) -> Link:
    rate_at = None if link.rate_at is None else FasterRate(link.rate_at)
    return replace(link, bandwidth_bit_per_s=FACTOR * link.bandwidth_bit_per_s, rate_at=rate_at)


def _busy_devices(program: Program) -> Mapping[str, float]:
    """Return for how long each device computes and handles messages in one request, in s."""
    ids, busy_s = program.devices.device_ids, defaultdict[str, float](float)
    for index, device in enumerate(program.steps.device):
        if device >= 0:
            busy_s[ids[device]] += program.steps.duration_s[index]
    for cost in program.steps.host_costs.values():
        busy_s[ids[cost.src]] += cost.sending_s
        busy_s[ids[cost.dst]] += cost.receiving_s(1.0)
    return busy_s


def _device_groups(program: Program, topology: Topology) -> Iterator[tuple[str, list[str], bool]]:
    """Yield the devices that compute: by profile, and each by itself."""
    busy_s = _busy_devices(program)
    names = [name for name in sorted(busy_s, key=lambda name: -busy_s[name]) if busy_s[name] > 0]
    profiles: dict[str, list[str]] = defaultdict(list)
    for name in names:
        profiles[topology.device_of[name].profile.name].append(name)
    for profile, own in profiles.items():
        if len(own) > 1:
            yield f"all devices of profile {profile}", own, False
    for name in names[:N_MOST_SINGLE]:
        yield f"device {name}", [name], True


def _faster_hosts(topology: Topology, chosen: frozenset[str]) -> Topology:
    """Return a topology in which the programs of these devices cost less."""
    return replace(
        topology, devices=tuple(_faster_host(one) if one.device_id in chosen else one for one in topology.devices)
    )


def _faster_host(device: Device) -> Device:
    cost = device.host_overhead
    faster = HostOverhead(cost.per_message_s / FACTOR, cost.per_byte_s / FACTOR, cost.least_computation_s / FACTOR)
    return replace(device, host_overhead=faster)
