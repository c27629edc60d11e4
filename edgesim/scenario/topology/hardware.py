"""The form of devices and links in a scenario."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Len
from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from edgesim.domain.system.topology import HostOverhead, LinkSharing, OnOutage, Sharing
from edgesim.errors import UnknownNameError
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.catalog import links as link_classes
from edgesim.scenario.form.options import OptionsOf, PluginOf, mistake, mistake_at, unknown_name
from edgesim.scenario.form.spec import Spec, without_defaults
from edgesim.scenario.topology.expand import expand_range
from edgesim.units import BitPerSecond, BytePerSecond, Bytes, FlopPerSecond, Metre, Quantity, Seconds, Watt


class RatesSpec(Spec):
    """Sustained arithmetic rate by operator class; one multiply-add is two FLOP."""

    conv: FlopPerSecond = Field(description="rate of convolutions", examples=["13.2 GFLOP/s"])
    depthwise: FlopPerSecond = Field(description="rate of depthwise convolutions", examples=["5.4 GFLOP/s"])
    linear: FlopPerSecond = Field(description="rate of linear layers", examples=["13.2 GFLOP/s"])
    other: FlopPerSecond = Field(description="rate of all other layers", examples=["5.4 GFLOP/s"])


class PowerSpec(Spec):
    """Power of the whole device in each state."""

    idle: Watt = Field(description="power when it does nothing", examples=["1.9 W"])
    busy: Watt = Field(description="power while it computes", examples=["5.1 W"])
    transmit: Watt = Field(description="power while it sends", examples=["2.4 W"])
    receive: Watt = Field(description="power while it receives", examples=["2.2 W"])


class CoresSpec(Spec):
    """Cores that work on one layer together, with `compute: {type: multi-core}`; the rates of the profile are those of one."""

    count: Annotated[int, Ge(1)] = Field(description="how many", examples=[8])
    vector_width: Annotated[float, Gt(0)] = Field(
        1.0, description="multiply-adds that a core begins in a cycle, as the rates say", examples=[8]
    )
    local_memory: Bytes | None = Field(
        None,
        description="memory of each core for a tile of a layer; by default each byte moves once",
        examples=["512 KiB"],
    )
    shared_memory: Bytes | None = Field(
        None, description="memory that all cores reach; with `shared_bandwidth`", examples=["4 MiB"]
    )
    shared_bandwidth: BytePerSecond | None = Field(
        None, description="bandwidth of the shared memory to all cores together", examples=["40 GB/s"]
    )
    synchronisation: Seconds = Field(
        0.0, description="time that a layer takes longer when several cores work on it", examples=["10 us"]
    )
    interrupt: Seconds = Field(
        0.0, description="time that it takes longer for each core besides the first", examples=["5 us"]
    )


class ProfileSpec(Spec):
    """What a class of devices can do. With ``extends:`` only the differences from a catalog profile are written."""

    compute_rate: RatesSpec = Field(description="arithmetic rate by operator class")
    memory_bandwidth: BytePerSecond = Field(description="sustained memory bandwidth", examples=["2 GB/s"])
    layer_overhead: Seconds = Field(description="fixed time per layer", examples=["50 us"])
    memory: Bytes = Field(description="memory that a network may use", examples=["512 MiB"])
    power: PowerSpec = Field(description="power of the whole device by state")
    cores: CoresSpec | None = Field(None, description="cores that can work on one layer together; by default not known")
    source: str = Field("assumed", description="where the numbers come from", examples=["data sheet of the maker"])

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), frozenset({"cores"}))

    @model_validator(mode="before")
    @classmethod
    def _extend(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "extends" not in data:
            return data
        own = {key: value for key, value in data.items() if key != "extends"}
        name = data["extends"]
        if not isinstance(name, str):
            raise mistake_at(("extends",), name, mistake("a catalog profile is named by a text", expected="a name"))
        try:
            base = catalog.entry(name)
        except UnknownNameError as error:
            raise mistake_at(
                ("extends",), name, unknown_name(error, "device profiles", "edgesim list devices")
            ) from None
        if own:
            base["source"] = f"{name} with assumed {', '.join(key for key in own if key != 'source')}"
        return _overlay(base, own)


def _overlay(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with what `own` says instead, mappings merged key by key."""
    merged = dict(base)
    for key, value in own.items():
        old = merged.get(key)
        merged[key] = _overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _profile_form(value: object) -> str:
    return "inline" if isinstance(value, (dict, ProfileSpec)) else "name"


