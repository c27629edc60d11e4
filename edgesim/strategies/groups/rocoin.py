"""Groups of devices that each run one student: which student goes to which group, and the first answer of each group (RoCoIn)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le, Len, Lt

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.networks.training import Training
from edgesim.domain.plan import Compute
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.interfaces import FilterGraph, ModelBuilder, Partitioner
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.parts.filters import CoActivation
from edgesim.nn.parts.spectral import MultiEigenvector
from edgesim.plugins import Plugin
from edgesim.strategies.ends import check_gradients, kernels_here, known_device
from edgesim.strategies.groups.grouping import assigned, groups_of
from edgesim.strategies.layers.chain import message_time_s
from edgesim.strategies.students.attacked import attackable
from edgesim.strategies.students.distilled import (
    DistilledStudents,
    check_objective,
    divide,
    facts_of_students,
    partition_facts,
    setup_of,
)
from edgesim.strategies.students.kernels import student_kernels
from edgesim.strategies.students.networks import (
    StudentDeployment,
    devices_of_students,
    student_plan,
    teacher_facts,
    workload_of,
)
from edgesim.strategies.students.sent import SentStudents
from edgesim.strategies.students.validation import validation_facts
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.strategies.students.networks import Workload


@dataclass(frozen=True, slots=True)
class RoCoIn:
    """Group devices that run the same student, so that one of each group is there with high probability; its first answer counts.

    The filters of the teacher are divided into as many parts as there are groups, and a student is distilled for each part. Which group runs which
    student is chosen so that the slowest group answers soonest, each group being as fast as the fastest of its devices; a student that does not fit the
    memory of all devices of a group goes to another. The merger waits for the first features of each part, concatenates them, zeros where nothing came, and a
    linear head makes the answer.

    Parameters
    ----------
    devices : pattern of the devices that run students, one each.
    merger : device that runs the head; the sink by default.
    deadline_s : how long the merger waits for students, from the release of the request, or from the end of its own student if
        it has one; without a deadline it waits until a student of each part is there, for ever if all of a group are lost.
    probabilities : that a device fails, of each device in the order of the topology; one alone is that of all.
    most_lost : probability with which all devices of a group may fail together, at most; it decides how many groups there are.
    sizes : architectures of students, dealt out over the parts in order: of G parts and K sizes part m has size m K / G, rounded down.
    graph : which filters belong together.
    partitioner : divides the filters.
    temperature : T of the loss beta L_act + 2 alpha T^2 mean(p_T log(p_T / p_S)) + (1 - alpha) CE, p the softmax of logits / T.
    alpha : weight of the teacher's answer in the loss against that of the label.
    beta : weight of L_act, the mean squared difference between the students' features and the activities of the teacher's filters.
    training : of students and head, together.
    missing : what stands in for the features of a part of which nothing arrived: ``zeros``, or their ``mean`` on the validation split.
    messages : how numbers are written in all messages, `dtype` ``float32``, ``float16`` or ``int8``; see `edgesim.domain.networks.messages.Messages`.

    Formula
    -------
    Groups: product over the devices of a group of their probabilities <= most_lost. Latency = max over groups of the min over its devices of (input +
    computing + features). Traffic = devices x input + sum over devices of 4 byte x filters of their part.

    Validity
    --------
    Failures are taken as independent. The probabilities are those of the option, not of the scenario's failures. Accuracies are of networks that are trained here.

    Notes
    -----
    Assumed, since the paper's own text could not be had: the rule of the groups (see `edgesim.strategies.groups.grouping.groups_of`), equal parts by
    a normalised-cut embedding, that sizes are dealt out and not searched for, and that the slowest group counts in the assignment.

    References
    ----------
    RoCoIn, 2024, arXiv:2406.14185: groups by joint failure probability, students matched to groups by Kuhn and Munkres' method, the same student in a group. Unlike
    ``resilient`` copies are not averaged.
    """

    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None
    probabilities: Annotated[tuple[Annotated[float, Ge(0), Lt(1)], ...], Len(1)] = (0.1,)
    most_lost: Annotated[float, Gt(0), Lt(1)] = 0.01
    sizes: Annotated[tuple[Annotated[ModelBuilder, Plugin("models")], ...], Len(1)] = (
        SmallCNN(channels=(8, 16), pool_after=1),
    )
    graph: Annotated[FilterGraph, Plugin("filter-graphs")] = CoActivation()  # noqa: RUF009 - frozen
    partitioner: Annotated[Partitioner, Plugin("partitioners")] = MultiEigenvector()  # noqa: RUF009 - frozen
    temperature: Annotated[float, Gt(0)] = 4.0
    alpha: Annotated[float, Ge(0), Le(1)] = 0.9
    beta: Annotated[float, Ge(0)] = 10000.0
    training: Training = Training(epochs=40)  # noqa: RUF009 - frozen
    missing: Literal["zeros", "mean"] = "zeros"
    messages: Messages = AS_COMPUTED

    def check(self, topology: Topology) -> None:
        """Refuse probabilities that are not those of the devices, and those with which no group is reliable enough."""
        self.groups(topology)
        check_objective(self._options(1).objective, self.training, "joint")

    def groups(self, topology: Topology) -> tuple[tuple[int, ...], ...]:
        """Return the groups, by position of the devices that match. Raises `PlanError` when there are none."""
        n_devices = sum(is_selected(name, self.devices) for name in topology.device_of)
        if len(self.probabilities) not in {1, n_devices}:
            raise PlanError(
                f"rocoin.probabilities: {len(self.probabilities)} for {n_devices} devices that match {self.devices!r}; give one for each, or one for all"
            )
        each = self.probabilities * n_devices if len(self.probabilities) == 1 else self.probabilities
        groups = groups_of(each, self.most_lost)
        if not groups:
            raise PlanError(
                f"rocoin.most_lost: all {n_devices} devices that match {self.devices!r} fail together with more than {self.most_lost:g}; match more "
                "devices, or allow more"
            )
        return groups

    def _options(self, n_devices: int) -> DistilledStudents:
        """Return the options that all distilled students have."""
        return DistilledStudents(
            students=n_devices, devices=self.devices, merger=self.merger, deadline_s=self.deadline_s, student=self.sizes[0],
            graph=self.graph, partitioner=self.partitioner, temperature=self.temperature, alpha=self.alpha, beta=self.beta,
            training=self.training, missing=self.missing, messages=self.messages,
        )  # fmt: skip

    @property
    def n_parts(self) -> int:
        """At least one part of the filters; how many there are follows from the topology."""
        return 1

    def check_attack(self) -> None:
        """Refuse attacks on messages that are rounded."""
        check_gradients(self.messages)

    def deploy(self, context: DeploymentContext) -> StudentDeployment:
        """Group the devices, divide the filters, train or load the students, and give each group its student.

        Raises
        ------
        PlanError
            When no groups are reliable enough, the teacher has too few filters, or a student fits no group.
        """
        from edgesim.nn.distill.ensembles import contributions
        from edgesim.nn.distill.students import train_students

        self.check(context.topology)
        if context.attack is not None:
            self.check_attack()
        groups = self.groups(context.topology)
        options = self._options(sum(map(len, groups)))
        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        device_ids = devices_of_students(context, self.devices, options.students, merger_id)
        partition, activities = divide(options, len(groups), context)
        builders = [self.sizes[part * len(self.sizes) // len(groups)] for part in range(len(groups))]
        trained = train_students(setup_of(options, context, None), partition, n_students=len(groups), builders=builders)
        ensemble, inputs = trained.ensemble, context.dataset.inputs
        counted = [workload_of(network, inputs) for network in ensemble.students]
        student_of = _assigned(context, [[device_ids[i] for i in group] for group in groups], counted, merger_id)
        group_of = {device: number for number, group in enumerate(groups) for device in group}
        network_of = tuple(student_of[group_of[device]] for device in range(options.students))
        placed = [(device_id, counted[network]) for device_id, network in zip(device_ids, network_of, strict=True)]
        plan, needs = student_plan(
            context, placed, merger_id, workload_of(ensemble.head, (ensemble.head.in_features,)), self.deadline_s,
            alternatives=[group for group in groups if len(group) > 1], messages=self.messages,
        )  # fmt: skip
        sent = SentStudents(
            list(ensemble.students), network_of, device_ids, context.source_id, merger_id, self.messages
        )

        def contribute(inputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
            return contributions(ensemble, sent.features(inputs), network_of)

        seen = contribute(context.dataset.validation.inputs)
        stand_ins = seen.mean(axis=1) if self.missing == "mean" else None
        bias = ensemble.head.bias.detach().numpy().reshape(ensemble.output)

        def merging(inputs: Sequence[str], goals: Sequence[str]) -> Kernel:
            from edgesim.nn.kernels.students import MergeKernel

            return MergeKernel(
                inputs, goals, part_of=network_of, part_sizes=ensemble.part_sizes, weight=ensemble.head.weight.detach().numpy(),
                bias=bias, means=stand_ins,
            )  # fmt: skip

        networks = [ensemble.students[index] for index in network_of]
        facts = {
            "groups": [
                {"devices": [device_ids[device] for device in group], "student": student}
                for group, student in zip(groups, student_of, strict=True)
            ],
            "students": facts_of_students(ensemble, placed, network_of),
            **partition_facts(partition, self.graph.affinity(activities), activities),
            **teacher_facts(context),
            **{name: value for name, value in trained.metrics.items() if name != "epoch"},
            "networks_key": trained.key,
        }
        on_validation = StudentDeployment(
            plan=plan, contributions=seen, bias=bias, part_of=network_of, needs=needs,
            required=tuple(sorted(plan.transfer_ids.difference(*needs))), facts=facts, stand_ins=stand_ins, messages=self.messages,
            here=kernels_here(plan, self.messages, lambda: student_kernels(plan, networks, list(inputs), merging)),
        )  # fmt: skip
        reached = validation_facts(on_validation.answers, options.students, context.dataset)
        deployment = replace(
            on_validation, contributions=contribute(context.dataset.test.inputs), facts={**facts, **reached}
        )
        return attackable(deployment, context, ensemble, network_of, contribute)


def _assigned(
    context: DeploymentContext, groups: Sequence[Sequence[str]], students: Sequence[Workload], merger_id: str
) -> tuple[int, ...]:
    """Return the student of each group. Raises `PlanError` when they fit in no way."""
    import numpy as np

    found = assigned(
        np.array([[_latency_s(context, group, student, merger_id) for student in students] for group in groups])
    )
    if found is None:
        raise PlanError(
            "rocoin.sizes: the students do not fit the memory of the groups' devices in any way; give smaller sizes, or more memory"
        )
    return found


def _latency_s(context: DeploymentContext, group: Sequence[str], student: Workload, merger_id: str) -> float:
    """Return when the first device of a group has its features at the merger if nothing waits; infinite where one lacks the memory."""
    topology, times_s = context.topology, []
    for device_id in group:
        profile = topology.device_of[device_id].profile
        if student.weight_byte + student.activation_byte > profile.memory_byte:
            return float("inf")
        times_s.append(
            message_time_s(topology, context.source_id, device_id, context.graph.input_byte)
            + context.compute.duration_s(Compute("student", device_id, student.work), profile)
            + message_time_s(topology, device_id, merger_id, student.output_byte)
        )
    return min(times_s)
