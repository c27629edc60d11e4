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
from edgesim.errors import PlanError
from edgesim.interfaces import ComputeModel


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
    plans: Sequence[Plan], topology: Topology, compute: ComputeModel, detector: Detector | None = None
) -> Program:
    """Make plans ready for simulation, of which each request follows one; raises as `compile_plan`.

    Parameters
    ----------
    plans, topology, compute : what is simulated.
    detector : with one, the devices that compute send heartbeats.
    """
    plan = joined(plans)
    beats = () if detector is None else heartbeats(plan, detector)
    plan = plan if not beats else replace(plan, steps=(*plan.steps, *beats))
    check_known(plan, topology)
    peak_memory_byte = check_memory(plan, topology)
    routes = {transfer.step_id: topology.route(transfer.src_id, transfer.dst_id) for transfer in plan.transfers}
    is_rerouted = topology.routing.reroute
    everywhere = (topology.links,) if is_rerouted else ()  # any device may pass messages on
    devices = device_table(plan, topology, peak_memory_byte, (*routes.values(), *everywhere))
    device_index = {device_id: index for index, device_id in enumerate(devices.device_ids)}
    crossings = Crossings(topology, routes, device_index)
    steps = step_table(plan, topology, compute, device_index, crossings)
    if is_rerouted:
        crossings.meet_all()
    detours = crossings if is_rerouted else None
    spans = spans_of(plans, len(beats))
    pools = pool_tables(plan, steps, spans) if plan.pools else ()
    watched = tuple(range(len(plan.steps) - len(beats), len(plan.steps)))
    return Program(plan, devices, crossings.table(), steps, tuple(plans), spans, detours, pools, watched)


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
