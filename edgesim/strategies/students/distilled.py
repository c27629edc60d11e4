"""What NoNN and the resilient variant share: options, and the way from a teacher to students on devices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.networks.objective import Attacking, Objective
from edgesim.domain.networks.partition import Denominator
from edgesim.domain.networks.training import Distillation, Training
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.interfaces import FailureModel, FilterGraph, LossAware, ModelBuilder, Partitioner
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.objectives.distillation import JointDistillation
from edgesim.nn.parts.filters import ActivationHubs
from edgesim.nn.parts.partition import Louvain
from edgesim.plugins import Plugin
from edgesim.strategies.ends import check_gradients, kernels_here, known_device
from edgesim.strategies.students.attacked import attackable
from edgesim.strategies.students.heads import HeadOf, SurvivorHeads, check_heads, heads_of_sets
from edgesim.strategies.students.kernels import student_kernels
from edgesim.strategies.students.learned import check_missing, learned, with_stand_ins
from edgesim.strategies.students.networks import (
    StudentDeployment,
    devices_of_students,
    matching_devices,
    student_facts,
    student_plan,
    teacher_facts,
    workload_of,
)
from edgesim.strategies.students.sent import SentStudents
from edgesim.strategies.students.survivors import survivors_of
from edgesim.strategies.students.validation import validation_facts
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.objective import Survivors
    from edgesim.domain.networks.partition import Partition
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.nn.distill.modules import StudentEnsemble
    from edgesim.nn.distill.student_training import StudentTraining
    from edgesim.nn.distill.students import TrainedStudents


@dataclass(frozen=True, slots=True)
class DistilledStudents:
    """Options of all strategies whose students each know a part of the teacher's filters; see ``nonn``."""

    students: Annotated[int, Ge(1)] = 8
    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None
    student: Annotated[ModelBuilder, Plugin("models")] = SmallCNN(channels=(8, 16), pool_after=1)  # noqa: RUF009 - frozen
    graph: Annotated[FilterGraph, Plugin("filter-graphs")] = ActivationHubs()  # noqa: RUF009 - frozen
    partitioner: Annotated[Partitioner, Plugin("partitioners")] = Louvain()  # noqa: RUF009 - frozen
    temperature: Annotated[float, Gt(0)] = 4.0
    alpha: Annotated[float, Ge(0), Le(1)] = 0.9
    beta: Annotated[float, Ge(0)] = 10000.0
    normalised_over: Literal["whole", "part"] = "whole"
    fitting: Literal["joint", "independent"] = "joint"
    training: Training = Training(epochs=40)  # noqa: RUF009 - frozen
    missing: Literal["zeros", "mean", "learned"] = "zeros"
    objective: Annotated[Objective, Plugin("objectives")] = JointDistillation()  # noqa: RUF009 - frozen
    head: HeadOf = "all"
    messages: Messages = AS_COMPUTED

    @property
    def n_parts(self) -> int:
        """Into how many parts the filters are divided."""
        return self.students

    def check(self, topology: Topology) -> None:
        """Refuse a number of devices that is not that of the students."""
        matching_devices(topology, self.devices, self.students)
        check_objective(self.objective, self.training, self.fitting)
        check_missing(self.missing, n_parts=self.n_parts)
        if self.head == "per-survivors":
            check_heads(self.students)
            if self.missing != "zeros" and (self.missing == "learned" or not isinstance(self.objective, LossAware)):
                raise PlanError(
                    f"missing: {self.missing} has nothing to stand in for: with head: per-survivors each set of students has a head of its own; "
                    "leave one of both out"
                )

    def check_attack(self) -> None:
        """Refuse attacks through a head for each set, through learned stand-ins, and on messages that are rounded."""
        for option, value, other in (("missing", self.missing, "mean"), ("head", self.head, "all")):
            if value in ("learned", "per-survivors"):
                raise PlanError(
                    f"students with {option}: {value} cannot be attacked yet; take {option}: {other}, or leave out evaluation.attack"
                )
        check_gradients(self.messages)

    def followed(self) -> DistilledStudents:
        """Return the options with what a recipe stands for put in its place."""
        return self

    def distillation(self) -> Distillation:
        """Return the options of the loss."""
        return Distillation(self.temperature, self.alpha, self.beta, self.normalised_over)

    def learns_for(self, failures: Mapping[str, FailureModel]) -> Mapping[str, FailureModel]:
        """Return the failure models that the students learn for."""
        return (self.objective.learns_for(failures) or {}) if isinstance(self.objective, LossAware) else {}


@dataclass(frozen=True, slots=True)
class Replication:
    """How students share the parts.

    Parameters
    ----------
    n_parts : M; student i stands for part i mod M.
    denominator : see `edgesim.domain.networks.partition.Denominator`.
    is_identical : whether the students of a part are copies of one network.
    """

    n_parts: int
    denominator: Denominator = "arrived"
    is_identical: bool = False


