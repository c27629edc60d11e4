"""A plan made ready for simulation: everything that does not change between replications, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgesim.domain.plan import Plan, Transfer
from edgesim.domain.system.detector import Detector
from edgesim.domain.system.topology import Topology
from edgesim.engine.program.channels import ChannelTable, Crossings
from edgesim.engine.program.devices import DeviceTable, check_known, check_memory, device_table
from edgesim.engine.program.joined import joined
from edgesim.engine.program.pools import PoolTable, pool_tables
from edgesim.engine.program.spans import Span, spans_of
from edgesim.engine.program.steps import StepTable, step_table
from edgesim.engine.program.weights import TakeoverTable, takeover_table
from edgesim.errors import PlanError
from edgesim.interfaces import ComputeModel, Recovery, Replacing, detector_of


@dataclass(frozen=True, slots=True)
class Program:
    """Plans on a topology, by indices: three tables, whose rows name one another by position.

    Parameters
    ----------
    plan : the plan; of several plans, all their steps: see `edgesim.engine.program.joined.joined`.
    devices, channels, steps : the tables.
    plans : the plans, of which each request follows one.
    spans : where each of them lies.
    detours : finds other routes for messages, where they may take them.
    pools : by plan, its pools; empty where no plan has any.
    heartbeats : the steps that are heartbeats of devices, behind those of all plans; none where nobody watches.
    takeover : what it needs to go from one plan to another, where the first is the strategy's own and the others may take over.
    """

    plan: Plan
    devices: DeviceTable
    channels: ChannelTable
    steps: StepTable
    plans: tuple[Plan, ...]
    spans: tuple[Span, ...]
    detours: Crossings | None = None
    pools: tuple[tuple[PoolTable, ...], ...] = ()
    heartbeats: tuple[int, ...] = ()
    takeover: TakeoverTable | None = None


def compile_plan(plan: Plan, topology: Topology, compute: ComputeModel) -> Program:
    """Make a plan ready for simulation.

    Raises
    ------
    InfeasiblePlanError
        When a device lacks the memory.
    PlanError
        When the plan names a device that is not in the topology, or no route exists.
    """
    return compile_plans((plan,), topology, compute)


def compile_plans(
    plans: Sequence[Plan],
    topology: Topology,
    compute: ComputeModel,
    recovery: Recovery | None = None,
    *,
    is_same_network: bool = False,
) -> Program:
    """Make plans ready for simulation, of which each request follows one; raises as `compile_plan`.

    Parameters
    ----------
    plans, topology, compute : what is simulated.
    recovery : with a detector, the devices that compute send heartbeats; where others take over, the first plan is the strategy's own, and
        there are messages that bring weights.
    is_same_network : whether all plans divide one network, so that devices lack only some of the weights of another plan.
    """
    detector = detector_of(recovery)
    is_replaced = isinstance(recovery, Replacing) and len(plans) > 1
    plan = joined(plans, is_warm=is_replaced and recovery.warm)  # type: ignore[union-attr]
    check_known(plan, topology)
    peak_memory_byte = check_memory(plan, topology)
    beats = () if detector is None else heartbeats(plan, detector)
    n_steps = len(plan.steps) + len(beats)
    weights: tuple[Transfer, ...] = ()
    takeover = None
    if is_replaced and isinstance(recovery, Replacing):
        weights, takeover = takeover_table(
            plans, beats[0].dst_id, n_steps, is_warm=recovery.warm, is_same_network=is_same_network
        )
    if beats:
        plan = replace(plan, steps=(*plan.steps, *beats, *weights))
        check_known(plan, topology)
    routes = {transfer.step_id: topology.route(transfer.src_id, transfer.dst_id) for transfer in plan.transfers}
    is_rerouted = topology.routing.reroute
    everywhere = (topology.links,) if is_rerouted else ()  # any device may pass messages on
    devices = device_table(plan, topology, peak_memory_byte, (*routes.values(), *everywhere))
    device_index = {device_id: index for index, device_id in enumerate(devices.device_ids)}
    crossings = Crossings(topology, routes, device_index)
    spans = spans_of(plans, len(beats) + len(weights))
    answers = frozenset(span.answer for span in spans)
    steps = step_table(plan, topology, compute, device_index, crossings, answers=answers)
    if is_rerouted:
        crossings.meet_all()
    return Program(
        plan,
        devices,
        crossings.table(),
        steps,
        tuple(plans),
        spans,
        crossings if is_rerouted else None,
        pool_tables(plan, steps, spans) if plan.pools else (),
        tuple(range(n_steps - len(beats), n_steps)),
        takeover,
    )


def heartbeats(plan: Plan, detector: Detector) -> tuple[Transfer, ...]:
    """Return the heartbeats of the devices that compute in a plan, one for each but the monitor.

    Raises
    ------
    PlanError
        When there is no other.

    Examples
    --------
    >>> from edgesim.domain.plan import Compute
    >>> plan = Plan((Compute("a", "w1"), Compute("end", "hub")), "end", {})
    >>> [(one.step_id, one.src_id, one.dst_id) for one in heartbeats(plan, Detector(1.0, 3.0))]
    [('heartbeat of w1', 'w1', 'hub')]
    """
    answer = next(step for step in plan.computes if step.step_id == plan.answer_id)
    monitor = answer.device_id if detector.monitor is None else detector.monitor
    watched = sorted({step.device_id for step in plan.computes} - {monitor})
    if not watched:
        raise PlanError(
            f"the detector watches nobody: {monitor!r}, which listens, is the only device that computes; name another `monitor`, or leave the detector out"
        )
    return tuple(
        Transfer(f"heartbeat of {name}", name, monitor, detector.size_byte, "heartbeat", "intermediate")
        for name in watched
    )
