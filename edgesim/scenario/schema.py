"""The form of a scenario: what it may say, with a description and an example for every key."""

from __future__ import annotations

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Len
from pydantic import BaseModel, Discriminator, Field, StringConstraints, Tag, field_validator, model_validator

from edgesim.domain.training import Training
from edgesim.errors import UnknownNameError
from edgesim.registry import nearest_name
from edgesim.scenario import catalog
from edgesim.scenario.expand import expand_range
from edgesim.scenario.options import CONFIG, OptionsOf, PluginOf, mistake, mistake_at, unknown_name
from edgesim.scenario.source import Source, read_file, read_text
from edgesim.units import BitPerSecond, BytePerSecond, Bytes, FlopPerSecond, Metre, Seconds, Watt

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$", max_length=60)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=60)]
Scalar = bool | int | float | str


class Spec(BaseModel):
    """A part of a scenario."""

    model_config = CONFIG


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


class ProfileSpec(Spec):
    """What a class of devices can do. With ``extends:`` only the differences from a catalog profile are written."""

    compute_rate: RatesSpec = Field(description="arithmetic rate by operator class")
    memory_bandwidth: BytePerSecond = Field(description="sustained memory bandwidth", examples=["2 GB/s"])
    layer_overhead: Seconds = Field(description="fixed time per layer", examples=["50 us"])
    memory: Bytes = Field(description="memory that a network may use", examples=["512 MiB"])
    power: PowerSpec = Field(description="power of the whole device by state")
    source: str = Field("assumed", description="where the numbers come from", examples=["data sheet of the maker"])

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


class DeviceSpec(Spec):
    """A device, or a range of equal devices such as ``w{1..8}``."""

    id: str = Field(description="distinct name; `w{1..8}` makes eight devices", examples=["hub", "w{1..8}"])
    profile: Annotated[
        Annotated[str, Tag("name")] | Annotated[ProfileSpec, Tag("inline")], Discriminator(_profile_form)
    ] = Field(description="name of a device profile, or a profile written here", examples=["phone"])
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


class LinkSpec(Spec):
    """Links between devices: ``between`` makes both directions, ``from`` and ``to`` one; ends may be patterns."""

    between: Annotated[tuple[str, ...], Len(2, 2)] | None = Field(
        None, description="two devices or patterns, linked both ways", examples=[["hub", "w*"]]
    )
    src: str | None = Field(None, alias="from", description="sending devices of one-way links", examples=["w*"])
    dst: str | None = Field(None, alias="to", description="receiving devices of one-way links", examples=["hub"])
    bandwidth: BitPerSecond = Field(description="rate while a message is sent", examples=["20 Mbit/s"])
    latency: Seconds = Field(0.0, description="delay after the last bit has left", examples=["2 ms"])
    message_overhead: Seconds = Field(0.0, description="time per message that occupies the link", examples=["1 ms"])
    medium: str | None = Field(None, description="shared channel, one of `media`", examples=["cell"])
    mtu: Annotated[Bytes, Ge(1)] = Field(1472, description="payload of one packet", examples=["1472 B"])
    header: Bytes = Field(0, description="header bytes per packet", examples=["66 B"])


class TopologySpec(Spec):
    """Devices and the links between them."""

    devices: Annotated[tuple[DeviceSpec, ...], Len(1)] = Field(description="all devices")
    media: tuple[str, ...] = Field(
        (), description="channels that several links share, one message at a time", examples=[["cell"]]
    )
    links: tuple[LinkSpec, ...] = Field((), description="links between devices")


class WorkloadSpec(Spec):
    """What is asked: a network, the data it is trained and asked on, where requests start and end."""

    dataset: Annotated[Any, PluginOf("datasets")] = Field(description="samples", examples=["digits"])
    model: Annotated[Any, PluginOf("models")] = Field(description="network architecture", examples=["small-cnn"])
    training: Annotated[Any, OptionsOf(Training)] = Field(
        default_factory=Training, description="how the network is trained", examples=[{"epochs": 30}]
    )
    source: str = Field(description="device that has the input", examples=["hub"])
    sink: str = Field(description="device that wants the answer", examples=["hub"])
    deadline: Seconds | None = Field(None, description="time after which an answer is useless", examples=["1 s"])