def deploy_students(
    options: DistilledStudents, replication: Replication, context: DeploymentContext
) -> StudentDeployment | SurvivorHeads:
    """Divide the filters, train or load the students, and place them.

    Raises
    ------
    PlanError
        When devices and students do not match, or the teacher has fewer filters than there are parts.
    """
    from edgesim.nn.distill.ensembles import contributions
    from edgesim.nn.merging.stand_ins import train_stand_ins

    merger_id = known_device(context, "merger", context.sink_id if options.merger is None else options.merger)
    device_ids = devices_of_students(context, options.devices, options.students, merger_id)
    partition, activities = divide(options, replication.n_parts, context)
    if context.attack is not None:
        options.check_attack()
    survivors = survivors_for(options, replication, context, device_ids, merger_id)
    setup = setup_of(options, context, survivors)
    trained = _train(setup, options, replication, partition)
    ensemble = trained.ensemble
    # the network that runs on each device; copies are counted each time, since each device holds its own
    network_of = tuple(index % len(ensemble.students) for index in range(options.students))
    sent = SentStudents(list(ensemble.students), network_of, device_ids, context.source_id, merger_id, options.messages)
    counted = [workload_of(network, context.dataset.inputs) for network in ensemble.students]
    is_per_set = options.head == "per-survivors"
    sizes = [ensemble.part_sizes[part] for part in ensemble.part_of]
    if is_per_set:
        head = heads_of_sets(sizes, context.dataset.task.output.size)
    else:
        head = workload_of(ensemble.head, (ensemble.head.in_features,))
    stand_in = train_stand_ins(setup, trained) if options.missing == "learned" else None
    if stand_in is not None:
        head = with_stand_ins(head, stand_in)
    placed = [(device_id, counted[index]) for device_id, index in zip(device_ids, network_of, strict=True)]
    copies = tuple(tuple(range(first, options.students, replication.n_parts)) for first in range(replication.n_parts))
    plan, needs = student_plan(
        context,
        placed,
        merger_id,
        head,
        options.deadline_s,
        alternatives=copies if replication.is_identical else (),
        messages=options.messages,
    )
    required = tuple(sorted(plan.transfer_ids.difference(*needs)))
    networks = [ensemble.students[index] for index in network_of]
    facts = {
        "students": facts_of_students(ensemble, placed, network_of),
        **partition_facts(partition, options.graph.affinity(activities), activities),
        **teacher_facts(context),
        **{name: value for name, value in trained.metrics.items() if name != "epoch"},
        "networks_key": trained.key,
    }
    if is_per_set:
        from edgesim.nn.kernels.students import HeadOfSetKernel
        from edgesim.nn.merging.heads import survivor_heads

        heads = survivor_heads(ensemble, context.dataset)

        def with_head_of_set(inputs: Sequence[str], goals: Sequence[str]) -> Kernel:
            return HeadOfSetKernel(
                inputs, goals, network_of=network_of, sizes=sizes, heads=heads, output=ensemble.output
            )

        with_heads = SurvivorHeads(
            plan=plan,
            needs=needs,
            required=required,
            features=tuple(sent.features(context.dataset.validation.inputs)),
            network_of=network_of,
            heads=heads,
            output=ensemble.output,
            facts=facts,
            messages=options.messages,
            here=kernels_here(
                plan,
                options.messages,
                lambda: student_kernels(plan, networks, list(context.dataset.inputs), with_head_of_set),
            ),
        )
        reached = validation_facts(with_heads.answers, options.students, context.dataset)
        return replace(
            with_heads,
            features=tuple(sent.features(context.dataset.test.inputs)),
            facts={**facts, **reached, "heads_byte": head.weight_byte},
        )

    def contribute(inputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        return contributions(ensemble, sent.features(inputs), network_of)

    given = contribute(context.dataset.validation.inputs)
    stand_ins = given.mean(axis=1) if options.missing == "mean" else None

    def merging(inputs: Sequence[str], goals: Sequence[str]) -> Kernel:
        from edgesim.nn.kernels.students import MergeKernel

        return MergeKernel(
            inputs, goals, part_of=seen.part_of, part_sizes=ensemble.part_sizes, denominator=replication.denominator,
            weight=ensemble.head.weight.detach().numpy(), bias=seen.bias, means=stand_ins, stand_in=stand_in,
        )  # fmt: skip

    seen = StudentDeployment(
        plan=plan,
        contributions=given,
        bias=ensemble.head.bias.detach().numpy().reshape(ensemble.output),
        part_of=tuple(ensemble.part_of[index] for index in network_of),
        needs=needs,
        required=required,
        facts=facts,
        denominator=replication.denominator,
        stand_ins=stand_ins,
        messages=options.messages,
        here=kernels_here(
            plan, options.messages, lambda: student_kernels(plan, networks, list(context.dataset.inputs), merging)
        ),
    )
    if stand_in is not None:
        outputs = sent.features(context.dataset.test.inputs)
        tested = replace(seen, contributions=contributions(ensemble, outputs, network_of))
        return learned(tested, stand_in, trained, outputs)
    reached = validation_facts(seen.answers, options.students, context.dataset)
    deployment = replace(
        seen,
        contributions=contribute(context.dataset.test.inputs),
        facts={**facts, **reached},
    )
    return attackable(deployment, context, ensemble, network_of, contribute)


def check_objective(objective: Objective, training: Training, fitting: str) -> None:
    """Refuse students that would learn otherwise than it seems.

    Parameters
    ----------
    objective, training : of students.
    fitting : ``joint``, ``independent``, or ``alone`` for students without a common head.

    Raises
    ------
    PlanError
        When the training has an attack, or students learn each for itself with an objective that attacks or loses students.
    """
    if training.attack is not None:
        raise PlanError(
            "training.attack is for the network of the workload; students are attacked by an `objective` of the strategy, such as "
            "{type: ard, attack: {radius: 0.1}}"
        )
    name = type(objective).__name__
    if fitting == "independent" and objective != JointDistillation():
        what = "attacks" if isinstance(objective, Attacking) else "asks"
        raise PlanError(
            f"objective {name} {what} all students and the head at once, which learn apart with fitting: independent; leave one of both out"
        )
    if fitting == "alone" and isinstance(objective, LossAware):
        raise PlanError(
            f"objective {name} learns for students that are lost, but those of an ensemble learn each for itself; leave it out, or take "
            "nonn or resilient"
        )


def survivors_for(
    options: DistilledStudents,
    replication: Replication,
    context: DeploymentContext,
    device_ids: Sequence[str],
    merger_id: str,
) -> Survivors | None:
    """Return the sets of students that the objective learns for; None if it asks for no failures.

    Raises
    ------
    PlanError
        When failures cannot be listed.
    """
    failures = options.objective.learns_for(context.failures) if isinstance(options.objective, LossAware) else None
    if failures is None:
        return None
    found = survivors_of(failures, context.topology, device_ids, context.source_id, merger_id)
    return found.of_copies(replication.n_parts) if replication.is_identical else found


def filter_layer(context: DeploymentContext) -> str:
    """Return the layer whose units the students divide.

    Raises
    ------
    PlanError
        When the network has none.
    """
    if context.filter_layer is None:
        raise PlanError(
            "its students divide the filters of a layer of the network, but the model names none; name one (type: import takes "
            "`filters`), or use ensemble, whose students answer the whole question"
        )
    return context.filter_layer


def divide(
    options: DistilledStudents, n_parts: int, context: DeploymentContext
) -> tuple[Partition, NDArray[np.float32]]:
    """Return the parts, and the activities of the filters on the validation split that they come from."""
    from edgesim.nn.parts.activations import filter_activities
    from edgesim.rng import generator

    activities = filter_activities(context.network, filter_layer(context), context.dataset.validation.inputs)
    rng = generator(context.seed, "partition")
    affinity = options.graph.affinity(activities)
    return options.partitioner.partition(affinity, n_parts, rng, activities), activities


def setup_of(options: DistilledStudents, context: DeploymentContext, survivors: Survivors | None) -> StudentTraining:
    """Return who learns from whom, and how."""
    from edgesim.nn.distill.student_training import StudentTraining
    from edgesim.nn.distill.teacher_outputs import Teacher
    from edgesim.nn.train.cache import NetworkCache

    return StudentTraining(
        builder=options.student,
        teacher=Teacher(context.network, context.network_key, context.filter_layer),
        dataset=context.dataset,
        distillation=options.distillation(),
        training=options.training,
        seed=context.seed,
        progress=context.progress,
        cache=NetworkCache.default(),
        objective=options.objective,
        survivors=survivors,
        missing=options.objective.stand_in("mean" if options.missing == "mean" else "zeros")
        if isinstance(options.objective, LossAware)
        else "zeros",
    )


def _train(
    setup: StudentTraining, options: DistilledStudents, replication: Replication, partition: Partition
) -> TrainedStudents:
    from edgesim.nn.distill.students import train_students

    return train_students(
        setup,
        partition,
        n_students=replication.n_parts if replication.is_identical else options.students,
        fitting=options.fitting,
        denominator=replication.denominator,
    )


def facts_of_students(
    ensemble: StudentEnsemble, placed: list[tuple[str, Any]], network_of: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Return what a reader should know of each student."""
    return [
        {
            **student_facts(device_id, ensemble.students[index], cost),
            "part": ensemble.part_of[index],
            "n_features": ensemble.part_sizes[ensemble.part_of[index]],
        }
        for (device_id, cost), index in zip(placed, network_of, strict=True)
    ]


def partition_facts(
    partition: Partition, affinity: NDArray[np.float64], activities: NDArray[np.float32]
) -> dict[str, Any]:
    """Return sizes of parts, and what of the affinity was cut."""
    from edgesim.nn.parts.cuts import cut_ratio, modularity
    from edgesim.nn.parts.filters import CoActivation

    return {
        "part_sizes": list(partition.sizes),
        "imbalance": partition.imbalance,
        "n_filters": partition.n_filters,
        "dropped_filters": list(partition.dropped),
        "cut_ratio": cut_ratio(partition, affinity),
        "modularity": modularity(partition, affinity),
        "lost_correlation": cut_ratio(partition, CoActivation().affinity(activities)),
        "notes": list(partition.notes),
    }
