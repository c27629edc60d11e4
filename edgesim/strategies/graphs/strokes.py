"""The strokes of a sketch divided over devices, and its dynamic branch on one of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.plan import Compute, Plan, Step, Transfer
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.ends import answer_steps, known_device, require_delivered
from edgesim.strategies.students.networks import Workload, student_facts, workload_of
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.nn.models.sketches.network import SketchNetwork

STROKES_ID, SKETCH_ID = "strokes", "sketch"
"""Ids of the transfers of the stroke of each point to the merger, and of the whole sketch to the device of the dynamic branch."""


@dataclass(frozen=True, slots=True)
class Strokes:
    """Divide a SketchGNN by its branches, and the static one by strokes; a lost message loses strokes.

    Stroke s of a sketch belongs to share s modulo the number of devices. Each device is given the points of its strokes, computes the static branch for
    them, which joins no points of two strokes, and sends 128 numbers for each to the merger. Device `dynamic` is given the whole sketch, computes the dynamic branch
    and sends what it found to the merger in a message for each share. The merger, which knows the stroke of each point, pools and classifies. The features
    of a branch that do not come are zeros for the points of the strokes that they were of. With one device the two branches are on a device each.

    Parameters
    ----------
    devices : pattern of the devices of the static branch, in the order of the topology.
    dynamic : device of the dynamic branch; the merger by default.
    merger : device that pools and classifies; the sink by default.
    deadline_s : how long the merger waits, from the release of the request, or from when what it computes itself is ready; without a deadline it waits until everything
        is there, for ever if something is lost.

    Formula
    -------
    Points of a share = mean over the sketches that are asked, p. Message to a device = p x byte of a point; message of features = p x 128 x 4 byte, rounded up to
    whole bytes. Work of a device = p / points of the static branch.

    Validity
    --------
    With everything delivered the answers are those of the whole network up to the order of float operations. Sketches differ, and a plan is one for all: messages and
    work are means, and a share without strokes in a sketch is sent all the same.

    References
    ----------
    Our own; the network is that of L. Yang et al., SketchGNN, ACM TOG 40(3), 2021, arXiv 2003.00678.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset({"sketches"})
    devices: DeviceGlob = "*"
    dynamic: DeviceId | None = None
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None

    def deploy(self, context: DeploymentContext) -> DividedSketch:
        """Return the deployment; what the branches find is computed here, once.

        Raises
        ------
        PlanError
            When the network is no SketchGNN with a dynamic branch, no device matches, or devices that must talk have no route.
        """
        import numpy as np

        from edgesim.nn.models.sketches.network import Answering, OneBranch
        from edgesim.nn.train.training import forward

        network = _sketch_network(context)
        merger_id = known_device(context, "strokes.merger", context.sink_id if self.merger is None else self.merger)
        dynamic_id = known_device(context, "strokes.dynamic", merger_id if self.dynamic is None else self.dynamic)
        ids = [name for name in context.topology.device_of if is_selected(name, self.devices)]
        if not ids:
            raise PlanError(f"strokes.devices: {self.devices!r} matches no device")
        asked = context.dataset.test.inputs
        share_of = asked["strokes"] % len(ids)
        shares = [float((share_of == number).mean()) if share_of.size else 1 / len(ids) for number in range(len(ids))]
        inputs = context.dataset.inputs
        static, dynamic, answering = (
            OneBranch(network, is_dynamic=False),
            OneBranch(network, is_dynamic=True),
            Answering(network),
        )
        works = (workload_of(static, inputs), workload_of(dynamic, inputs), _answer_work(context, network, answering))
        places = _Places(context, tuple(ids), dynamic_id, merger_id, tuple(shares), self.deadline_s)
        features = (
            np.stack([forward(static, asked), forward(dynamic, asked)])
            if len(share_of)
            else np.empty((2, 0, network.n_points, 128), np.float32)
        )
        facts = [student_facts(name, static, works[0]) for name in ids] + [student_facts(dynamic_id, dynamic, works[1])]
        return DividedSketch(
            places.plan(*works),
            features,
            share_of,
            asked["strokes"],
            answering,
            places.losses(),
            {"branches": facts, "shares": shares},
        )


def _sketch_network(context: DeploymentContext) -> SketchNetwork:
    from edgesim.nn.models.sketches.network import SketchNetwork

    if not isinstance(context.network, SketchNetwork) or context.network.dynamic is None:
        raise PlanError(
            f"it divides the branches and strokes of a SketchGNN with a dynamic branch, but the network is a {type(context.network).__name__}"
            f"{' without one' if isinstance(context.network, SketchNetwork) else ''}; take the model sketch-gnn, or another strategy"
        )
    return context.network


def _answer_work(context: DeploymentContext, network: SketchNetwork, answering: Any) -> Workload:
    from edgesim.domain.networks.task import TensorSpec

    found = TensorSpec((network.n_points, 128))
    return workload_of(answering, {"static": found, "dynamic": found, "strokes": context.dataset.inputs["strokes"]})


