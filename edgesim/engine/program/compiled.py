"""A plan made ready for simulation: everything that does not change between replications, computed once."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.domain.plan import Plan
from edgesim.domain.system.topology import Topology
from edgesim.engine.program.channels import ChannelTable, Crossings
from edgesim.engine.program.devices import DeviceTable, check_known, check_memory, device_table
from edgesim.engine.program.steps import StepTable, step_table
from edgesim.interfaces import ComputeModel


@dataclass(frozen=True, slots=True)
class Program:
    """A plan on a topology, by indices: three tables, whose rows name one another by position.

    Parameters
    ----------
    plan : the plan.
    devices, channels, steps : the tables.
    """

    plan: Plan
    devices: DeviceTable
    channels: ChannelTable
    steps: StepTable


def compile_plan(plan: Plan, topology: Topology, compute: ComputeModel) -> Program:
    """Make a plan ready for simulation.

    Raises
    ------
    InfeasiblePlanError
        When a device lacks the memory.
    PlanError
        When the plan names a device that is not in the topology, or no route exists.
    """
    check_known(plan, topology)
    peak_memory_byte = check_memory(plan, topology)
    routes = {transfer.step_id: topology.route(transfer.src_id, transfer.dst_id) for transfer in plan.transfers}
    devices = device_table(plan, topology, peak_memory_byte, tuple(routes.values()))
    device_index = {device_id: index for index, device_id in enumerate(devices.device_ids)}
    crossings = Crossings(topology, routes, device_index)
    steps = step_table(plan, topology, compute, device_index, crossings)
    return Program(plan, devices, crossings.table(), steps)
