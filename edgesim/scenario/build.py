"""Scenario -> the domain objects it describes. Nothing is loaded, trained or drawn here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgesim.compute.roofline import Roofline
from edgesim.domain.evaluation import EVERYTHING, Engine, Evaluation
from edgesim.failures.packet_loss import MediumLoss
from edgesim.recoveries.none import Nothing
from edgesim.scenario.topology.wifi import MEDIUM

if TYPE_CHECKING:
    from edgesim.domain.load import Load
    from edgesim.domain.networks.escalation import Escalation
    from edgesim.domain.networks.training import Training
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import ComputeModel, DatasetSource, FailureModel, ModelBuilder, Recovery, Strategy
    from edgesim.scenario.schema import ScenarioSpec


@dataclass(frozen=True)
class System:
    """One system and its workload, ready to be deployed on and simulated.

    Parameters
    ----------
    topology : devices and links.
    source_id, sink_id : where the input is, and where the answer is wanted.
    dataset, model, training : what is trained on what, and how; nothing is loaded yet.
    strategies, failures : the plug-ins by label.
    deadline_s : time after which an answer is useless, in s, or None.
    seed : start of all random streams and of training.
    evaluation : bounds on how much of the scores is computed.
    load : the requests of a trial; None: a single one.
    engine : which engine simulates.
    exact_up_to : most outcomes of the failures that are enumerated; None: the default.
    compute : how long devices compute.
    recoveries : what is done about what was lost, by label of the strategy.
    escalate : which answers a person looks at; None: none.
    """

    topology: Topology
    source_id: str
    sink_id: str
    dataset: DatasetSource
    model: ModelBuilder
    training: Training
    strategies: dict[str, Strategy]
    failures: dict[str, FailureModel]
    deadline_s: float | None
    seed: int
    evaluation: Evaluation = EVERYTHING
    load: Load | None = None
    engine: Engine = "auto"
    exact_up_to: int | None = None
    compute: ComputeModel = field(default_factory=Roofline)
    escalate: Escalation | None = None
    recoveries: dict[str, Recovery] = field(default_factory=dict)

    def recovery_of(self, label: str) -> Recovery | None:
        """Return what is done about what a strategy lost: nothing where the scenario says it of others only; None where it says nothing at all."""
        return self.recoveries.get(label, Nothing()) if self.recoveries else None


def failure_models(scenario: ScenarioSpec) -> dict[str, FailureModel]:
    """Return the failure models by label, with the losses of a Wi-Fi cell under a label that no scenario can give."""
    wifi = scenario.topology.wifi
    if wifi is None or wifi.loss == 0:
        return dict(scenario.failures)
    return {**scenario.failures, "topology.wifi": MediumLoss(wifi.loss, medium_id=MEDIUM)}


def build(scenario: ScenarioSpec) -> System:
    """Return the system that a scenario describes; a sweep is not applied, see `Scenario.at`."""
    workload = scenario.workload
    return System(
        topology=scenario.built,
        source_id=workload.source,
        sink_id=workload.sink,
        dataset=workload.dataset,
        model=workload.model,
        training=workload.training,
        strategies=dict(scenario.strategies),
        failures=failure_models(scenario),
        deadline_s=workload.deadline,
        seed=scenario.seed,
        evaluation=workload.evaluation,
        load=workload.load,
        engine=scenario.engine,
        exact_up_to=scenario.exact_up_to,
        compute=scenario.compute,
        escalate=workload.escalate,
        recoveries=dict(scenario.recoveries),
    )
