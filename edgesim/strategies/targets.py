"""Many small networks, each with a question of its own, placed on devices."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.plan import Compute, LayerWork, Plan
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import InfeasiblePlanError, PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import known_device, require_delivered
from edgesim.strategies.students.kernels import student_kernels
from edgesim.strategies.students.networks import (
    Workload,
    devices_of_students,
    student_facts,
    student_plan,
    workload_of,
)
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.nn.models.tabular.target_networks import SideBySide


@dataclass(frozen=True, slots=True)
class PerTarget:
    """Place the networks of ``target-networks`` on devices, under their memory limits; each answers its own question.

    The networks are placed the longest first, each on the device that ends it earliest among those with room for its weights and with no
    other copy of it (longest processing time first). Where that finds no room, a placement is sought that fits at all. A device gets the
    input once, runs its networks one after the other, and sends their answers, 4 byte each, in one message. A question whose devices are
    all lost has no answer of a network.

    Parameters
    ----------
    devices : pattern of the devices that run networks, in the order of the topology.
    merger : device that collects the answers; the sink by default.
    deadline_s : how long the merger waits, from the release of the request, or from the end of its own networks if it has some; without a
        deadline it waits until everything is there, for ever if something is lost.
    copies : of each network, on different devices.
    important : numbers of the questions, from 0, whose networks have one copy more.
    unanswered : a question without an answer has the share of yes among the training samples as its answer, the same for every sample
        (``guess``: ROC-AUC 0.5), or the scores leave it out (``leave-out``); the score `labels_answered` then says how many questions count.
        With no answer at all the scores are those of a request without an answer.

    Formula
    -------
    Traffic = devices used x input + networks placed x 4 byte. Longest processing time first ends at most 4/3 - 1/(3 devices) times later
    than the best placement on equal devices.

    Validity
    --------
    With everything delivered the answers are those of all networks on one device.

    References
    ----------
    R. L. Graham, Bounds on Multiprocessing Timing Anomalies, SIAM Journal on Applied Mathematics 17(2), 1969.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset({"rows of numbers"})
    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None
    copies: Annotated[int, Ge(1)] = 1
    important: tuple[Annotated[int, Ge(0)], ...] = ()
    unanswered: Literal["guess", "leave-out"] = "guess"

    def deploy(self, context: DeploymentContext) -> TargetDeployment:
        """Return the deployment; the answers of each network are computed here, once.

        Raises
        ------
        PlanError
            When the network is another one, a number is of no question, or the networks do not fit on the devices.
        """
        import numpy as np

        from edgesim.nn.train.training import forward

        network = _side_by_side(context)
        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        matching = [one for one in context.topology.device_of if is_selected(one, self.devices)]
        devices_of_students(context, self.devices, len(matching), merger_id)
        inputs = context.dataset.inputs
        costs = [workload_of(network.some([target]), inputs) for target in range(len(network.networks))]
        of_device = place(context, costs, self._copies(len(costs)), matching)
        used = {device_id: targets for device_id, targets in of_device.items() if targets}
        placed = [(device_id, workload_of(network.some(targets), inputs)) for device_id, targets in used.items()]
        plan, needs = student_plan(context, placed, merger_id, _collecting(used), self.deadline_s)
        guess = context.dataset.task.guess(context.dataset.train.targets)
        otherwise = guess if self.unanswered == "guess" else np.full_like(guess, np.nan)

        def merging(gathered: Sequence[str], goals: Sequence[str]) -> Kernel:
            from edgesim.nn.kernels.students import SideBySideKernel

            return SideBySideKernel(gathered, goals, list(used.values()), otherwise)

        networks = [network.some(targets) for targets in used.values()]
        return TargetDeployment(
            plan=plan,
            answers=forward(network, context.dataset.test.inputs),
            otherwise=otherwise,
            targets=tuple(used.values()),
            needs=needs,
            required=tuple(sorted(plan.transfer_ids.difference(*needs))),
            facts={
                "devices": [
                    {**student_facts(device_id, network.some(targets), cost), "targets": list(targets)}
                    for (device_id, cost), targets in zip(placed, used.values(), strict=True)
                ]
            },
            here=Here(lambda: student_kernels(plan, networks, list(inputs), merging)),
        )

    def _copies(self, n_targets: int) -> list[int]:
        """Return how many copies each network has."""
        strange = [target for target in self.important if target >= n_targets]
        if strange:
            raise PlanError(
                f"important: there is no question {strange[0]}; they are numbered from 0 to {n_targets - 1}"
            )
        return [self.copies + (target in self.important) for target in range(n_targets)]


