"""The plan of each strategy of a scenario, without simulating it; nothing is trained where only shapes matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgesim.compute.forecast import forecast
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.errors import UnknownNameError, nearest_name
from edgesim.interfaces import CoreChoosing, is_kind, needs_samples, needs_training
from edgesim.scenario.build import build
from edgesim.study.preparation.bounds import bound_of
from edgesim.study.preparation.deploy import deployed, plan_of_sample, plans_of
from edgesim.study.preparation.pooled import shown
from edgesim.study.preparation.prepare import Teacher, context_of, load_teacher
from edgesim.study.preparation.several import Followed, PlannedWay, mean_of, ways_of

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
    on_missing, deadline_s, alternatives, n_enough : what it does while messages are missing; see `edgesim.domain.plan.Compute`.
    part : the part of its outputs that it computes, or as what it computes, in words; empty when it is not known.
    work_flop : arithmetic work, in FLOP.
    in_byte, out_byte : messages that it waits for, and that wait for it, in byte.
    activation_byte : peak of the tensors alive, in byte.
    duration_s, ended_s : time it takes, and when it ends without contention, in s.
    n_samples : where plans depend on the sample, how many test samples have the step, of which numbers are means; else None.
    """

    step_id: str
    device_id: str
    layers: tuple[str, ...]
    inputs: tuple[str, ...]
    on_missing: str
    deadline_s: float | None
    alternatives: tuple[tuple[str, ...], ...]
    n_enough: int
    part: str
    work_flop: float
    in_byte: int
    out_byte: int
    activation_byte: int
    duration_s: float
    ended_s: float
    n_samples: int | None = None


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
    """The plan of a strategy; where it depends on the sample, means over the test samples.

    Parameters
    ----------
    label : of the strategy.
    plan : its steps; the first plan where there are several.
    steps : the computations that take time or messages, in order.
    latency_s : end of the answer without contention, in s.
    plans : every plan, and how many test samples follow it.
    ways : plans of the same steps together; empty where there is one plan.
    bound : what perfect students would keep; None where no filters are divided.
    divided : the layers on devices with cores that can work on one together; empty unless the compute model divides layers.
    """

    label: str
    plan: Plan
    steps: tuple[PlannedStep, ...]
    latency_s: float
    plans: tuple[Followed, ...]
    ways: tuple[PlannedWay, ...] = ()
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
        replace(planned_of(label, made, context), bound=bound_of(system.strategies[label], context))
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
    kinds = {label: (needs_training(one), needs_samples(one)) for label, one in chosen.items()}
    for kind in sorted(set(kinds.values())):
        wanted = {label: one for label, one in chosen.items() if kinds[label] == kind}
        if wanted:
            teacher = load_teacher(system, progress) if kind[0] else _untaught(system, has_samples=kind[1])
            context = context_of(system, teacher, progress)
            made += [(label, deployed(strategy, context), context) for label, strategy in wanted.items()]
    return sorted(made, key=lambda one: list(chosen).index(one[0]))


def _untaught(system: System, *, has_samples: bool) -> Teacher:
    """Return an untrained network, without samples unless they are needed."""
    from edgesim.nn.models.untrained import untrained

    dataset: Dataset = system.dataset.load()
    network = untrained(system.model, dataset)
    if not has_samples:
        empty = dataset.train[:0]
        dataset = replace(dataset, train=empty, validation=empty, test=empty)
    return Teacher(dataset, network)


def planned_of(label: str, deployment: Deployment, context: DeploymentContext) -> PlannedStrategy:
    """Return the plan of a deployment."""
    boxes: dict[str, dict[str, str]] = deployment.describe().get("boxes", {})
    numbers = plan_of_sample(deployment) or (0,)
    plans, steps = [], []
    for number, plan in enumerate(plans_of(deployment)):
        own, latency_s = _steps(plan, context, boxes)
        plans.append(Followed(plan, numbers.count(number), latency_s))
        steps.append(own)
    return PlannedStrategy(
        label, deployment.plan, steps[0] if len(plans) == 1 else _mean_steps(plans, steps),
        mean_of([(one.latency_s, one.n_samples) for one in plans]), tuple(plans), ways_of(plans),
        divided=_divided(deployment.plan, context),
    )  # fmt: skip


