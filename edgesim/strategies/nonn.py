"""NoNN: one small student network on each device, each distilled from a part of the teacher's filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from edgesim.domain.topology import DeviceGlob, DeviceId
from edgesim.domain.training import Distillation, Training
from edgesim.interfaces import ModelBuilder, Partitioner
from edgesim.nn.partition import Louvain
from edgesim.nn.zoo import SmallCNN
from edgesim.registry import Plugin
from edgesim.strategies.ends import known_device
from edgesim.strategies.student_networks import (
    StudentDeployment,
    Workload,
    devices_of_students,
    matching_devices,
    student_plan,
)
from edgesim.units import Seconds

if TYPE_CHECKING:
    from torch import nn

    from edgesim.domain.partition import Partition
    from edgesim.domain.topology import Topology
    from edgesim.interfaces import DeploymentContext
    from edgesim.nn.students import TrainedStudents


@dataclass(frozen=True, slots=True)
class NoNN:
    """Student networks, one per device, that each know a part of the teacher's filters and never talk to each other.

    The activities of the filters of the teacher's last convolution on the validation split make a graph
    (`edgesim.nn.filters.hub_affinity`); a partitioner divides it into as many parts as there are students. Student i answers
    with one number per filter of part i; the merging device concatenates these, zeros where nothing arrived, and a linear head
    makes logits of them. Students and head are trained together as one network with the loss of
    `edgesim.domain.training.Distillation`.

    In one inference the source sends the whole input to every student's device, and each device sends 4 byte per filter of its
    part to the merger. A student counts if its input and its features arrived in time.

    Parameters
    ----------
    students : number of students and of parts; as many devices must match.
    devices : glob pattern of the devices that run students, one each, in the order of the topology.
    merger : device that runs the head; the sink by default.
    deadline_s : how long the merger waits for students, from the release of the request, or from the end of its own student if
        it has one; without a deadline it waits until everything is there, for ever if something is lost.
    student : architecture of a student.
    partitioner : divides the filters.
    temperature, alpha, beta, normalised_over : of the loss; see `edgesim.domain.training.Distillation`.
    training : of students and head.

    Notes
    -----
    Differs from the authors' code: epochs are selected on validation data instead of test data; AdamW with a falling learning
    rate and few epochs instead of SGD for 200 epochs, which suits small data sets; the filter graph is the paper's, without the
    code's thresholds. Temperature 4, alpha 0.9 and beta 10,000 are the code's. What happens when a student is lost is not in the paper;
    zeros in its place are the natural reading.

    References
    ----------
    K. Bhardwaj, C.-Y. Lin, A. Sartor, R. Marculescu, Memory- and Communication-Aware Model Compression for Distributed Deep
    Learning Inference on IoT, ACM TECS 18(5s), 2019, arXiv 1907.11804.
    """

    students: Annotated[int, Ge(1)] = 8
    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None
    student: Annotated[ModelBuilder, Plugin("models")] = SmallCNN(channels=(8, 16), pool_after=1)  # noqa: RUF009 - frozen
    partitioner: Annotated[Partitioner, Plugin("partitioners")] = Louvain()  # noqa: RUF009 - frozen
    temperature: Annotated[float, Gt(0)] = 4.0
    alpha: Annotated[float, Ge(0), Le(1)] = 0.9
    beta: Annotated[float, Ge(0)] = 10000.0
    normalised_over: Literal["whole", "part"] = "whole"
    training: Training = Training(epochs=40)  # noqa: RUF009 - frozen

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when the devices that match are not as many as the students."""
        matching_devices(topology, self.devices, self.students)

    def deploy(self, context: DeploymentContext) -> StudentDeployment:
        """Divide the filters, train or load the students, and place them.

        Raises
        ------
        PlanError
            When devices and students do not match, or the teacher has fewer filters than there are students.
        """
        from edgesim.nn.activations import filter_activities
        from edgesim.nn.cache import NetworkCache
        from edgesim.nn.filters import hub_affinity
        from edgesim.nn.students import Teacher, contributions, train_students
        from edgesim.rng import generator

        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        device_ids = devices_of_students(context, self.devices, self.students, merger_id)
        dataset = context.dataset
        activities = filter_activities(context.network, context.last_conv, dataset.validation.inputs)
        partition = self.partitioner.partition(
            hub_affinity(activities), self.students, generator(context.seed, "partition")
        )
        teacher = Teacher(context.network, context.network_key, context.last_conv)
        trained = train_students(
            self.student,
            teacher,
            partition,
            dataset,
            n_students=self.students,
            distillation=Distillation(self.temperature, self.alpha, self.beta, self.normalised_over),
            training=self.training,
            seed=context.seed,
            progress=context.progress,
            cache=NetworkCache.default(),
        )
        ensemble = trained.ensemble
        networks = [_workload(network, dataset.input_shape) for network in ensemble.students]
        head = _workload(ensemble.head, (ensemble.head.in_features,))
        placed = tuple(zip(device_ids, networks, strict=True))
        plan, needs = student_plan(context, placed, merger_id, head, self.deadline_s)
        return StudentDeployment(
            plan=plan,
            contributions=contributions(ensemble, dataset.test.inputs),
            bias=ensemble.head.bias.detach().numpy(),
            part_of=ensemble.part_of,
            needs=needs,
            required=tuple(sorted(plan.all_delivered.difference(*needs))),
            facts=_facts(context, device_ids, networks, partition, trained),
        )


def _workload(network: nn.Module, input_shape: tuple[int, ...]) -> Workload:
    """Count a network that gives a vector."""
    from edgesim.nn.cost import graph_work, measure

    graph = measure(network, input_shape)
    return Workload(graph_work(graph), graph.weight_byte, graph.peak_activation_byte, graph.layers[-1].output_byte)


def _facts(
    context: DeploymentContext,
    device_ids: tuple[str, ...],
    networks: list[Workload],
    partition: Partition,
    trained: TrainedStudents,
) -> dict[str, Any]:
    from edgesim.nn.training import accuracy, logits

    ensemble, dataset = trained.ensemble, context.dataset
    students = [
        {
            "device": device_id,
            "part": part,
            "n_features": partition.sizes[part],
            "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
            "weight_byte": cost.weight_byte,
            "work_flop": sum(layer.work_flop for layer in cost.work),
        }
        for device_id, part, network, cost in zip(
            device_ids, ensemble.part_of, ensemble.students, networks, strict=True
        )
    ]
    return {
        "students": students,
        "part_sizes": list(partition.sizes),
        "imbalance": partition.imbalance,
        "n_filters": partition.n_filters,
        "dropped_filters": list(partition.dropped),
        "notes": list(partition.notes),
        "teacher_validation_accuracy": accuracy(
            logits(context.network, dataset.validation.inputs), dataset.validation.labels
        ),
        "teacher_test_accuracy": accuracy(logits(context.network, dataset.test.inputs), dataset.test.labels),
        "validation_accuracy": trained.metrics["validation_accuracy"],
        "test_accuracy": trained.metrics["test_accuracy"],
        "networks_key": trained.key,
    }
