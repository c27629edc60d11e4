"""The form of ``topology.file``: a graph file, how its attributes are meant, and what it lacks."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import Field, StringConstraints, model_validator

from edgesim.scenario.form.options import mistake, mistake_at
from edgesim.scenario.form.spec import Spec
from edgesim.scenario.topology.hardware import ChannelSpec, DeviceSpec, LinkSpec, Profile
from edgesim.units import BitPerSecond, Quantity, dimension_of

DEVICE_KEYS = frozenset({info.alias or name for name, info in DeviceSpec.model_fields.items()} - {"id"})
LINK_KEYS = frozenset({info.alias or name for name, info in LinkSpec.model_fields.items()} - {"between", "from", "to"})


class AttributeSpec(Spec):
    """An attribute of nodes or edges, and how its values are read."""

    name: str = Field(alias="from", description="name of the attribute", examples=["LinkSpeedRaw"])
    unit: str | None = Field(None, description="unit of its numbers", examples=["bit/s"])
    values: Annotated[dict[str, str], Len(1)] | None = Field(
        None, description="what each of its values means", examples=[{"OC-192": "9.6 Gbit/s", "DS-3": "44.7 Mbit/s"}]
    )

    @classmethod
    def of(cls, said: str | AttributeSpec) -> AttributeSpec:
        """Read ``LinkSpeedRaw bit/s``: the last word is the unit, if it is one."""
        if isinstance(said, AttributeSpec):
            return said
        name, _, unit = said.rpartition(" ")
        is_unit = bool(name.strip()) and _dimension(unit) is not None
        return cls.model_validate({"from": name.strip(), "unit": unit} if is_unit else {"from": said})

    @model_validator(mode="after")
    def _has_one_reading(self) -> AttributeSpec:
        if self.unit is not None and self.values is not None:
            raise mistake("`unit` and `values` exclude each other", remedy="write the unit in each of `values`")
        if self.unit is not None and not _dimension(self.unit):
            raise mistake(f"unknown unit {self.unit!r}", expected="a unit such as Mbit/s or ms")
        return self


def _dimension(unit: str) -> str | None:
    try:
        return dimension_of(f"1 {unit}")[1]
    except ValueError:
        return None


class NamesSpec(Spec):
    """Which attribute of nodes names devices, and how names become distinct ids."""

    name: str = Field(alias="from", description="name of the attribute; `id` is the node's own", examples=["label"])
    replace: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{0,10}$")] | None = Field(
        None, description="what stands for spaces and other characters that ids may not have", examples=["-"]
    )
    repeated: Literal["refuse", "number"] = Field(
        "refuse",
        description="names of several nodes are refused, or all of them get `-1`, `-2`, ... in the order of the file",
        examples=["number"],
    )


class FileSpec(ChannelSpec):
    """A graph file, how its attributes are meant, and what devices and links have that it says nothing about."""

    path: str = Field(
        description="GraphML, GML or node-link JSON file, relative to the scenario", examples=["lab.graphml"]
    )
    names: str | NamesSpec | None = Field(
        None,
        description="attribute of nodes that names devices; by default the node's id, in GML its `label`",
        examples=["label", {"from": "label", "replace": "-", "repeated": "number"}],
    )
    attributes: dict[str, str | AttributeSpec] = Field(
        default_factory=dict,
        description="attribute of the file, and its unit, by key of devices or links; or `from` and what its `values` mean",
        examples=[{"bandwidth": "LinkSpeedRaw bit/s", "latency": "delay ms"}],
    )
    ignore: tuple[str, ...] = Field(
        (), description="attributes that look as if they mattered and do not", examples=[["weight"]]
    )
    parallel: Literal["refuse", "first", "sum"] = Field(
        "refuse",
        description="edges that join the same devices are refused, or only the first counts, or they are one link with the sum of their rates",
        examples=["sum"],
    )
    profile: Profile | None = Field(None, description="profile of devices that have none there", examples=["phone"])
    bandwidth: BitPerSecond | None = Field(
        None, description="rate of links that have none there", examples=["1 Mbit/s"]
    )

    @property
    def naming(self) -> NamesSpec | None:
        """How devices are named; None: as the file does."""
        return NamesSpec.model_validate({"from": self.names}) if isinstance(self.names, str) else self.names

    @property
    def meant(self) -> dict[str, AttributeSpec]:
        """The attribute that each key of devices and links is read from, where the scenario says so."""
        return {key: AttributeSpec.of(said) for key, said in self.attributes.items()}

    @model_validator(mode="after")
    def _maps_what_there_is(self) -> FileSpec:
        for key, attribute in self.meant.items():
            if key not in DEVICE_KEYS | LINK_KEYS:
                error = mistake(
                    f"devices and links have no {key!r}", expected=", ".join(sorted(DEVICE_KEYS | LINK_KEYS))
                )
                raise mistake_at(("attributes", key), attribute, error)
            wanted = _quantity(key)
            if attribute.unit is not None and (wanted is None or _dimension(attribute.unit) != wanted.unit):
                expected = f"a unit as in {wanted.example!r}" if wanted else f"no unit: {key!r} is no quantity"
                error = mistake(f"unit {attribute.unit!r} does not go with {key!r}", expected=expected)
                raise mistake_at(("attributes", key), attribute, error)
        return self


def _quantity(key: str) -> Quantity | None:
    forms = (DeviceSpec.model_fields, LinkSpec.model_fields)
    marks = [mark for fields in forms if key in fields for mark in fields[key].metadata]
    return next((mark for mark in marks if isinstance(mark, Quantity)), None)
