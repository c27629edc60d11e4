"""The form of a scenario: what it may say, with a description and an example for every key."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le, Len
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails

from edgesim.compute.roofline import Roofline
from edgesim.domain.evaluation import Engine, Evaluation
from edgesim.domain.load import Load
from edgesim.domain.networks.escalation import Escalation
from edgesim.domain.networks.training import Training
from edgesim.domain.stopping import Stopping
from edgesim.domain.system.topology import Topology
from edgesim.scenario.files.places import fingerprint, places
from edgesim.scenario.form.goals import read_goal
from edgesim.scenario.form.options import OptionsOf, PluginOf, mistake
from edgesim.scenario.form.paths import with_item
from edgesim.scenario.form.replications import N_MOST, ReplicationsSpec
from edgesim.scenario.form.search import SearchSpec
from edgesim.scenario.form.spec import Spec, without_defaults
from edgesim.scenario.form.sweep import FactorSpec, Scalar, points
from edgesim.scenario.topology.build import build_topology
from edgesim.scenario.topology.hardware import ProfileSpec
from edgesim.scenario.topology.spec import TopologySpec
from edgesim.units import Seconds

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$", max_length=60)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=60)]


class WorkloadSpec(Spec):
    """What is asked: a network, the data it is trained and asked on, where requests start and end."""

    dataset: Annotated[Any, PluginOf("datasets")] = Field(
        description="samples; `type: shape-only` with `input` and `classes` asks for no scores", examples=["digits"]
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
        description="which scores are computed, and bounds on how much of them",
        examples=[{"samples": 200, "patterns": 500}],
    )
    load: Annotated[Any, OptionsOf(Load)] | None = Field(
        None,
        description="many requests in a trial; by default a single one",
        examples=[{"arrivals": {"type": "poisson", "rate": "5 /s"}, "requests": 200}],
    )

    escalate: Annotated[Any, OptionsOf(Escalation)] | None = Field(
        None,
        description="which answers a person looks at and corrects; by default none",
        examples=[{"uncertainty": "entropy", "above": 0.8}],
    )

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), frozenset({"load", "escalate"}))

    @model_validator(mode="after")
    def _do_people_work(self) -> WorkloadSpec:
        """Refuse people who wait for no requests, or never work before trials end."""
        people = None if self.escalate is None else self.escalate.people
        if people is None:
            return self
        text = ""
        if self.load is None:
            text = "a single request makes no queue at a person; give the workload a load, or leave `people` out"
        elif self.load.horizon_s is not None and self.load.horizon_s <= people.begin_s:
            text = (
                f"trials end at {self.load.horizon_s / 3600:g} h, before anybody begins to work at {people.begin_s / 3600:g} h; give a later `load.horizon`, "
                "or an earlier `begin`"
            )
        if text:
            wrong = InitErrorDetails(type=mistake(text), loc=("escalate", "people"), input=None)
            raise ValidationError.from_exception_data("workload", [wrong])
        return self

    @model_validator(mode="before")
    @classmethod
    def _name_shape(cls, data: Any) -> Any:
        """Read ``input``, ``classes`` and ``values`` without a data set as the data set ``shape-only``."""
        if not isinstance(data, dict) or "dataset" in data or "input" not in data:
            return data
        shape = {key: data[key] for key in ("input", "classes", "values") if key in data}
        rest = {key: value for key, value in data.items() if key not in shape}
        return {**rest, "dataset": {"type": "shape-only", **shape}}


class ScenarioSpec(Spec):
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
    compute: Annotated[Any, PluginOf("compute")] = Field(
        default_factory=Roofline,
        description="how long devices compute; by default by the roofline of their profiles",
        examples=[{"type": "roofline", "half_rate": "2 MFLOP"}],
    )
    workload: WorkloadSpec = Field(description="network, data and requests")
    strategies: Annotated[dict[Label, Annotated[Any, PluginOf("strategies")]], Len(1)] = Field(
        description="methods to compare, by label", examples=[{"nonn": {"students": 8}}]
    )
    failures: dict[Label, Annotated[Any, PluginOf("failures")]] = Field(
        default_factory=dict,
        description="failure models by label",
        examples=[{"device_loss": {"type": "exactly-k", "k": 1}}],
    )
    recoveries: dict[Label, Annotated[Any, PluginOf("recoveries")]] = Field(
        default_factory=dict,
        description="what is done under load about what was lost, by label of the strategy; with it, results say how available each strategy is",
        examples=[{"nonn": {"type": "retry", "after": "100 ms"}}],
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

    goals: dict[Label, str] = Field(
        default_factory=dict,
        description="bounds that metrics are to keep: results say which strategies do, where, and how surely",
        examples=[{"latency_p95": "<= 300 ms", "accuracy": ">= 95 %"}],
    )

    search: SearchSpec | None = Field(
        None,
        description="what `edgesim search` may choose, and what it looks for",
        examples=[
            {
                "by": ["accuracy", "traffic"],
                "choices": {"parts": {"path": "strategies.resilient.parts", "values": [2, 4, 8]}},
            }
        ],
    )

    @field_validator("goals")
    @classmethod
    def _are_goals(cls, goals: dict[str, str]) -> dict[str, str]:
        wrong: list[InitErrorDetails] = []
        for metric, text in goals.items():
            try:
                read_goal(metric, text)
            except ValueError as error:
                wrong.append(InitErrorDetails(type=mistake(str(error)), loc=(metric,), input=text))
        if wrong:
            raise ValidationError.from_exception_data("goals", wrong)
        return goals

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(
            self, write(self), frozenset({"goals", "search", "skip", "engine", "exact_up_to", "compute", "recoveries"})
        )

    @model_validator(mode="after")
    def _recovers_under_load(self) -> ScenarioSpec:
        if self.recoveries and self.workload.load is None:
            raise mistake(
                "`recoveries` need many requests in a trial", remedy="write `load:` in the workload, or leave them out"
            )
        unknown = [label for label in self.recoveries if label not in self.strategies]
        if unknown:
            raise mistake(
                f"`recoveries` name {unknown[0]!r}, which is no strategy of this scenario",
                expected=f"a label of `strategies:`: {', '.join(self.strategies)}",
            )
        return self

    @property
    def rule(self) -> int | Stopping:
        """How often trials are repeated: the number of replications, or when there are enough."""
        return self.replications if isinstance(self.replications, int) else self.replications.rule()

    @property
    def n_most(self) -> int:
        """Most replications of a trial."""
        return self.rule if isinstance(self.rule, int) else self.rule.ceiling

    def points(self) -> tuple[dict[str, Scalar], ...]:
        """Return the factor points of the sweep: every combination of values, the last factor fastest, but those of `skip`.

        Without a sweep there is one point, the empty one.
        """
        return points(self.sweep, self.skip)

    @cached_property
    def built(self) -> Topology:
        """The devices and links, with shapes, ranges and patterns written out; made once."""
        return build_topology(self.topology, self.profiles, self.seed)

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
        data = self.resolved()
        for path, _, name in [*places(type(self), data)]:
            data = with_item(data, path, fingerprint(name))
        data["plugins"] = [Path(name).name for name in self.plugins]
        text = json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
