"""The plan of each strategy of a scenario, without simulating it; nothing is trained where only shapes matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgesim.compute.forecast import Forecast, forecast
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.errors import UnknownNameError, nearest_name
from edgesim.interfaces import CoreChoosing, is_kind, needs_training
from edgesim.scenario.build import build
from edgesim.study.preparation.bounds import bound_of
from edgesim.study.preparation.deploy import deployed
from edgesim.study.preparation.prepare import Teacher, context_of, load_teacher

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Dataset
    from edgesim.interfaces import Deployment, DeploymentContext, Progress
    from edgesim.scenario.build import System
    from edgesim.scenario.scenario import Scenario
    from edgesim.strategies.students.bound import Bound


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What one device computes at once.

    Parameters
    ----------
    step_id, device_id : of the step; of a task of a pool, one of its copies, and "any of" so many devices.
    layers : the layers it computes, in order.
    inputs : ids of the messages and of the computations on the same device that it needs.
    on_missing, deadline_s, alternatives : what it does while messages are missing; see `edgesim.domain.plan.Compute`.
    part : the part of its outputs that it computes, in words; empty when it is not known.
    work_flop : arithmetic work, in FLOP.
    in_byte, out_byte : messages that it waits for, and that wait for it, in byte.
    activation_byte : peak of the tensors alive, in byte.
    duration_s, ended_s : time it takes, and when it ends without contention, in s.
    """

    step_id: str
    device_id: str
    layers: tuple[str, ...]
    inputs: tuple[str, ...]
    on_missing: str
    deadline_s: float | None
    alternatives: tuple[tuple[str, ...], ...]
    part: str
    work_flop: float
    in_byte: int
    out_byte: int
    activation_byte: int
    duration_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class DividedLayer:
    """A layer, or its piece, and how many cores of its device work on it.

    Parameters
    ----------
    layer, device_id : the layer and where it is computed.
    n_cores : how many cores.
    work_flop : arithmetic work, in FLOP.
    duration_s, alone_s : time that it takes so, and on one core, in s.
    """

    layer: str
    device_id: str
    n_cores: int
    work_flop: float
    duration_s: float
    alone_s: float


@dataclass(frozen=True, slots=True)
class PlannedStrategy:
    """The plan of a strategy.

    Parameters
    ----------
    label : of the strategy.
    plan : its steps.
    steps : the computations that take time or messages, in order.
    latency_s : end of the answer without contention, in s.
    n_messages, sent_byte : messages, and their bytes; with pools at most so many, where nothing is done again.
    bound : what perfect students would keep; None where no filters are divided.
    divided : the layers on devices with cores that can work on one together; empty unless the compute model divides layers.
    """

    label: str
    plan: Plan
    steps: tuple[PlannedStep, ...]
    latency_s: float
    n_messages: int
    sent_byte: int
    bound: Bound | None = None
    divided: tuple[DividedLayer, ...] = ()


def plans(scenario: Scenario, labels: Sequence[str], progress: Progress) -> list[PlannedStrategy]:
    """Return the plans of some strategies of a scenario, or of all, at the values that it gives without its sweep.

    Raises
    ------
    UnknownNameError
        When a label names no strategy of the scenario.
    PlanError
        When a strategy does not fit the topology.
    DataError
        When the data set cannot be loaded.
    """
    system = build(scenario)
    return [
        replace(_planned(label, made, context), bound=bound_of(system.strategies[label], context))
        for label, made, context in deploy(system, labels, progress)
    ]


def deploy(
    system: System, labels: Sequence[str], progress: Progress
) -> list[tuple[str, Deployment, DeploymentContext]]:
    """Return the deployments of some strategies of a system, or of all, and what each was made from; raises as `plans`.

    Networks are trained, or taken from the cache, only for strategies that need it; the others are given untrained ones.
    """
    for label in labels:
        if label not in system.strategies:
            known = tuple(system.strategies)
            raise UnknownNameError("strategy of this scenario", label, known, nearest_name(label, known))
    chosen = {label: system.strategies[label] for label in labels or system.strategies}
    made = []
    for is_trained in (False, True):
        wanted = {k: s for k, s in chosen.items() if needs_training(s) == is_trained}
        if wanted:
            teacher = load_teacher(system, progress) if is_trained else _untaught(system)
            context = context_of(system, teacher, progress)
            made += [(label, deployed(strategy, context), context) for label, strategy in wanted.items()]
    return sorted(made, key=lambda one: list(chosen).index(one[0]))


def _untaught(system: System) -> Teacher:
    """Return an untrained network without samples."""
    from edgesim.nn.models.untrained import untrained

    dataset: Dataset = system.dataset.load()
    empty = dataset.train[:0]
    return Teacher(replace(dataset, train=empty, validation=empty, test=empty), untrained(system.model, dataset))


