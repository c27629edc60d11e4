"""What strategies with student networks share: the plan, and the answer for the students that arrived."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from edgesim.domain.plan import Compute, LayerWork, Plan, Step, Transfer
from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.topology import Topology


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


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything runs.

    Parameters
    ----------
    source_id, sink_id : where the input is, and where the answer is wanted.
    merger_id : where the head runs.
    device_ids : the device of each student.
    """

    source_id: str
    sink_id: str
    merger_id: str
    device_ids: tuple[str, ...]


def place(
    topology: Topology, pattern: str, n_students: int, *, source_id: str, sink_id: str, merger_id: str | None
) -> Placement:
    """Return the placement of one student on each device that matches a glob pattern, in the order of the topology.

    Raises
    ------
    PlanError
        When their numbers differ, the merger is not there, or devices that must talk have no route.
    """
    merger_id = sink_id if merger_id is None else merger_id
    if merger_id not in topology.device_of:
        raise PlanError(f"merger {merger_id!r} is not a device of the topology; name one of {_listed(topology)}")
    found = tuple(device_id for device_id in topology.device_of if fnmatchcase(device_id, pattern))
    if len(found) != n_students:
        remedy = f"set students: {len(found)}, or " if found else ""
        raise PlanError(
            f"{n_students} students need {n_students} devices, but {pattern!r} matches {len(found)} of "
            f"{_listed(topology)}; {remedy}give a pattern that matches {n_students}"
        )
    for device_id in found:
        topology.route(source_id, device_id)
        topology.route(device_id, merger_id)
    topology.route(merger_id, sink_id)
    return Placement(source_id, sink_id, merger_id, found)


def student_plan(
    placement: Placement, students: Sequence[Workload], head: Workload, input_byte: int, deadline_s: float | None
) -> tuple[Plan, tuple[frozenset[str], ...]]:
    """Return the plan of one inference, and for each student the transfers without which it does not count.

    The source sends the whole input to every student; each computes on its own and sends its features to the merger, which runs
    the head on what is there and sends the logits to the sink. Nothing is sent between two steps on one device.

    Parameters
    ----------
    placement : where everything runs.
    students : workload of each student.
    head : workload of the linear head.
    input_byte : one input sample, in byte.
    deadline_s : how long the merger waits, see `edgesim.domain.plan.Compute`; None: until everything is there.
    """
    steps: list[Step] = []
    needs: list[frozenset[str]] = []
    weights: dict[str, int] = {placement.merger_id: head.weight_byte}
    gathered: list[str] = []
    for number, (device_id, student) in enumerate(zip(placement.device_ids, students, strict=True)):
        sent: list[str] = []
        if device_id != placement.source_id:
            sent.append(f"input->{device_id}")
            steps.append(Transfer(sent[0], placement.source_id, device_id, input_byte, "the input", "input"))
        compute_id = f"student {number} on {device_id}"
        steps.append(Compute(compute_id, device_id, student.work, tuple(sent), activation_byte=student.activation_byte))
        weights[device_id] = weights.get(device_id, 0) + student.weight_byte
        gathered.append(compute_id)
        if device_id != placement.merger_id:
            gathered[-1] = f"features {device_id}->{placement.merger_id}"
            sent.append(gathered[-1])
            steps.append(
                Transfer(
                    gathered[-1], device_id, placement.merger_id, student.output_byte,
                    f"features of student {number}", "result", (compute_id,),
                )
            )  # fmt: skip
        needs.append(frozenset(sent))
    merge = Compute(
        "merge",
        placement.merger_id,
        head.work,
        tuple(gathered),
        activation_byte=head.activation_byte,
        on_missing="wait" if deadline_s is None else "degrade",
        deadline_s=deadline_s,
    )
    steps += [merge, *_delivery(placement, head)]
    last = steps[-1]
    return Plan(tuple(steps), last.step_id, weights), tuple(needs)


def _delivery(placement: Placement, head: Workload) -> list[Step]:
    """Return the steps that bring the logits to the sink."""
    merger_id, sink_id = placement.merger_id, placement.sink_id
    if merger_id == sink_id:
        return []
    transfer_id = f"logits {merger_id}->{sink_id}"
    return [
        Transfer(transfer_id, merger_id, sink_id, head.output_byte, "logits", "result", ("merge",)),
        Compute("answer", sink_id, inputs=(transfer_id,)),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class StudentDeployment:
    """Student networks on their devices; holds numbers only, no networks.

    Parameters
    ----------
    plan : the steps of one inference.
    contributions : what each student adds to the logits of each test sample when it alone stands for its part, shape (students,
        n, classes).
    bias : of the head, shape (classes,).
    part_of : the part of each student.
    needs : the transfers without which a student does not count.
    facts : what `describe` returns.
    """

    plan: Plan
    contributions: NDArray[np.float32]
    bias: NDArray[np.float32]
    part_of: tuple[int, ...]
    needs: tuple[frozenset[str], ...]
    facts: dict[str, Any]

    def predict(self, delivered: frozenset[str]) -> NDArray[np.float32]:
        """Return the logits of the test split: the mean over the students of each part that arrived, zero where none did.

        A student counts if its input and its features arrived.
        """
        import numpy as np

        there: dict[int, list[int]] = {}
        for student, (part, needed) in enumerate(zip(self.part_of, self.needs, strict=True)):
            if needed <= delivered:
                there.setdefault(part, []).append(student)
        logits = np.tile(self.bias, (self.contributions.shape[1], 1))
        for students in there.values():
            logits += self.contributions[students].mean(axis=0)
        return logits

    def describe(self) -> dict[str, Any]:
        """Return parameters and weights of each student, sizes of parts, dropped filters, and accuracies without losses."""
        return self.facts


def _listed(topology: Topology) -> str:
    names = list(topology.device_of)
    return ", ".join(names) if len(names) <= 6 else ", ".join(names[:5]) + f", ... ({len(names)} devices)"
