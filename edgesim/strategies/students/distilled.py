"""What NoNN and the resilient variant share: options, and the way from a teacher to students on devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.partition import Denominator
from edgesim.domain.networks.training import Distillation, Objective, Training
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.interfaces import FilterGraph, ModelBuilder, Partitioner
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.parts.filters import ActivationHubs
from edgesim.nn.parts.partition import Louvain
from edgesim.plugins import Plugin
from edgesim.strategies.ends import known_device
from edgesim.strategies.students.attacked import attackable
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
from edgesim.units import Seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.partition import Partition
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext
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
    survival: Annotated[float, Gt(0), Le(1)] = 1.0
    fitting: Literal["joint", "independent"] = "joint"
    training: Training = Training(epochs=40)  # noqa: RUF009 - frozen
    missing: Literal["zeros", "mean", "learned"] = "zeros"
    objective: Objective = "distillation"
    attack: Attack = Attack()  # noqa: RUF009 - frozen

    @property
    def n_parts(self) -> int:
        """Into how many parts the filters are divided."""
        return self.students

    def check(self, topology: Topology) -> None:
        """Refuse a number of devices that is not that of the students."""
        matching_devices(topology, self.devices, self.students)
        check_objective(self.objective, self.training, self.fitting)
        check_missing(self.missing, n_parts=self.n_parts)

    def followed(self) -> DistilledStudents:
        """Return the options with what a recipe stands for put in its place."""
        return self

    def distillation(self) -> Distillation:
        """Return the options of the loss."""
        return Distillation(
            self.temperature, self.alpha, self.beta, self.normalised_over, self.survival, self.objective, self.attack
        )


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
) -> StudentDeployment:
    """Divide the filters, train or load the students, and place them.

    Raises
    ------
    PlanError
        When devices and students do not match, or the teacher has fewer filters than there are parts.
    """
    from edgesim.nn.distill.ensembles import contributions
    from edgesim.nn.distill.stand_ins import train_stand_ins

    merger_id = known_device(context, "merger", context.sink_id if options.merger is None else options.merger)
    device_ids = devices_of_students(context, options.devices, options.students, merger_id)
    partition, activities = divide(options, replication.n_parts, context)
    if options.missing == "learned" and context.attack is not None:
        raise PlanError(
            "students with missing: learned cannot be attacked yet; take missing: mean, or leave out evaluation.attack"
        )
    setup = _setup(options, context)
    trained = _train(setup, options, replication, partition)
    ensemble = trained.ensemble
    # the network that runs on each device; copies are counted each time, since each device holds its own
    network_of = tuple(index % len(ensemble.students) for index in range(options.students))
    counted = [workload_of(network, context.dataset.inputs) for network in ensemble.students]
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
    )
    given = contributions(ensemble, context.dataset.test.inputs)
    stand_ins = None
    if options.missing == "mean":
        stand_ins = contributions(ensemble, context.dataset.validation.inputs).mean(axis=1)[list(network_of)]
    facts = {
        "students": _students(ensemble, placed, network_of),
        **_partition_facts(partition, options.graph.affinity(activities), activities),
        **teacher_facts(context),
        **{name: value for name, value in trained.metrics.items() if name != "epoch"},
        "networks_key": trained.key,
    }
    deployment = StudentDeployment(
        plan=plan,
        contributions=given[list(network_of)],
        bias=ensemble.head.bias.detach().numpy().reshape(ensemble.output),
        part_of=tuple(ensemble.part_of[index] for index in network_of),
        needs=needs,
        required=tuple(sorted(plan.transfer_ids.difference(*needs))),
        facts=facts,
        denominator=replication.denominator,
        stand_ins=stand_ins,
    )
    if stand_in is not None:
        return learned(deployment, stand_in, trained, network_of, context.dataset.test)
    return attackable(
        deployment,
        context,
        ensemble,
        network_of,
        lambda inputs: contributions(ensemble, inputs)[list(network_of)],
    )


def check_objective(objective: Objective, training: Training, fitting: str = "joint") -> None:
    """Refuse students that would be attacked otherwise than it seems.

    Raises
    ------
    PlanError
        When the training has an attack, or students that learn each for itself, with a head that is fitted afterwards, an objective with one.
    """
    if training.attack is not None:
        raise PlanError(
            "training.attack is for the network of the workload; students are attacked by `objective` and `attack` of the strategy"
        )
    if objective != "distillation" and fitting == "independent":
        raise PlanError(
            f"objective {objective} attacks through all students and the head, which learn apart with fitting: independent; leave one of both out"
        )


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


def _setup(options: DistilledStudents, context: DeploymentContext) -> StudentTraining:
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


def _students(
    ensemble: StudentEnsemble, placed: list[tuple[str, Any]], network_of: tuple[int, ...]
) -> list[dict[str, Any]]:
    return [
        {
            **student_facts(device_id, ensemble.students[index], cost),
            "part": ensemble.part_of[index],
            "n_features": ensemble.part_sizes[ensemble.part_of[index]],
        }
        for (device_id, cost), index in zip(placed, network_of, strict=True)
    ]


def _partition_facts(
    partition: Partition, affinity: NDArray[np.float64], activities: NDArray[np.float32]
) -> dict[str, Any]:
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