Profile = Annotated[Annotated[str, Tag("name")] | Annotated[ProfileSpec, Tag("inline")], Discriminator(_profile_form)]


class ServiceSpec(Spec):
    """How a device serves computations."""

    cores: Annotated[int, Ge(1)] = Field(1, description="computations at the same time, each on one core", examples=[4])
    sharing: Sharing = Field(
        "fifo", description="`fifo`: cores in order of arrival; `fair`: all computations share them", examples=["fair"]
    )
    on_outage: OnOutage = Field(
        "lost", description="interrupted computations are lost, or go on after the outage", examples=["resume"]
    )
    host_overhead: Annotated[Any, OptionsOf(HostOverhead)] = Field(
        default_factory=HostOverhead,
        description="time for which each message that it sends or receives occupies it, and the least that a computation takes; by default none",
        examples=[{"per_message": "0.16 ms"}],
    )
    battery: Annotated[float, Quantity("J", is_minimum_excluded=True)] | None = Field(
        None,
        description="energy after which it is down for ever, from the first release of a trial on; by default no limit",
        examples=["10 Wh"],
    )

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(
            self, write(self), frozenset({"cores", "sharing", "on_outage", "host_overhead", "battery"})
        )


class DeviceSpec(ServiceSpec):
    """A device, or a range of equal devices such as ``w{1..8}``."""

    id: str = Field(description="distinct name; `w{1..8}` makes eight devices", examples=["hub", "w{1..8}"])
    profile: Profile = Field(description="name of a device profile, or a profile written here", examples=["phone"])
    position: Annotated[tuple[Metre, Metre], Len(2)] | None = Field(
        None, description="where it stands, x and y", examples=[["0 m", "2.5 m"]]
    )

    @field_validator("id")
    @classmethod
    def _is_id(cls, text: str) -> str:
        expand_range(text)
        return text

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The ids that this entry makes."""
        return expand_range(self.id)


RATES = [{"time": "5 ms", "rate": "0.5 Mbit/s"}]


class ChannelSpec(Spec):
    """What links have besides their ends and their rate."""

    extends: str | None = Field(
        None,
        description="link class of the catalog, of which only the differences are written; `edgesim list links`",
        examples=["ethernet-1g", "ble"],
    )
    latency: Seconds = Field(0.0, description="delay after the last bit has left", examples=["2 ms"])
    message_overhead: Seconds = Field(0.0, description="time per message that occupies the link", examples=["1 ms"])
    medium: str | None = Field(None, description="shared channel, one of `media`", examples=["cell"])
    mtu: Annotated[int, Quantity("byte", minimum=1)] = Field(
        1472, description="payload of one packet", examples=["1472 B"]
    )
    header: Bytes = Field(0, description="header bytes per packet", examples=["66 B"])
    framing: Bytes = Field(0, description="bytes per message besides its payload", examples=["24 B"])
    acknowledgement: Bytes = Field(0, description="bytes that go back for each packet", examples=["33 B"])
    first_message: Seconds = Field(
        0.0, description="time by which the first message over it takes longer (addresses)", examples=["6 ms"]
    )
    burst: Bytes = Field(
        0, description="size of a token bucket: so much leaves at once after a pause", examples=["1600 B"]
    )
    sharing: LinkSharing = Field(
        "fifo",
        description="`fifo`: one message after another; `fair`: all at once, max-min fair; `fifo_packets`: packet by packet in order of "
        "arrival; a medium has its own",
        examples=["fair"],
    )
    transport: Annotated[Any, PluginOf("transports")] | None = Field(
        None, description="how packets get across; by default as datagrams", examples=["tcp"]
    )
    on_outage: OnOutage = Field(
        "lost", description="interrupted messages are lost, or go on after the outage", examples=["resume"]
    )

    rate_at: Annotated[Any, PluginOf("rates")] | None = Field(
        None,
        description="rates over time: a list of steps, or `file`, and `period`; by default `bandwidth`",
        examples=[RATES],
    )

    @field_validator("extends")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        """Refuse an unknown link class; a known one has been written out (`edgesim.scenario.check.short_forms`), and stays to say whose numbers these are."""
        try:
            return name if name is None or link_classes.entry(name) else None
        except UnknownNameError as error:
            raise unknown_name(error, "link classes", "edgesim list links") from None

    later_keys: ClassVar[frozenset[str]] = frozenset(
        {
            "extends",
            "sharing",
            "transport",
            "on_outage",
            "rate_at",
            "framing",
            "burst",
            "first_message",
            "acknowledgement",
        }
    )

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), self.later_keys)

    @model_validator(mode="after")
    def _fits(self) -> ChannelSpec:
        is_plain = self.medium is None and self.rate_at is None
        if self.sharing == "fifo_packets" and not (is_plain and self.transport is None and self.on_outage == "lost"):
            raise mistake(
                "`sharing: fifo_packets` goes with no `medium`, `transport` or `rate_at`, and with `on_outage: lost`",
                remedy="leave the others out, or use `sharing: fifo` or `fair`",
            )
        if self.burst > 0 and not (is_plain and self.sharing == "fifo"):
            raise mistake(
                "`burst` goes with `sharing: fifo`, no `medium` and no `rate_at`",
                remedy="leave `burst` or the other out",
            )
        return self


class MediumSpec(Spec):
    """A channel that several links share, and how."""

    id: str = Field(description="distinct name", examples=["cell"])
    sharing: Sharing = Field(
        "fifo", description="`fifo`: one message after another; `fair`: all at once, max-min fair", examples=["fair"]
    )
    contention: Annotated[float, Ge(0)] = Field(
        0.0, description="share by which a message takes longer per other device that waits", examples=[0.065]
    )
    rate_at: Annotated[Any, PluginOf("rates")] | None = Field(
        None, description="limit of the rates of its links over time, as `rate_at` of links", examples=[RATES]
    )

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), frozenset({"rate_at"}))

    @model_validator(mode="after")
    def _fits(self) -> MediumSpec:
        if self.contention > 0 and self.sharing == "fair":
            raise mistake("contention goes with `sharing: fifo` only", remedy="leave one of the two out")
        return self


class SwitchSpec(Spec):
    """A switch, hub, router or access point: links join it, it passes messages on, and it computes nothing."""

    id: str = Field(description="distinct name; `s{1..4}` makes four", examples=["switch"])
    ports: Annotated[int, Ge(1)] | None = Field(
        None, description="most neighbours; by default any number", examples=[8]
    )
    queue: Bytes | None = Field(
        None,
        description="most bytes that wait for one of its output links; what does not fit is lost; by default no limit",
        examples=["128 KiB"],
    )

    @field_validator("id")
    @classmethod
    def _is_id(cls, text: str) -> str:
        expand_range(text)
        return text

    @property
    def switch_ids(self) -> tuple[str, ...]:
        """The ids that this entry makes."""
        return expand_range(self.id)


def _medium_form(value: object) -> str:
    return "options" if isinstance(value, (dict, MediumSpec)) else "name"


MediumEntry = Annotated[
    Annotated[str, Tag("name")] | Annotated[MediumSpec, Tag("options")], Discriminator(_medium_form)
]


class LinkSpec(ChannelSpec):
    """Links between devices: ``between`` makes both directions, ``from`` and ``to`` one; ends may be patterns."""

    between: Annotated[tuple[str, ...], Len(2, 2)] | None = Field(
        None, description="two devices or patterns, linked both ways", examples=[["hub", "w*"]]
    )
    src: str | None = Field(None, alias="from", description="sending devices of one-way links", examples=["w*"])
    dst: str | None = Field(None, alias="to", description="receiving devices of one-way links", examples=["hub"])
    bandwidth: BitPerSecond = Field(description="rate while a message is sent", examples=["20 Mbit/s"])
