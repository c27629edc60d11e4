"""The form of a scenario: what it may say, with a description and an example for every key."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le, Len
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from edgesim.domain.evaluation import Engine, Evaluation
from edgesim.domain.load import Load
from edgesim.domain.networks.training import Training
from edgesim.domain.stopping import Stopping
from edgesim.domain.system.routing import Routing
from edgesim.domain.system.topology import Forwarding
from edgesim.errors import UnknownNameError
from edgesim.registry import nearest_name
from edgesim.scenario.form.hardware import (
    DeviceSpec,
    LinkSpec,
    MediumEntry,
    ProfileSpec,
    Spec,
    without_defaults,
)
from edgesim.scenario.form.options import OptionsOf, PluginOf, mistake
from edgesim.scenario.form.replications import N_MOST, ReplicationsSpec
from edgesim.scenario.form.sweep import FactorSpec, Scalar, points
from edgesim.scenario.graphs.spec import FileSpec
from edgesim.scenario.text.extend import extended, read_with_bases
from edgesim.scenario.text.source import Source, read_text
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
from edgesim.units import Seconds

if TYPE_CHECKING:
    from edgesim.domain.system.topology import Topology
    from edgesim.scenario.variants import Variants

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$", max_length=60)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=60)]


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
        written = without_defaults(self, written, frozenset({"forwarding", "routing"}))
        return {key: value for key, value in written.items() if key not in {*SHAPES, "file"} or value is not None}

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
        return self

    @model_validator(mode="after")
    def _has_devices(self) -> TopologySpec:
        if not self.devices and not self.shapes and self.file is None:  # an unreadable file is a finding of its own
            names = ", ".join(f"`{name}:`" for name in SHAPES)
            raise mistake("the topology has no devices", expected=f"`devices:`, or a shape: {names}")
        return self


class WorkloadSpec(Spec):
    """What is asked: a network, the data it is trained and asked on, where requests start and end."""

    dataset: Annotated[Any, PluginOf("datasets")] = Field(
        description="samples; `type: shape-only` with `input` and `classes` asks for no accuracy", examples=["digits"]
    )
    model: Annotated[Any, PluginOf("models")] = Field(description="network architecture", examples=["small-cnn"])
    training: Annotated[Any, OptionsOf(Training)] = Field(
        default_factory=Training, description="how the network is trained", examples=[{"epochs": 30}]
    )
    source: str = Field(description="device that has the input", examples=["hub"])
    sink: str = Field(description="device that wants the answer", examples=["hub"])
    deadline: Seconds | None = Field(None, description="time after which an answer is useless", examples=["1 s"])
    evaluation: Annotated[Any, OptionsOf(Evaluation)] = Field(
        default_factory=Evaluation,
        description="bounds on how much of the accuracy is computed",
        examples=[{"samples": 200, "patterns": 500}],
    )
    load: Annotated[Any, OptionsOf(Load)] | None = Field(
        None,
        description="many requests in a trial; by default a single one",
        examples=[{"arrivals": {"type": "poisson", "rate": "5 /s"}, "requests": 200}],
    )

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), frozenset({"load"}))

    @model_validator(mode="before")
    @classmethod
    def _name_shape(cls, data: Any) -> Any:
        """Read ``input`` and ``classes`` without a data set as the data set ``shape-only``."""
        if not isinstance(data, dict) or "dataset" in data or "input" not in data:
            return data
        shape = {key: data[key] for key in ("input", "classes") if key in data}
        rest = {key: value for key, value in data.items() if key not in shape}
        return {**rest, "dataset": {"type": "shape-only", **shape}}


class Scenario(Spec):
    """One system and what is asked of it: the whole content of a scenario file."""

    name: FileName = Field(description="name of the result folder", examples=["wearables"])
    question: str = Field(
        "", description="what the study is to answer", examples=["What is left when devices are lost?"]
    )
    seed: Annotated[int, Ge(0)] = Field(1, description="start of all random streams and of training", examples=[1])
    replications: Annotated[int, Ge(1), Le(N_MOST)] | ReplicationsSpec = Field(
        100, description="repetitions of every trial: a number, or until intervals are narrow enough", examples=[400]
    )
    engine: Engine = Field(
        "auto",
        description="what simulates: arrays of trials at once where the order of messages allows it, always single events, or arrays only",
        examples=["event"],
    )
    exact_up_to: Annotated[int, Ge(0), Le(2**20)] | None = Field(
        None,
        description="most outcomes of the failures that are enumerated for exact expectations: 0 none; by default 16,384",
        examples=[1048576],
    )
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
    skip: tuple[str, ...] = Field(
        (),
        description="conditions of factor points that are left out: comparisons of factors, joined by `and`",
        examples=[["lost_devices >= devices"]],
    )

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), frozenset({"skip", "engine", "exact_up_to"}))

    @classmethod
    def load(cls, path: str | Path, *, allow_code: bool = False) -> Scenario:
        """Read and check a scenario file.

        Parameters
        ----------
        path : of the file.
        allow_code : whether the code that the scenario names may run: the files and modules of ``plugins:``, and the targets of
            models of type ``import``. It is remembered until these files change.

        Raises
        ------
        ScenarioError
            With every finding when it cannot be read, is not valid, or names code that nobody has allowed.
        """
        return cls._checked(read_with_bases(Path(path)), allow_code=allow_code)

    @classmethod
    def from_text(cls, text: str, file: str = "", folder: Path | None = None, *, allow_code: bool = False) -> Scenario:
        """Read and check a scenario in a YAML text; `folder` is where its relative paths start. `allow_code`, errors: see `load`."""
        return cls._checked(extended(read_text(text, file, folder or Path())), allow_code=allow_code)

    @classmethod
    def from_data(cls, data: dict[str, Any], *, allow_code: bool = False) -> Scenario:
        """Check a scenario in plain data, with quantities as texts. `allow_code`, errors: see `load`."""
        return cls._checked(Source(data), allow_code=allow_code)

    @classmethod
    def _checked(cls, source: Source, *, allow_code: bool) -> Scenario:
        from edgesim.scenario.check import check

        return check(source, cls, allow_code=allow_code)

    @property
    def rule(self) -> int | Stopping:
        """How often trials are repeated: the number of replications, or when there are enough."""
        return self.replications if isinstance(self.replications, int) else self.replications.rule()

    def points(self) -> tuple[dict[str, Scalar], ...]:
        """Return the factor points of the sweep: every combination of values, the last factor fastest, but those of `skip`.

        Without a sweep there is one point, the empty one.
        """
        return points(self.sweep, self.skip)

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
        from edgesim.scenario.text.paths import with_value

        for name in point:
            if name not in self.sweep:
                raise UnknownNameError("factor", name, tuple(self.sweep), nearest_name(name, tuple(self.sweep)))
        changes = {self.sweep[name].path: value for name, value in point.items()}
        found = self.variants.at(changes)
        if found is not None:
            return found
        data = self.resolved() | {"sweep": {}, "skip": []}
        for path, value in changes.items():
            data = with_value(data, path, value)
        return Scenario.from_data(data)

    @cached_property
    def built(self) -> Topology:
        """The devices and links, with shapes, ranges and patterns written out; made once."""
        from edgesim.scenario.build import build_topology

        return build_topology(self.topology, self.profiles, self.seed)

    @cached_property
    def variants(self) -> Variants:
        """The scenario with other values, as its factor points have."""
        from edgesim.scenario.variants import Variants

        return Variants(self)

    def with_(self, *, replications: int | None = None, seed: int | None = None) -> Scenario:
        """Return the scenario with a number of replications or another seed. Raises `ScenarioError`."""
        changes = {"replications": replications, "seed": seed}
        return Scenario.from_data(self.resolved() | {key: value for key, value in changes.items() if value is not None})

    def resolved(self) -> dict[str, Any]:
        """Return everything the scenario says, defaults and catalog profiles included, as plain data.

        Quantities are texts in base units. `from_data` makes an equal scenario from it.
        """
        return self.model_dump(mode="json", by_alias=True)

    def hash(self) -> str:
        """Return the SHA-256 of `resolved` in hexadecimal.

        It is the same wherever files lie: of plug-in files only the name counts, of folders and files that options name also names
        and sizes of what is there.
        """
        from edgesim.scenario.text.paths import with_item
        from edgesim.scenario.text.places import fingerprint, places

        data = self.resolved()
        for path, _, name in [*places(type(self), data)]:
            data = with_item(data, path, fingerprint(name))
        data["plugins"] = [Path(name).name for name in self.plugins]
        text = json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from edgesim.scenario.help.display import scenario_html

        return scenario_html(self)
