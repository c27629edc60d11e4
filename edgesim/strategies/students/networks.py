"""What strategies with student networks share: the plan, and the answer for the students that arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.networks.partition import Denominator, replica_weights, stand_in_weights
from edgesim.domain.plan import Compute, LayerWork, Plan, Step, Transfer
from edgesim.domain.system.selection import is_selected
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import answer_steps, received_answers, require_delivered
from edgesim.strategies.students.kernels import MERGE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext, Kernel


@dataclass(frozen=True, slots=True)
class Workload:
    """What one network asks of its device.

    Parameters
    ----------
    work : its layers, in order.
    weight_byte : parameters and buffers, in byte.
    activation_byte : peak of its activations, in byte.
    output_byte : what it gives, in byte.
    """

    work: tuple[LayerWork, ...]
    weight_byte: int
    activation_byte: int
    output_byte: int


def matching_devices(topology: Topology, pattern: str, n_students: int) -> tuple[str, ...]:
    """Return the device of each student: those that match a glob pattern, in the order of the topology.

    Raises
    ------
    PlanError
        When their number is not that of the students.
    """
    found = tuple(device_id for device_id in topology.device_of if is_selected(device_id, pattern))
    if len(found) != n_students:
        remedy = f"set students: {len(found)}, or " if found else ""
        raise PlanError(
            f"{n_students} students need {n_students} devices, but {pattern!r} matches {len(found)} of "
            f"{', '.join(sorted(topology.device_of))}; {remedy}give a pattern that matches {n_students}"
        )
    return found


def workload_of(network: nn.Module, inputs: Inputs | tuple[int, ...]) -> Workload:
    """Count a network that gives a vector."""
    from edgesim.nn.cost.layers import graph_work, measure

    graph = measure(network, inputs)
    return Workload(graph_work(graph), graph.weight_byte, graph.peak_activation_byte, graph.layers[-1].output_byte)


def student_facts(device_id: str, network: nn.Module, cost: Workload) -> dict[str, Any]:
    """Return what a reader of the results should know about one student."""
    return {
        "device": device_id,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weight_byte": cost.weight_byte,
        "work_flop": sum(layer.work_flop for layer in cost.work),
        "output_byte": cost.output_byte,
    }


def teacher_facts(context: DeploymentContext) -> dict[str, float]:
    """Return the main scores of the network that the students learnt from."""
    from edgesim.nn.train.training import scored

    dataset = context.dataset
    return {
        f"teacher_{name}_{dataset.task.scores[0].name}": scored(context.network, split, dataset.task)
        for name, split in (("validation", dataset.validation), ("test", dataset.test))
    }


def devices_of_students(context: DeploymentContext, pattern: str, n_students: int, merger_id: str) -> tuple[str, ...]:
    """Return the device of each student, with a route from the source and one to the merger; see `matching_devices`.

    Raises
    ------
    PlanError
        When their number is not that of the students, or devices that must talk have no route.
    """
    topology = context.topology
    found = matching_devices(topology, pattern, n_students)
    for device_id in found:
        topology.route(context.source_id, device_id)
        topology.route(device_id, merger_id)
    topology.route(merger_id, context.sink_id)
    return found


def student_plan(
    context: DeploymentContext,
    placed: Sequence[tuple[str, Workload]],
    merger_id: str,
    head: Workload,
    deadline_s: float | None,
    *,
    alternatives: Sequence[Sequence[int]] = (),
    messages: Messages = AS_COMPUTED,
) -> tuple[Plan, tuple[frozenset[str], ...]]:
    """Return the plan of one inference, and for each student the transfers without which it does not count.

    The source sends the whole input to every student; each computes on its own and sends its features to the merger, which runs
    the head on what is there and sends the logits to the sink. Nothing is sent between two steps on one device.

    Parameters
    ----------
    context : says where the input is, how large it is, and where the answer is wanted.
    placed : the device and the workload of each student.
    merger_id : where the head runs.
    head : workload of the linear head.
    deadline_s : how long the merger waits, see `edgesim.domain.plan.Compute`; None: until everything is there.
    alternatives : groups of students, by number, that give the same: the merger waits for the first of each.
    messages : how numbers are written in them.
    """
    steps: list[Step] = []
    needs: list[frozenset[str]] = []
    weights = {merger_id: head.weight_byte}
    gathered: list[str] = []
    for number, (device_id, student) in enumerate(placed):
        chain = _student_steps(context, number, (device_id, student), merger_id, messages)
        steps += chain
        needs.append(frozenset(step.step_id for step in chain if isinstance(step, Transfer)))
        gathered.append(chain[-1].step_id)
        weights[device_id] = weights.get(device_id, 0) + student.weight_byte
    merge = Compute(
        MERGE_ID,
        merger_id,
        head.work,
        tuple(gathered),
        activation_byte=head.activation_byte,
        on_missing="wait" if deadline_s is None else "degrade",
        deadline_s=deadline_s,
        alternatives=tuple(tuple(gathered[number] for number in group) for group in alternatives),
    )
    steps += [merge, *answer_steps(context, merge, head.output_byte, messages)]
    return Plan(tuple(steps), steps[-1].step_id, weights), tuple(needs)


def _student_steps(
    context: DeploymentContext, number: int, placed: tuple[str, Workload], merger_id: str, messages: Messages
) -> list[Step]:
    """Return input, computation and features of one student, without transfers that stay on a device."""
    device_id, student = placed
    compute_id, input_id = f"student {number} on {device_id}", f"input->{device_id}"
    has_input = device_id == context.source_id
    steps: list[Step] = []
    if not has_input:
        size_byte = messages.byte_of_inputs(context.graph.input_byte, context.dataset.inputs)
        steps.append(Transfer(input_id, context.source_id, device_id, size_byte, "input", "input"))
    inputs = () if has_input else (input_id,)
    steps.append(Compute(compute_id, device_id, student.work, inputs, activation_byte=student.activation_byte))
    if device_id != merger_id:
        tensor = f"features of student {number}"
        features_id = f"features {device_id}->{merger_id}"
        size_byte = messages.byte_of(student.output_byte, student.output_byte // 4)
        steps.append(Transfer(features_id, device_id, merger_id, size_byte, tensor, "result", (compute_id,)))
    return steps


@dataclass(frozen=True, slots=True, eq=False)
class StudentDeployment:
    """Student networks on their devices; holds numbers only, no networks.

    Parameters
    ----------
    plan : the steps of one inference.
    contributions : what each student adds to the answer to each test sample when it alone stands for its part, shape
        (students, n, numbers of an answer).
    bias : of the head, shape (*output).
    part_of : the part of each student.
    needs : the transfers without which a student does not count.
    required : the transfers without which there is no answer.
    facts : what `describe` returns.
    denominator : what the sum over the arrived students of a part is divided by.
    stand_ins : what the mean output of each student adds to the answer when it stands in for its part, shape (students, numbers of an
        answer); None for zeros.
    messages : how numbers are written in them; what they hold is in the contributions, but for the answer.
    here : makes the kernels.
    """

    plan: Plan
    contributions: NDArray[np.float32]
    bias: NDArray[np.float32]
    part_of: tuple[int, ...]
    needs: tuple[frozenset[str], ...]
    required: tuple[str, ...]
    facts: dict[str, Any]
    denominator: Denominator = "arrived"
    stand_ins: NDArray[np.float32] | None = None
    messages: Messages = AS_COMPUTED
    here: Here = field(default_factory=Here)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split: the mean over the students of each part; zeros or `stand_ins` where none arrived.

        A student counts if its input and its features arrived.

        Raises
        ------
        PlanError
            When the answer itself did not arrive at the sink.
        """
        require_delivered(self.required, delivery)
        return self.answers([delivery.are_whole(needed) for needed in self.needs])

    def answers(self, arrived: Sequence[bool]) -> NDArray[np.float32]:
        """Return the answers of the students that arrived."""
        import numpy as np

        weights = np.array(replica_weights(self.part_of, arrived, self.denominator), dtype=np.float32)
        n_students, n_samples = self.contributions.shape[:2]
        summed = weights @ self.contributions.reshape(n_students, -1)
        answers: NDArray[np.float32] = summed.reshape(n_samples, *self.bias.shape)
        answers += self.constant(arrived)
        return received_answers(self.plan, self.messages, answers)

    def constant(self, arrived: Sequence[bool]) -> NDArray[np.float32]:
        """Return what is added to every answer: the bias of the head, and what stands in for lost parts."""
        import numpy as np

        if self.stand_ins is None:
            return self.bias
        absent = np.array(stand_in_weights(self.part_of, arrived, self.denominator), dtype=np.float32)
        constant: NDArray[np.float32] = self.bias + (absent @ self.stand_ins).reshape(self.bias.shape)
        return constant

    def describe(self) -> dict[str, Any]:
        """Return parameters and weights of each student, sizes of parts, dropped filters, and accuracies without losses."""
        return self.facts
