"""A deployment and those that may take over from it, as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgesim.engine.program.compiled import heartbeats
from edgesim.engine.program.joined import joined
from edgesim.errors import InfeasiblePlanError, PlanError
from edgesim.interfaces import AttackableDeployment, Deployment, Replacing, detector_of
from edgesim.study.preparation.deploy import deployed, plans_of
from edgesim.study.trials.deliveries import is_used

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.attack import Against
    from edgesim.domain.plan import Plan
    from edgesim.interfaces import DeploymentContext, StandIn, Strategy


@dataclass(frozen=True, slots=True)
class WithStandIns:
    """A deployment and those that may take over from it; `Delivery.plan` says which one was followed.

    Parameters
    ----------
    deployments : each with one plan; that of the strategy first.
    is_same_network : whether all divide one network.
    """

    deployments: tuple[Deployment, ...]
    is_same_network: bool

    @property
    def plan(self) -> Plan:
        """The plan of the strategy."""
        return self.deployments[0].plan

    @property
    def all_plans(self) -> tuple[Plan, ...]:
        """The plan of the strategy, and those that may take over."""
        return tuple(one.plan for one in self.deployments)

    @property
    def uses_partial(self) -> bool:
        """Whether any of them uses messages of which only some packets arrived."""
        return any(map(is_used, self.deployments))

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers of the one that was followed. Raises `PlanError` as it does."""
        return self.deployments[delivery.plan].predict(self._own(delivery))

    def predict_attacked(self, delivery: Delivery, against: Against) -> NDArray[np.float32]:
        """Return its answers to the attacked test split."""
        one = self.deployments[delivery.plan]
        if not isinstance(one, AttackableDeployment):
            raise PlanError("the answers of a strategy that takes over cannot be attacked; leave out evaluation.attack")
        return one.predict_attacked(self._own(delivery), against)

    def _own(self, delivery: Delivery) -> Delivery:
        if delivery.partial and not is_used(self.deployments[delivery.plan]):
            return replace(delivery, lost=delivery.incomplete, partial=(), plan=0)
        return replace(delivery, plan=0)

    def describe(self) -> dict[str, Any]:
        """Return what the strategy says of itself, and how many may take over."""
        return {**self.deployments[0].describe(), "stand_ins": len(self.deployments) - 1}


def with_stand_ins(
    label: str,
    strategies: Mapping[str, Strategy],
    context: DeploymentContext,
    recovery: Replacing,
    context_for: Callable[[Strategy], DeploymentContext],
) -> WithStandIns:
    """Return the deployment of a strategy and those that may take over.

    Parameters
    ----------
    label, strategies : which of the strategies.
    context : of the strategy.
    recovery : what may take over.
    context_for : the context of another strategy.

    Raises
    ------
    PlanError
        When a plan depends on the sample, or nothing can take over.
    """
    own = _single(deployed(strategies[label], context))
    detector = detector_of(recovery)
    if detector is None:
        raise PlanError("nothing takes over where nobody watches; give the recovery a `detector`")
    watched = {beat.src_id for beat in heartbeats(own.plan, detector)}
    made: dict[StandIn, Deployment | PlanError] = {}
    while True:  # devices that take over may fail in their turn
        stand_ins = recovery.stand_ins(label, strategies, context.topology, sorted(watched))
        for stand_in in stand_ins:
            if stand_in not in made:
                made[stand_in] = _tried(stand_in, context_for)
        found = [one for stand_in in stand_ins if not isinstance(one := made[stand_in], PlanError)]
        now = watched.union(
            *({beat.src_id for beat in heartbeats(joined((own.plan, one.plan)), detector)} for one in found)
        )
        if now == watched:
            break
        watched = now
    reasons = [str(one) for one in made.values() if isinstance(one, PlanError)]
    if not found:
        raise PlanError(
            f"nothing can take over: without any one of its devices there is no plan ({reasons[0] if reasons else 'none was tried'}); "
            "give the strategy devices to spare, or another recovery"
        )
    return WithStandIns((own, *found), all(one.is_same_network for one in stand_ins))


def _tried(stand_in: StandIn, context_for: Callable[[Strategy], DeploymentContext]) -> Deployment | PlanError:
    """Return the deployment of what takes over, or why there is none; raises where it is needed."""
    try:
        return _single(_of(stand_in, context_for))
    except PlanError as error:
        if stand_in.is_needed:
            raise
        return error


def _of(stand_in: StandIn, context_for: Callable[[Strategy], DeploymentContext]) -> Deployment:
    """Return the deployment of what takes over.

    Raises
    ------
    PlanError
        When there is none, or a device lacks the memory.
    """
    context = replace(context_for(stand_in.strategy), topology=stand_in.topology)
    made = deployed(stand_in.strategy, context)
    for device_id, n_byte in made.plan.peak_memory_byte().items():
        available_byte = stand_in.topology.device_of[device_id].profile.memory_byte
        if n_byte > available_byte:
            raise InfeasiblePlanError(device_id, n_byte, available_byte)
    return made


def _single(deployment: Deployment) -> Deployment:
    if len(plans_of(deployment)) > 1:
        raise PlanError(
            "the plan depends on the sample, which `failover` and `reassign` do not know; take `retry` or `none`"
        )
    return deployment
