"""A plan made ready for simulation: everything that does not change between replications, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesim.domain.plan import Plan
from edgesim.domain.system.topology import Topology
from edgesim.engine.program.channels import ChannelTable, Crossings
from edgesim.engine.program.devices import DeviceTable, check_known, check_memory, device_table
from edgesim.engine.program.joined import joined
from edgesim.engine.program.pools import PoolTable, pool_tables
from edgesim.engine.program.spans import Span, spans_of
from edgesim.engine.program.steps import StepTable, step_table
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
    """

    plan: Plan
    devices: DeviceTable
    channels: ChannelTable
    steps: StepTable
    plans: tuple[Plan, ...]
    spans: tuple[Span, ...]
    detours: Crossings | None = None
    pools: tuple[tuple[PoolTable, ...], ...] = ()


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


def compile_plans(plans: Sequence[Plan], topology: Topology, compute: ComputeModel) -> Program:
    """Make plans ready for simulation, of which each request follows one; raises as `compile_plan`."""
    plan = joined(plans)
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
    spans = spans_of(plans)
    pools = pool_tables(plan, steps, spans) if plan.pools else ()
    return Program(plan, devices, crossings.table(), steps, tuple(plans), spans, detours, pools)
