"""What each device of a layer partition computes, by the steps of its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.strategies.ends import ANSWER_ID
from edgesim.strategies.layers.ids import exchange_id, gather_id, scatter_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.plan import Plan
    from edgesim.interfaces import Kernel
    from edgesim.nn.cut.schedule import Schedule
    from edgesim.nn.cut.stages import Stage, StagedNetwork
    from edgesim.nn.kernels.cut.stages import StageIds

    Divided = tuple[Stage, Schedule, NDArray[np.int8] | None]


def cut_kernels(
    plan: Plan,
    device_ids: Sequence[str],
    *,
    network: StagedNetwork,
    cuts: Sequence[Divided],
    names: Sequence[str],
    fills: Mapping[str, NDArray[np.float32]],
) -> dict[str, Kernel]:
    """Return what each device computes by the ids of the computations.

    Parameters
    ----------
    plan, device_ids, network : as of `edgesim.strategies.layers.partition.LayerPartition`.
    cuts : the stages, how each is computed, and the shares of its matrix where that is divided by entries.
    names : of the inputs of the network.
    fills : as of `edgesim.strategies.layers.partition.LayerPartition`.
    """
    from edgesim.nn.kernels.cut.made import kernels_of
    from edgesim.nn.kernels.cut.stages import Cut
    from edgesim.nn.kernels.whole import arrival

    known = {step.step_id for step in plan.steps}
    ids, before = [], "start"
    for cut in cuts:
        ids.append(_ids(known, device_ids, cut, before))
        before = ids[-1].join
    shares = {stage.layers[0].name: shares for stage, _, shares in cuts if shares is not None}
    found: dict[str, Kernel] = {plan.answer_id: arrival}
    return found | kernels_of(Cut(network, [one for _, one, _ in cuts], ids, shares, {}, names, [ANSWER_ID], fills))


def coded_kernels(
    plan: Plan,
    worker_ids: Sequence[str],
    parity: str,
    *,
    network: StagedNetwork,
    parts: Mapping[str, Sequence[range]],
    names: Sequence[str],
) -> dict[str, Kernel]:
    """Return what each device computes of coded layers by the ids of the computations.

    Parameters
    ----------
    plan, worker_ids, network, parts : as of `edgesim.strategies.layers.coded.CodedNetwork`.
    parity : the device that holds the sums.
    names : of the inputs of the network.
    """
    from edgesim.nn.cut.coded import coded_layer
    from edgesim.nn.kernels.cut.made import kernels_of
    from edgesim.nn.kernels.cut.stages import Cut, StageIds
    from edgesim.nn.kernels.whole import arrival
    from edgesim.strategies.layers import coded_plan

    ids, before = [], coded_plan.START_ID
    for stage in network.stages:
        devices = dict(enumerate(coded_plan.devices_of(worker_ids, parts[stage.name], parity)))
        scatters, gathers = (
            {position: name(stage.name, device_id) for position, device_id in devices.items()}
            for name in (coded_plan.scatter_id, coded_plan.gather_id)
        )
        computes = {
            (position, 0): coded_plan.compute_id(stage.name, device_id) for position, device_id in devices.items()
        }
        ids.append(StageIds(scatters, gathers, {}, computes, before, coded_plan.decode_id(stage.name)))
        before = ids[-1].join
    codes = {
        stage.layers[0].name: coded_layer(network.graph, stage.layers[0].module, parts[stage.name])
        for stage in network.stages
    }
    found: dict[str, Kernel] = {plan.answer_id: arrival}
    return found | kernels_of(Cut(network, (), ids, {}, codes, names, [ANSWER_ID]))


def _ids(known: set[str], device_ids: Sequence[str], cut: Divided, before: str) -> StageIds:
    """Return what the steps of a stage are called that the plan has."""
    from edgesim.nn.kernels.cut.stages import StageIds

    stage, schedule, _ = cut
    devices = dict(enumerate(device_ids))
    scatters, gathers = (
        {device: name(stage, device_id) for device, device_id in devices.items() if name(stage, device_id) in known}
        for name in (scatter_id, gather_id)
    )
    messages = {
        position: exchange_id(stage, message.phase, devices[message.src], devices[message.dst])
        for position, message in enumerate(schedule.messages)
    }
    phases = [f"phase{number}" for number in range(len(schedule.phases))] if len(schedule.phases) > 1 else ["compute"]
    computes = {
        (device, phase): step_id
        for device, device_id in devices.items()
        for phase, name in enumerate(phases)
        if (step_id := f"{stage.name}/{name}/{device_id}") in known
    }
    return StageIds(scatters, gathers, messages, computes, before, f"{stage.name}/join")
