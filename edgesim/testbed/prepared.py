"""From a scenario to bundles of its strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgesim.errors import PlanError, UnknownNameError, nearest_name
from edgesim.interfaces import n_queries
from edgesim.scenario.build import build
from edgesim.study.preparation.deploy import deployed
from edgesim.study.preparation.prepare import context_for, context_of, load_teacher
from edgesim.testbed.bundle import Bundle, bundled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.interfaces import Deployment, DeploymentContext, FailureModel, Progress
    from edgesim.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True, eq=False)
class PreparedStrategy:
    """A strategy whose networks are trained, what its devices execute, and by label what fails meanwhile."""

    label: str
    deployment: Deployment
    context: DeploymentContext
    bundle: Bundle
    failures: Mapping[str, FailureModel] = field(default_factory=dict)
    has_recovery: bool = False


def prepared(
    scenario: Scenario, labels: Sequence[str], progress: Progress, *, has_failures: bool = True
) -> Iterator[PreparedStrategy]:
    """Give some strategies of a scenario, or all, at the values that it gives without its sweep; networks are trained or taken from the cache.

    Without `has_failures` its losses, outages and slowdowns are left out.

    Raises
    ------
    UnknownNameError
        When a label names no strategy of the scenario.
    PlanError
        When the workload has no samples, or a strategy does not fit or does not say what runs where.
    DataError
        When the data set cannot be loaded, or a kernel cannot be written down.
    """
    system = build(scenario)
    for label in labels:
        if label not in system.strategies:
            known = tuple(system.strategies)
            raise UnknownNameError("strategy of this scenario", label, known, nearest_name(label, known))
    teacher = load_teacher(system, progress)
    if not len(teacher.dataset.test):
        raise PlanError(
            "the workload has shapes only, so there is nothing to execute; give it a data set on which its network is trained"
        )
    # attacks are of simulations; what is executed is asked about the samples as they are
    context = replace(context_of(system, teacher, progress), attack=None)
    for label in labels or system.strategies:
        own = context_for(system.strategies[label], context, system.failures)
        try:
            deployment = deployed(system.strategies[label], own)
            bundle = bundled(deployment, teacher.dataset.test[: n_queries(deployment)].inputs)
        except PlanError as error:
            raise PlanError(f"strategy {label!r}: {error}") from error
        failures = system.failures if has_failures else {}
        yield PreparedStrategy(label, deployment, own, bundle, failures, system.recovery_of(label) is not None)
