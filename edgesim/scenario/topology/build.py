"""The form of a topology -> devices and links. Nothing is drawn here but the places of a random geometric shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.system.routing import Routing
from edgesim.domain.system.topology import Cores, Device, DeviceProfile, Link, Medium, Switch, Topology
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.topology.expand import Ids, link_id, link_pairs
from edgesim.scenario.topology.hardware import ProfileSpec
from edgesim.scenario.topology.wifi import ACCESS_POINT, MEDIUM

if TYPE_CHECKING:
    from edgesim.scenario.topology.hardware import ChannelSpec, CoresSpec, DeviceSpec, MediumSpec
    from edgesim.scenario.topology.spec import TopologySpec


def build_topology(spec: TopologySpec, profiles: dict[str, ProfileSpec], seed: int) -> Topology:
    """Return the topology, with shapes, ranges and patterns written out.

    Shapes come first, then devices and links in the order in which they are written. The seed places the devices of a random
    geometric shape.
    """
    made_of = {name: _profile(name, profile) for name, profile in profiles.items()}
    entries = [(one.device_ids, one) for one in spec.devices]
    made = [((one.id,), one) for shape in spec.shapes.values() for one in shape.devices(seed)]
    devices = tuple(
        _device(device_id, _of(entry.profile, made_of), entry) for ids, entry in (*made, *entries) for device_id in ids
    )
    switches = _switches(spec)
    ids = Ids((device.device_id for device in devices), [switch.switch_id for switch in switches])
    links = [
        _link(src, dst, rate, shape)
        for shape in spec.shapes.values()
        for left, right, rate in shape.pairs(seed)
        for src, dst in ((left, right), (right, left))
    ]
    links += [
        _link(src, dst, entry.bandwidth, entry)
        for entry in spec.links
        for src, dst in link_pairs({"between": entry.between, "from": entry.src, "to": entry.dst}, ids)
    ]
    links += [] if spec.wifi is None else spec.wifi.links(ids)
    routing = spec.routing or Routing()
    return Topology(devices, tuple(links), _media(spec), spec.forwarding, routing, switches)


def _switches(spec: TopologySpec) -> tuple[Switch, ...]:
    """Return the switches that are listed, and the access point of a Wi-Fi cell."""
    switches = tuple(Switch(name, one.ports, one.queue) for one in spec.switches for name in one.switch_ids)
    has_own = spec.wifi is not None and spec.wifi.access_point is None
    return (*switches, Switch(ACCESS_POINT)) if has_own else switches


def _media(spec: TopologySpec) -> tuple[Medium, ...]:
    """Return the media that are listed, that of a Wi-Fi cell, and those that shapes name."""
    media = {medium.medium_id: medium for medium in map(_medium, spec.media)}
    if spec.wifi is not None:
        media[MEDIUM] = spec.wifi.medium()
    for shape in spec.shapes.values():
        if shape.medium is not None:
            media.setdefault(shape.medium, Medium(shape.medium))
    return tuple(media.values())


def _device(device_id: str, profile: DeviceProfile, entry: DeviceSpec) -> Device:
    return Device(
        device_id,
        profile,
        entry.position,
        entry.cores,
        entry.sharing,
        entry.on_outage,
        entry.host_overhead,
        entry.battery,
    )


def _medium(entry: str | MediumSpec) -> Medium:
    return Medium(entry) if isinstance(entry, str) else Medium(entry.id, entry.sharing, entry.contention, entry.rate_at)


def _of(profile: str | ProfileSpec, made: dict[str, DeviceProfile]) -> DeviceProfile:
    return made[profile] if isinstance(profile, str) else _profile("inline", profile)


def catalog_profile(name: str) -> DeviceProfile:
    """Return a profile of the catalog. Raises `UnknownNameError` when there is none of this name."""
    return _profile(name, ProfileSpec.model_validate(catalog.entry(name)))


def _profile(name: str, spec: ProfileSpec) -> DeviceProfile:
    return DeviceProfile(
        name=name,
        flop_per_s=dict(spec.compute_rate),
        memory_bandwidth_byte_per_s=spec.memory_bandwidth,
        layer_overhead_s=spec.layer_overhead,
        memory_byte=spec.memory,
        idle_w=spec.power.idle,
        busy_w=spec.power.busy,
        transmit_w=spec.power.transmit,
        receive_w=spec.power.receive,
        source=spec.source,
        cores=None if spec.cores is None else _cores(spec.cores),
    )


def _cores(spec: CoresSpec) -> Cores:
    return Cores(
        spec.count,
        spec.vector_width,
        spec.local_memory,
        spec.shared_memory,
        spec.shared_bandwidth,
        spec.synchronisation,
        spec.interrupt,
    )


def _link(src_id: str, dst_id: str, bandwidth_bit_per_s: float, entry: ChannelSpec) -> Link:
    return Link(
        link_id=link_id(src_id, dst_id),
        src_id=src_id,
        dst_id=dst_id,
        bandwidth_bit_per_s=bandwidth_bit_per_s,
        latency_s=entry.latency,
        message_overhead_s=entry.message_overhead,
        mtu_byte=entry.mtu,
        header_byte=entry.header,
        medium_id=entry.medium,
        sharing=entry.sharing,
        transport=entry.transport,
        on_outage=entry.on_outage,
        rate_at=entry.rate_at,
        framing_byte=entry.framing,
        burst_byte=entry.burst,
        first_message_s=entry.first_message,
        acknowledgement_byte=entry.acknowledgement,
    )