def _planned(label: str, deployment: Any, context: Any) -> PlannedStrategy:
    plan: Plan = deployment.plan
    times = forecast(plan, context.topology, context.compute)
    sizes = {transfer.step_id: transfer.size_byte for transfer in plan.transfers}
    boxes: dict[str, dict[str, str]] = deployment.describe().get("boxes", {})
    n_devices = _shown(plan, times)
    steps = []
    for step in (step for step in plan.computes if step.step_id in n_devices):
        sent = sum(t.size_byte for t in plan.transfers if step.step_id in t.inputs and t.step_id in n_devices)
        received = sum(sizes.get(name, 0) for name in step.inputs if name in n_devices)
        layers = tuple(dict.fromkeys(work.layer_id for work in step.work))
        parts = [boxes[layer][step.device_id] for layer in layers if step.device_id in boxes.get(layer, {})]
        if layers or sent or received:
            time = times[step.step_id]
            steps.append(
                PlannedStep(
                    step.step_id, _place(step, n_devices[step.step_id]), layers, step.inputs, step.on_missing, step.deadline_s, step.alternatives,
                    "; ".join(dict.fromkeys(parts)),
                    sum(work.work_flop for work in step.work), received, sent, step.activation_byte,
                    time.ended_s - time.started_s, time.ended_s,
                )
            )  # fmt: skip
    return PlannedStrategy(
        label, plan, tuple(steps), times[plan.answer_id].ended_s, *_sent(plan, times), divided=_divided(plan, context)
    )


def _place(step: Compute, n_devices: int) -> str:
    return step.device_id if n_devices == 1 else f"any of {n_devices}"


def _chosen(plan: Plan, times: Mapping[str, Forecast]) -> list[tuple[str, ...]]:
    """Return for each task of a pool one of its copies, which stands for all: of those with most bytes the one that would be done first."""
    sizes = {transfer.step_id: transfer.size_byte for transfer in plan.transfers}
    return [
        min(rows, key=lambda row: (-sum(sizes.get(name, 0) for name in row), times[row[-1]].ended_s))
        for pool in plan.pools
        for rows in pool.tasks
    ]


def _shown(plan: Plan, times: Mapping[str, Forecast]) -> dict[str, int]:
    """Return how many devices may do each step: 1, or of the copies of a task that are chosen the number of copies; others and asks are left out."""
    found = {step.step_id: 1 for step in plan.steps}
    for pool in plan.pools:
        for name in (*pool.asks, *(name for rows in pool.tasks for row in rows for name in row)):
            del found[name]
    n_copies = [len(rows) for pool in plan.pools for rows in pool.tasks]
    for row, n in zip(_chosen(plan, times), n_copies, strict=True):
        found.update(dict.fromkeys(row, n))
    return found


def _sent(plan: Plan, times: Mapping[str, Forecast]) -> tuple[int, int]:
    """Return how many messages a plan sends, and their bytes; with pools at most so many, where nothing is done again."""
    shown = _shown(plan, times)
    sizes = {transfer.step_id: transfer.size_byte for transfer in plan.transfers}
    found = [size for name, size in sizes.items() if name in shown]
    for pool in plan.pools:
        asks = [[sizes[name] for turn in turns for name in turn if name in sizes] for turns in pool.turns]
        n_most = len(pool.tasks) + sum(map(bool, asks))  # one more of each device for nothing
        found += sorted((size for some in asks for size in some), reverse=True)[:n_most]
    return len(found), sum(found)


def _divided(plan: Plan, context: DeploymentContext) -> tuple[DividedLayer, ...]:
    """Return how many cores work on each layer, where there is something to choose."""
    if not is_kind(context.compute, CoreChoosing):
        return ()
    compute = context.compute
    found = []
    for step in plan.computes:
        profile = context.topology.device_of[step.device_id].profile
        for layer in step.work if profile.cores is not None else ():
            n_cores = compute.n_cores(layer, profile)
            times_s = (compute.divided_s(layer, profile, n_cores), compute.divided_s(layer, profile, 1))
            found.append(DividedLayer(layer.layer_id, step.device_id, n_cores, layer.work_flop, *times_s))
    return tuple(found)


def totals(planned: PlannedStrategy) -> list[dict[str, Any]]:
    """Return, for each device of a plan, its work, weights, peak memory and messages; of pools, as if it did all of it."""
    plan = planned.plan
    peak = plan.peak_memory_byte()
    rows = []
    for device_id in plan.device_ids:
        here: list[Compute] = [step for step in plan.computes if step.device_id == device_id]
        ends: list[Transfer] = list(plan.transfers)
        rows.append({
            "device": device_id,
            "work_flop": sum(work.work_flop for step in here for work in step.work),
            "weight_byte": plan.weight_byte.get(device_id, 0),
            "peak_memory_byte": peak[device_id],
            "sent_byte": sum(t.size_byte for t in ends if t.src_id == device_id),
            "received_byte": sum(t.size_byte for t in ends if t.dst_id == device_id),
        })  # fmt: skip
    return rows
