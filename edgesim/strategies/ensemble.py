"""A plain ensemble: one small network for the whole task on each device, and the mean of what they answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.networks.objective import Objective
from edgesim.domain.networks.training import Distillation, Training
from edgesim.domain.plan import LayerWork
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.interfaces import ModelBuilder
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.objectives.distillation import JointDistillation
from edgesim.plugins import Plugin
from edgesim.strategies.ends import check_gradients, kernels_here, known_device
from edgesim.strategies.students.attacked import attackable
from edgesim.strategies.students.distilled import check_objective
from edgesim.strategies.students.kernels import student_kernels
from edgesim.strategies.students.networks import (
    StudentDeployment,
    Workload,
    devices_of_students,
    matching_devices,
    student_facts,
    student_plan,
    teacher_facts,
    workload_of,
)
from edgesim.strategies.students.sent import SentStudents
from edgesim.strategies.students.validation import validation_facts
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext, Kernel


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Small networks that each answer the whole question; the answers of those that arrive are averaged.

    The control for all methods that divide knowledge: as many students of the same architecture, none of which is needed. They are
    trained one by one, with the teacher's answers and the labels (alpha 0: labels alone), and differ in initialisation and
    order of samples. Each device sends 4 byte per number of its answer to the merger; in a classification these are the logits of the classes.

    Parameters
    ----------
    students : number of networks; as many devices must match.
    devices : pattern of the devices that run them, one each, in the order of the topology.
    merger : device that averages; the sink by default.
    deadline_s : how long the merger waits for answers, from the release of the request, or from the end of its own network if
        it has one; without a deadline it waits until everything is there, for ever if something is lost.
    student : their architecture.
    temperature : T of the loss 2 alpha T^2 mean(p_T log(p_T / p_S)) + (1 - alpha) CE, p the softmax of logits / T.
    alpha : weight of the teacher's answer in the loss against that of the label.
    training : of each.
    objective : what each student learns from a batch: ``distillation``, or under attack ``adversarial``, ``ard`` or ``rslad``; see
        `edgesim list objectives`.
    messages : how numbers are written in all messages, `dtype` ``float32``, ``float16`` or ``int8``; see `edgesim.domain.networks.messages.Messages`.

    Formula
    -------
    Logits = mean over the students that arrived of their logits. Traffic = students x input + students x 4 byte x
    classes.

    Validity
    --------
    Each student needs capacity for the whole task; where students are tiny, methods that divide knowledge may be
    better before losses begin.

    References
    ----------
    B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, NIPS
    2017, arXiv 1612.01474, averages probabilities; we average logits, which keeps the merger linear.
    """

    students: Annotated[int, Ge(1)] = 8
    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None
    student: Annotated[ModelBuilder, Plugin("models")] = SmallCNN(channels=(8, 16), pool_after=1)  # noqa: RUF009 - frozen
    temperature: Annotated[float, Gt(0)] = 4.0
    alpha: Annotated[float, Ge(0), Le(1)] = 0.9
    training: Training = Training(epochs=40)  # noqa: RUF009 - frozen
    objective: Annotated[Objective, Plugin("objectives")] = JointDistillation()  # noqa: RUF009 - frozen
    messages: Messages = AS_COMPUTED

    def check(self, topology: Topology) -> None:
        """Refuse a number of devices that is not that of the students."""
        matching_devices(topology, self.devices, self.students)
        check_objective(self.objective, self.training, "alone")

    def check_attack(self) -> None:
        """Refuse attacks on messages that are rounded."""
        check_gradients(self.messages)

    def deploy(self, context: DeploymentContext) -> StudentDeployment:
        """Train or load the networks, and place them.

        Raises
        ------
        PlanError
            When devices and students do not match.
        """
        import numpy as np

        from edgesim.nn.distill.ensembles import MeanOfNetworks
        from edgesim.nn.distill.independent import train_whole_students
        from edgesim.nn.distill.student_training import StudentTraining
        from edgesim.nn.distill.teacher_outputs import Teacher
        from edgesim.nn.train.cache import NetworkCache

        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        device_ids = devices_of_students(context, self.devices, self.students, merger_id)
        if context.attack is not None:
            self.check_attack()
        dataset = context.dataset
        setup = StudentTraining(
            builder=self.student,
            teacher=Teacher(context.network, context.network_key, context.filter_layer),
            dataset=dataset,
            distillation=Distillation(self.temperature, self.alpha),
            training=self.training,
            seed=context.seed,
            progress=context.progress,
            cache=NetworkCache.default(),
            objective=self.objective,
        )
        members = train_whole_students(setup, n_students=self.students)
        networks = [network for network, _, _ in members]
        placed = [
            (device_id, workload_of(network, dataset.inputs))
            for device_id, network in zip(device_ids, networks, strict=True)
        ]
        plan, needs = student_plan(
            context, placed, merger_id, _mean(self.students, dataset.task.output.size), self.deadline_s,
            messages=self.messages,
        )  # fmt: skip
        numbers = tuple(range(self.students))
        sent = SentStudents(networks, numbers, device_ids, context.source_id, merger_id, self.messages)
        answers = np.stack(sent.features(dataset.test.inputs))
        seen = np.stack(sent.features(dataset.validation.inputs))
        score = dataset.task.scores[0]
        facts = {
            "students": [
                {**student_facts(device_id, network, cost), f"test_{score.name}": metrics[f"test_{score.name}"]}
                for (device_id, cost), (network, _, metrics) in zip(placed, members, strict=True)
            ],
            **teacher_facts(context),
            f"validation_{score.name}": score.of(seen.mean(axis=0), dataset.validation.targets),
            f"test_{score.name}": score.of(answers.mean(axis=0), dataset.test.targets),
            "networks_keys": [key for _, key, _ in members],
        }
        bias = np.zeros(dataset.task.output.shape, dtype=np.float32)
        part_of = (0,) * self.students

        def merging(inputs: Sequence[str], goals: Sequence[str]) -> Kernel:
            from edgesim.nn.kernels.students import MergeKernel

            return MergeKernel(inputs, goals, part_of=part_of, part_sizes=(bias.size,), bias=bias)

        on_validation = StudentDeployment(
            plan=plan,
            contributions=seen,
            bias=bias,
            part_of=part_of,
            needs=needs,
            required=tuple(sorted(plan.transfer_ids.difference(*needs))),
            facts=facts,
            messages=self.messages,
            here=kernels_here(
                plan, self.messages, lambda: student_kernels(plan, networks, list(dataset.inputs), merging)
            ),
        )
        reached = validation_facts(on_validation.answers, self.students, dataset)
        deployment = replace(on_validation, contributions=answers, facts={**facts, **reached})
        return attackable(
            deployment, context, MeanOfNetworks(networks), numbers, lambda inputs: np.stack(sent.features(inputs))
        )


def _mean(n_students: int, n_numbers: int) -> Workload:
    """Count the mean of the answers: an addition per student and number of an answer, and a division per number."""
    moved_byte = 4.0 * (n_students + 1) * n_numbers
    work = LayerWork("mean", "other", float((n_students + 1) * n_numbers), moved_byte)
    return Workload((work,), 0, 4 * (n_students + 1) * n_numbers, 4 * n_numbers)
