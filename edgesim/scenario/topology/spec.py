"""The form of ``topology:``, with all its shapes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from edgesim.domain.system.routing import Routing
from edgesim.domain.system.topology import Forwarding
from edgesim.domain.system.transport import EndToEndTransport
from edgesim.interfaces import is_kind
from edgesim.scenario.form.options import OptionsOf, mistake
from edgesim.scenario.form.spec import Spec, without_defaults
from edgesim.scenario.topology.graph_file import FileSpec
from edgesim.scenario.topology.hardware import DeviceSpec, LinkSpec, MediumEntry, SwitchSpec
from edgesim.scenario.topology.shapes import (
    SHAPES,
    GeometricSpec,
    GridSpec,
    LineSpec,
    MeshSpec,
    RingSpec,
    ShapeSpec,
    StarSpec,
    TreeSpec,
)
from edgesim.scenario.topology.wifi import WifiSpec


class TopologySpec(Spec):
    """Devices and the links between them: whole shapes in a line each, and single devices and links beside them."""

    star: StarSpec | None = Field(None, description="one device in the middle")
    line: LineSpec | None = Field(None, description="devices in a row")
    ring: RingSpec | None = Field(None, description="devices in a circle")
    grid: GridSpec | None = Field(None, description="devices in rows and columns")
    tree: TreeSpec | None = Field(None, description="a root and levels below it")
    mesh: MeshSpec | None = Field(None, description="every device linked with every other")
    geometric: GeometricSpec | None = Field(None, description="devices at random places, rates by distance")
    file: str | FileSpec | None = Field(
        None, description="GraphML, GML or node-link JSON file with devices and links", examples=["lab.graphml"]
    )
    devices: tuple[DeviceSpec, ...] = Field(
        (), description="single devices and ranges", examples=[[{"id": "hub", "profile": "phone"}]]
    )
    media: tuple[MediumEntry, ...] = Field(
        (),
        description="channels that several links share; a name, or `id` and how it is shared",
        examples=[["cell"], [{"id": "cell", "contention": 0.065}]],
    )
    switches: tuple[SwitchSpec, ...] = Field(
        (),
        description="what links join besides devices: switches, routers, access points",
        examples=[[{"id": "switch", "ports": 8}]],
    )
    wifi: WifiSpec | None = Field(
        None,
        description="a Wi-Fi cell in one line: medium, access point, links, losses",
        examples=[{"standard": "802.11n", "distance": "15 m", "loss": "1 %"}],
    )
    forwarding: Forwarding = Field(
        "store_and_forward",
        description="`fifo` links pass a message on as a whole, or with `cut_through` each packet as it comes",
        examples=["cut_through"],
    )
    routing: Annotated[Any, OptionsOf(Routing)] | None = Field(
        None,
        description="which routes messages take; by default those of fewest hops",
        examples=[{"metric": "transfer"}],
    )
    links: tuple[LinkSpec, ...] = Field(
        (),
        description="links between devices, also between those of shapes",
        examples=[[{"between": ["hub", "w*"], "bandwidth": "20 Mbit/s"}]],
    )

    @model_serializer(mode="wrap")
    def _without_other_shapes(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the shapes that the topology has not, so that a further shape changes no hash."""
        written: dict[str, Any] = write(self)
        written = without_defaults(self, written, frozenset({"forwarding", "routing", "switches"}))
        return {
            key: value for key, value in written.items() if key not in {*SHAPES, "file", "wifi"} or value is not None
        }

    @property
    def shapes(self) -> dict[str, ShapeSpec]:
        """The shapes by name, in the order of the form."""
        return {name: shape for name in SHAPES if (shape := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _forwards_at_constant_rates(self) -> TopologySpec:
        rates = [one.rate_at for one in (*self.links, *self.shapes.values())]
        rates += [medium.rate_at for medium in self.media if not isinstance(medium, str)]
        if self.forwarding == "cut_through" and any(rates):
            raise mistake(
                "`forwarding: cut_through` needs rates that do not change", remedy="leave `rate_at` or `forwarding` out"
            )
        if self.forwarding == "cut_through" and any(one.burst for one in (*self.links, *self.shapes.values())):
            raise mistake("`forwarding: cut_through` needs links without `burst`", remedy="leave one of the two out")
        return self

    @model_validator(mode="after")
    def _has_queues_of_whole_messages(self) -> TopologySpec:
        links = (*self.links, *self.shapes.values())
        is_fair = any(one.sharing == "fair" for one in (*links, *self.media) if not isinstance(one, str))
        is_tcp = any(is_kind(one.transport, EndToEndTransport) for one in links)
        if (is_fair or is_tcp or self.forwarding == "cut_through") and any(
            switch.queue is not None for switch in self.switches
        ):
            raise mistake(
                "`queue` of a switch needs whole messages over `fifo` links",
                remedy="leave `queue` out, or `sharing: fair`, `transport: tcp` and `forwarding: cut_through`",
            )
        return self

    @model_validator(mode="after")
    def _has_devices(self) -> TopologySpec:
        if not self.devices and not self.shapes and self.file is None:  # an unreadable file is a finding of its own
            names = ", ".join(f"`{name}:`" for name in SHAPES)
            raise mistake("the topology has no devices", expected=f"`devices:`, or a shape: {names}")
        return self