@dataclass(frozen=True, slots=True, eq=False)
class TargetDeployment:
    """The answers of every network to each test sample, and which device gives them.

    Parameters
    ----------
    plan : the steps of one inference.
    answers : of all networks, shape (n, targets).
    otherwise : what stands for an answer that is not there, shape (targets,): a guess, or NaN where scores leave it out.
    targets : the networks of each device.
    needs : the transfers without which a device does not count.
    required : the transfers without which there is no answer.
    facts : what `describe` returns.
    here : makes the kernels.
    """

    plan: Plan
    answers: NDArray[np.float32]
    otherwise: NDArray[np.float32]
    targets: tuple[tuple[int, ...], ...]
    needs: tuple[frozenset[str], ...]
    required: tuple[str, ...]
    facts: dict[str, Any]
    here: Here = field(default_factory=Here)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split.

        Raises
        ------
        PlanError
            When the answer itself did not arrive at the sink.
        """
        import numpy as np

        require_delivered(self.required, delivery)
        there = sorted(
            {
                target
                for targets, needed in zip(self.targets, self.needs, strict=True)
                if delivery.are_whole(needed)
                for target in targets
            }
        )
        found: NDArray[np.float32] = np.tile(self.otherwise, (len(self.answers), 1))
        found[:, there] = self.answers[:, there]
        return found

    def describe(self) -> dict[str, Any]:
        """Return the networks, parameters and weights of each device."""
        return self.facts


def _side_by_side(context: DeploymentContext) -> SideBySide:
    from edgesim.nn.models.tabular.target_networks import SideBySide

    if not isinstance(context.network, SideBySide):
        raise PlanError(
            f"it places networks that stand side by side, but the network is a {type(context.network).__name__}; take the model "
            "target-networks, or another strategy"
        )
    return context.network


def place(
    context: DeploymentContext, costs: Sequence[Workload], copies: Sequence[int], device_ids: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Return the networks of each device, in order of their numbers.

    Parameters
    ----------
    context : says how long computations take, and how much memory devices have.
    costs : of each network.
    copies : of each network, on different devices.
    device_ids : where they may lie.

    Raises
    ------
    InfeasiblePlanError
        When they do not fit.
    """
    profiles = [context.topology.device_of[device_id].profile for device_id in device_ids]
    times = [
        [context.compute.duration_s(Compute("network", device_id, cost.work), profile) for cost in costs]
        for device_id, profile in zip(device_ids, profiles, strict=True)
    ]
    sizes = [cost.weight_byte for cost in costs]
    rooms = [profile.memory_byte - max(cost.activation_byte for cost in costs) for profile in profiles]
    found = _longest_first(times, sizes, rooms, copies) or _anyhow(sizes, rooms, copies)
    if found is None:
        needed = sum(size * n for size, n in zip(sizes, copies, strict=True))
        room_byte = sum(max(0, room) for room in rooms)
        raise InfeasiblePlanError(
            ", ".join(device_ids),
            needed,
            room_byte,
            f"{sum(copies)} networks of {needed:,} byte together do not fit on {len(device_ids)} devices with room for {room_byte:,} byte, "
            "copies on different devices; match more devices, or ask for fewer copies",
        )
    return {device_id: tuple(sorted(targets)) for device_id, targets in zip(device_ids, found, strict=True)}


def _longest_first(
    times: Sequence[Sequence[float]], sizes: Sequence[int], rooms: Sequence[int], copies: Sequence[int]
) -> list[set[int]] | None:
    """Place each copy where it ends earliest, the longest first; None when one finds no room.

    Examples
    --------
    Three networks of 3, 2 and 2 s on two equal devices: the two short ones share one.

    >>> _longest_first([[3.0, 2.0, 2.0]] * 2, [1] * 3, [2] * 2, [1] * 3)
    [{0}, {1, 2}]
    """
    found: list[set[int]] = [set() for _ in rooms]
    ends, left = [0.0] * len(rooms), list(rooms)
    order = [target for target, n in enumerate(copies) for _ in range(n)]
    for target in sorted(order, key=lambda target: -max(row[target] for row in times)):
        fitting = [d for d in range(len(rooms)) if sizes[target] <= left[d] and target not in found[d]]
        if not fitting:
            return None
        device = min(fitting, key=lambda d: ends[d] + times[d][target])
        found[device].add(target)
        ends[device] += times[device][target]
        left[device] -= sizes[target]
    return found


def _anyhow(sizes: Sequence[int], rooms: Sequence[int], copies: Sequence[int]) -> list[set[int]] | None:
    """Return any placement that fits, by integer programming; None when there is none.

    Examples
    --------
    Largest first puts 3 and 2 together, and the second 2 finds no room; 3 + 3 and 2 + 2 + 2 fit.

    >>> [sorted(one) for one in _anyhow([3, 3, 2, 2, 2], [6, 6], [1] * 5)] in ([[0, 1], [2, 3, 4]], [[2, 3, 4], [0, 1]])
    True
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    n_targets, n_devices = len(sizes), len(rooms)
    each_target = np.kron(np.ones(n_devices), np.eye(n_targets))
    each_device = np.kron(np.eye(n_devices), np.array(sizes, float))
    constraints = [LinearConstraint(each_target, copies, copies), LinearConstraint(each_device, -np.inf, rooms)]
    n = n_targets * n_devices
    result = milp(np.zeros(n), integrality=np.ones(n, dtype=np.int64), bounds=Bounds(0, 1), constraints=constraints)
    if result.x is None:
        return None
    chosen = result.x.reshape(n_devices, n_targets) > 0.5
    return [set(np.flatnonzero(row).tolist()) for row in chosen]


def _collecting(used: Mapping[str, Sequence[int]]) -> Workload:
    """Count the collection: the answers are copied to their places."""
    n_answers = sum(map(len, used.values()))
    n_targets = len(Counter(target for targets in used.values() for target in targets))
    work = LayerWork("collect", "other", 0.0, 4.0 * (n_answers + n_targets))
    return Workload((work,), 0, 4 * (n_answers + n_targets), 4 * n_targets)