class FactorSpec(Spec):
    """A value of the scenario that a study varies."""

    path: str = Field(description="keys and list positions with dots between", examples=["failures.device_loss.k"])
    values: Annotated[tuple[Scalar, ...], Len(1)] = Field(description="values it takes", examples=[[0, 1, 2]])

    @field_validator("values")
    @classmethod
    def _are_distinct(cls, values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
        for position, value in enumerate(values):
            if any(json.dumps(value) == json.dumps(other) for other in values[:position]):
                raise mistake_at((position,), value, mistake(f"value {value!r} is given twice"))
        return values


class Scenario(Spec):
    """One system and what is asked of it: the whole content of a scenario file."""

    name: FileName = Field(description="name of the result folder", examples=["wearables"])
    question: str = Field(
        "", description="what the study is to answer", examples=["What is left when devices are lost?"]
    )
    seed: Annotated[int, Ge(0)] = Field(1, description="start of all random streams and of training", examples=[1])
    replications: Annotated[int, Ge(1)] = Field(100, description="repetitions of every trial", examples=[400])
    plugins: tuple[str, ...] = Field(
        (), description="modules or .py files that register plug-ins", examples=[["my_strategy.py"]]
    )
    profiles: dict[Label, ProfileSpec] = Field(default_factory=dict, description="device profiles by name")
    topology: TopologySpec = Field(description="devices and links")
    workload: WorkloadSpec = Field(description="network, data and requests")
    strategies: Annotated[dict[Label, Annotated[Any, PluginOf("strategies")]], Len(1)] = Field(
        description="methods to compare, by label", examples=[{"nonn": {"students": 8}}]
    )
    failures: dict[Label, Annotated[Any, PluginOf("failures")]] = Field(
        default_factory=dict,
        description="failure models by label",
        examples=[{"device_loss": {"type": "exactly-k", "k": 1}}],
    )
    sweep: dict[Label, FactorSpec] = Field(
        default_factory=dict,
        description="values that the study varies, by column name",
        examples=[{"lost_devices": {"path": "failures.device_loss.k", "values": [0, 1, 2]}}],
    )

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """Read and check a scenario file.

        Raises
        ------
        ScenarioError
            With every finding when it cannot be read or is not valid.
        """
        return cls._checked(read_file(Path(path)))

    @classmethod
    def from_text(cls, text: str, file: str = "", folder: Path | None = None) -> Scenario:
        """Read and check a scenario in a YAML text; `folder` is where its relative paths start. Raises as `load`."""
        return cls._checked(read_text(text, file, folder or Path()))

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Scenario:
        """Check a scenario in plain data, with quantities as texts. Raises as `load`."""
        return cls._checked(Source(data))

    @classmethod
    def _checked(cls, source: Source) -> Scenario:
        from edgesim.scenario.check import check

        return check(source, cls)

    def points(self) -> tuple[dict[str, Scalar], ...]:
        """Return the factor points of the sweep: every combination of values, the last factor fastest.

        Without a sweep there is one point, the empty one.
        """
        combinations = product(*(factor.values for factor in self.sweep.values()))
        return tuple(dict(zip(self.sweep, values, strict=True)) for values in combinations)

    def at(self, point: dict[str, Scalar]) -> Scenario:
        """Return the scenario at a factor point, without a sweep.

        Parameters
        ----------
        point : value by factor; factors that are left out keep what the scenario says.

        Raises
        ------
        UnknownNameError
            When the point names a factor that is not swept.
        ScenarioError
            When the values are not valid together.
        """
        from edgesim.scenario.paths import with_value

        data = self.resolved()
        data["sweep"] = {}
        for name, value in point.items():
            if name not in self.sweep:
                raise UnknownNameError("factor", name, tuple(self.sweep), nearest_name(name, tuple(self.sweep)))
            data = with_value(data, self.sweep[name].path, value)
        return Scenario.from_data(data)

    def with_(self, *, replications: int | None = None, seed: int | None = None) -> Scenario:
        """Return the scenario with another number of replications or another seed. Raises `ScenarioError`."""
        changes = {"replications": replications, "seed": seed}
        return Scenario.from_data(self.resolved() | {key: value for key, value in changes.items() if value is not None})

    def resolved(self) -> dict[str, Any]:
        """Return everything the scenario says, defaults and catalog profiles included, as plain data.

        Quantities are texts in base units. `from_data` makes an equal scenario from it.
        """
        return self.model_dump(mode="json", by_alias=True)

    def hash(self) -> str:
        """Return the SHA-256 of `resolved` in hexadecimal; of plug-in files only the name counts, not the folder."""
        data = self.resolved()
        data["plugins"] = [Path(name).name for name in self.plugins]
        text = json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