def _steps(
    plan: Plan, context: DeploymentContext, boxes: Mapping[str, Mapping[str, str]]
) -> tuple[tuple[PlannedStep, ...], float]:
    """Return the computations of a plan, and when its answer ends, in s."""
    times = forecast(plan, context.topology, context.compute)
    n_devices, groups = shown(plan, times), _groups(plan)
    sizes = {transfer.step_id: transfer.size_byte for transfer in plan.transfers if transfer.step_id in n_devices}
    steps = []
    for step in (step for step in plan.computes if step.step_id in n_devices):
        sent = sum(t.size_byte for t in plan.transfers if step.step_id in t.inputs and t.step_id in n_devices)
        received = sum(sizes.get(name, 0) for name in step.inputs)
        layers = tuple(dict.fromkeys(work.layer_id for work in step.work))
        parts = [boxes[layer][step.device_id] for layer in layers if step.device_id in boxes.get(layer, {})]
        if layers or sent or received:
            time = times[step.step_id]
            steps.append(
                PlannedStep(
                    step.step_id, _place(step, n_devices[step.step_id]), layers, step.inputs, step.on_missing, step.deadline_s, step.alternatives, step.n_enough,
                    "; ".join(dict.fromkeys(parts)) or _named(step.step_id) or groups.get(step.step_id, ""),
                    sum(work.work_flop for work in step.work), received, sent, step.activation_byte,
                    time.ended_s - time.started_s, time.ended_s,
                )
            )  # fmt: skip
    return tuple(steps), times[plan.answer_id].ended_s


def _named(step_id: str) -> str:
    """Return what a step computes as its id begins, where that is words and no layer, as of ``tile 0,1/compute``."""
    name, slash, _ = step_id.partition("/")
    return name if slash and " " in name else ""


def _groups(plan: Plan) -> dict[str, str]:
    """Return of computations whose results are alternatives at a step with several groups of them which group that is."""
    of_input = {
        name: f"group {number}"
        for step in plan.computes
        for number, group in enumerate(step.alternatives, start=1)
        if len(step.alternatives) > 1
        for name in group
    }
    sent = {name: group for one in plan.transfers if (group := of_input.get(one.step_id)) for name in one.inputs}
    return {**of_input, **sent}


def _place(step: Compute, n_devices: int) -> str:
    return step.device_id if n_devices == 1 else f"any of {n_devices}"


def _mean_steps(plans: Sequence[Followed], steps: Sequence[Sequence[PlannedStep]]) -> tuple[PlannedStep, ...]:
    """Return the steps of several plans, those of the longest first, each with means over the samples that have it."""
    found: dict[str, list[tuple[PlannedStep, int]]] = {}
    for followed, own in sorted(zip(plans, steps, strict=True), key=lambda pair: -len(pair[1])):
        for step in own:
            found.setdefault(step.step_id, []).append((step, followed.n_samples))
    means: list[PlannedStep] = []
    for of in found.values():
        numbers: dict[str, Any] = {name: mean_of([(getattr(step, name), n) for step, n in of]) for name in _NUMBERS}
        means.append(replace(of[0][0], n_samples=sum(n for _, n in of), **numbers))
    return tuple(means)


_NUMBERS = ("work_flop", "in_byte", "out_byte", "activation_byte", "duration_s", "ended_s")


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
    """Return, for each device of a plan, its work, weights, peak memory and messages; of several plans means, and the largest peak; of pools as if it did all of them."""
    found: dict[str, list[tuple[dict[str, float], int]]] = {}
    for one in planned.plans:
        for device_id, total in _totals(one.plan).items():
            found.setdefault(device_id, []).append((total, one.n_samples))
    return [{"device": device_id, **_over_plans(totals)} for device_id, totals in found.items()]


def _over_plans(totals: Sequence[tuple[dict[str, float], int]]) -> dict[str, float]:
    """Return means over samples; of weights and memory the most, since a device does not know the sample before."""
    return {
        name: max(total[name] for total, _ in totals)
        if name in {"weight_byte", "peak_memory_byte"}
        else mean_of([(total[name], n) for total, n in totals])
        for name in totals[0][0]
    }


def _totals(plan: Plan) -> dict[str, dict[str, float]]:
    peak = plan.peak_memory_byte()
    found = {}
    for device_id in plan.device_ids:
        here: list[Compute] = [step for step in plan.computes if step.device_id == device_id]
        ends: list[Transfer] = list(plan.transfers)
        found[device_id] = {
            "work_flop": sum(work.work_flop for step in here for work in step.work),
            "weight_byte": plan.weight_byte.get(device_id, 0),
            "peak_memory_byte": peak[device_id],
            "sent_byte": sum(t.size_byte for t in ends if t.src_id == device_id),
            "received_byte": sum(t.size_byte for t in ends if t.dst_id == device_id),
        }
    return found


def transfers(planned: PlannedStrategy) -> list[dict[str, Any]]:
    """Return the messages of a plan; of several plans, each once with its mean size over the samples that send it, and how many do."""
    found: dict[str, list[tuple[Transfer, int]]] = {}
    for one in planned.plans:
        for transfer in one.plan.transfers:
            found.setdefault(transfer.step_id, []).append((transfer, one.n_samples))
    names = ("step_id", "src_id", "dst_id", "tensor", "kind", "inputs")
    return [
        {
            **{name: getattr(of[0][0], name) for name in names},
            "size_byte": mean_of([(transfer.size_byte, n) for transfer, n in of]),
            "n_samples": sum(n for _, n in of) if planned.ways else None,
        }
        for of in found.values()
    ]
