"""A study small enough to compute by hand: three devices send 100 byte each to a hub; no network is involved.

Each device has its own link of 8,000 bit/s, so a message takes 0.1 s. The hub waits 1 s for what is missing. Of twelve
questions the answer of w1 settles six, that of w2 four, that of w3 two: accuracies 1/2, 1/3 and 1/6.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Delivery
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.program.compiled import compile_plan
from edgesim.interfaces import DeploymentContext, FailureModel
from edgesim.rng import ReplicationStreams
from edgesim.study.cases.design import Case, Deployments, Prepared
from edgesim.study.cases.shared import Shared
from edgesim.study.options import RunOptions
from edgesim.study.run import run as run_study
from edgesim.tasks.classification import Classification

SETTLED = {"w1": range(6), "w2": range(6, 10), "w3": range(10, 12)}
LABELS = np.ones(12, dtype=np.int64)
PLAN = Plan(
    steps=(
        *(Compute(f"make {device}", device) for device in SETTLED),
        *(
            Transfer(f"send {device}", device, "hub", 100, "answer", "result", (f"make {device}",))
            for device in SETTLED
        ),
        Compute(
            "merge", "hub", inputs=tuple(f"send {device}" for device in SETTLED), on_missing="degrade", deadline_s=1.0
        ),
    ),
    answer_id="merge",
    weight_byte={"hub": 50},
)


def star() -> Topology:
    """A hub and three devices that take no power but for sending."""
    profile = DeviceProfile(
        "toy",
        dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9),
        1e9,
        0.0,
        1000,
        0.0,
        0.0,
        2.0,
        0.0,
        "assumed",
    )
    return Topology(
        tuple(Device(name, profile) for name in ("hub", *SETTLED)),
        tuple(Link(f"{name}->hub", name, "hub", 8000.0) for name in SETTLED),
    )


@dataclass(frozen=True)
class ToyDeployment:
    """Answers by the table above."""

    plan: Plan = PLAN

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        logits = np.zeros((12, 2), dtype=np.float32)
        for device, questions in SETTLED.items():
            if delivery.is_whole(f"send {device}"):
                logits[list(questions), 1] = 1.0
        return logits

    def describe(self) -> dict[str, Any]:
        return {"parts": 3}


class Unpicklable(ToyDeployment):
    """Holds what no process can be sent."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("cannot pickle a toy")


class Failing(ToyDeployment):
    """Has a mistake in its prediction."""

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        raise KeyError("no such student")


@dataclass(frozen=True)
class Dying(ToyDeployment):
    """Takes its process with it, unless that is the one that made it."""

    main_id: int = field(default_factory=os.getpid)

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        if os.getpid() != self.main_id:
            os._exit(9)
        return super().predict(delivery)


@dataclass(frozen=True)
class Toy:
    """A toy strategy."""

    questions: int = 12

    def deploy(self, context: DeploymentContext) -> ToyDeployment:
        return ToyDeployment()


@dataclass(frozen=True)
class Broken:
    """A toy strategy with a mistake."""

    def deploy(self, context: DeploymentContext) -> ToyDeployment:
        raise KeyError("wing")


@dataclass(frozen=True)
class OneOrNone:
    """w1 is lost with probability p."""

    p: float

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:
        return [Outage("w1")] if streams("w1").uniform() < self.p else []

    def outcomes(self, topology: Topology) -> Iterable[tuple[float, Sequence[Outage]]]:
        return [(1 - self.p, []), (self.p, [Outage("w1")])]


def shared(
    points: Sequence[dict[str, FailureModel]], deployment: ToyDeployment | None = None, **options: Any
) -> Shared:
    """The toy at several factor points, which differ in their failure models, checked; `options` are those of a case."""
    topology = star()
    prepared = Prepared(compile_plan(PLAN, topology, Roofline()), LABELS, Classification(2).scores[:1])
    cases = tuple(
        Case({"level": i}, "toy", 0, topology, failures, None, 1, **options) for i, failures in enumerate(points)
    )
    return Shared((prepared,), cases, Deployments([deployment or ToyDeployment()]), is_checked=True)


def run(scenario: Any, *, illustrate: Any = None, **options: Any) -> Any:
    """Run a study with some options."""
    return run_study(scenario, RunOptions(**options), illustrate=illustrate)