@dataclass(frozen=True, slots=True)
class _Places:
    """Who computes what share."""

    context: DeploymentContext
    device_ids: tuple[str, ...]
    dynamic_id: str
    merger_id: str
    shares: tuple[float, ...]
    deadline_s: float | None

    def plan(self, static: Workload, dynamic: Workload, answer: Workload) -> Plan:
        """Return the steps of one inference."""
        steps: list[Step] = []
        gathered = [self._sent(steps, STROKES_ID, self._stroke_byte(), self.merger_id)]
        whole = self._sent(steps, SKETCH_ID, self.context.graph.input_byte, self.dynamic_id)
        for number, (device_id, share) in enumerate(zip(self.device_ids, self.shares, strict=True)):
            given = self._sent(steps, f"points->{device_id}", ceil(share * self.context.graph.input_byte), device_id)
            work = tuple(
                replace(
                    one,
                    work_flop=share * one.work_flop,
                    moved_byte=one.weight_byte + share * (one.moved_byte - one.weight_byte),
                )
                for one in static.work
            )
            computed = f"static {number} on {device_id}"
            steps.append(Compute(computed, device_id, work, given, ceil(share * static.activation_byte)))
            gathered.append(
                self._found(steps, computed, device_id, f"static {number}", ceil(share * static.output_byte))
            )
        computed = f"dynamic on {self.dynamic_id}"
        steps.append(Compute(computed, self.dynamic_id, dynamic.work, whole, dynamic.activation_byte))
        gathered += [
            self._found(steps, computed, self.dynamic_id, f"dynamic {number}", ceil(share * dynamic.output_byte))
            for number, share in enumerate(self.shares)
        ]
        merge = Compute(
            "merge", self.merger_id, answer.work, tuple(dict.fromkeys(name for names in gathered for name in names)), answer.activation_byte,
            "wait" if self.deadline_s is None else "degrade", self.deadline_s,
        )  # fmt: skip
        steps += [merge, *answer_steps(self.context, merge, answer.output_byte)]
        weights = dict.fromkeys([*self.device_ids, self.dynamic_id, self.merger_id], 0)
        for device_id, load in (
            *((name, static) for name in self.device_ids),
            (self.dynamic_id, dynamic),
            (self.merger_id, answer),
        ):
            weights[device_id] += load.weight_byte
        return Plan(tuple(steps), steps[-1].step_id, weights)

    def losses(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """Return what the loss of each transfer loses: pairs of a branch, 0 the static one, and a share."""
        n_shares = len(self.shares)
        found = {}
        if self.dynamic_id != self.merger_id:  # else the merger has the strokes of the points from it alone
            found[SKETCH_ID] = tuple((1, number) for number in range(n_shares))
        for number, device_id in enumerate(self.device_ids):
            found[f"points->{device_id}"] = found[f"static {number}"] = ((0, number),)
            found[f"dynamic {number}"] = ((1, number),)
        return found

    def _stroke_byte(self) -> int:
        """Return the bytes of the stroke of each point; none where the merger has the whole sketch."""
        return 0 if self.dynamic_id == self.merger_id else 8 * self.context.dataset.inputs["strokes"].size

    def _sent(self, steps: list[Step], step_id: str, size_byte: int, device_id: str) -> tuple[str, ...]:
        """Add the transfer of a part of the input, unless the device has it, and return the steps to wait for."""
        if device_id == self.context.source_id or not size_byte:
            return ()
        steps.append(Transfer(step_id, self.context.source_id, device_id, size_byte, step_id, "input"))
        return (step_id,)

    def _found(self, steps: list[Step], computed: str, device_id: str, step_id: str, size_byte: int) -> tuple[str, ...]:
        """Add the transfer of features to the merger, unless it has them, and return the step to wait for."""
        if device_id == self.merger_id:
            return (computed,)
        steps.append(Transfer(step_id, device_id, self.merger_id, max(1, size_byte), step_id, "result", (computed,)))
        return (step_id,)


@dataclass(frozen=True, slots=True, eq=False)
class DividedSketch:
    """What the branches find for each test sample.

    Parameters
    ----------
    plan : the steps of one inference.
    features : of the static and of the dynamic branch, shape (2, n, points, 128).
    share_of, strokes : share and stroke of each point, shape (n, points).
    answering : pools and classifies.
    losses : what the loss of a transfer loses; see `_Places.losses`.
    facts : what `describe` returns.
    """

    plan: Plan
    features: NDArray[np.float32]
    share_of: NDArray[np.int64]
    strokes: NDArray[np.int64]
    answering: Any
    losses: dict[str, tuple[tuple[int, int], ...]]
    facts: dict[str, Any]

    def kernels(self) -> Mapping[str, Kernel]:
        """Raise `PlanError`: messages are those of no sketch, see `edgesim.interfaces.Bundled`."""
        raise PlanError(
            "strokes plans messages as large as those of the mean sketch, so that no sketch has just these to send; to execute the network, take single"
        )

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split.

        Raises
        ------
        PlanError
            When the strokes of the points did not arrive at the merger, or the answer at the sink.
        """
        from edgesim.nn.train.training import forward

        require_delivered(sorted(self.plan.transfer_ids.difference(self.losses)), delivery)
        features = self.features.copy()
        for name, pairs in self.losses.items():
            for branch, share in () if name not in self.plan.transfer_ids or delivery.is_whole(name) else pairs:
                features[branch][self.share_of == share] = 0.0
        return forward(self.answering, {"static": features[0], "dynamic": features[1], "strokes": self.strokes})

    def describe(self) -> dict[str, Any]:
        """Return parameters and weights of each device, and the mean share of the points that each has."""
        return self.facts
