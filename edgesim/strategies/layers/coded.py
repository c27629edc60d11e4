"""Coded computing: outputs of layers divided over devices, and one parity device, so that any one of them may be lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgesim.domain.plan import Plan
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.ends import ANSWER_ID, INPUT_ID, known_device, require_delivered
from edgesim.strategies.layers.kernels import coded_kernels
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.samples import Samples
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext, Kernel
    from edgesim.nn.cut.coded import CodedRunner
    from edgesim.nn.cut.stages import StagedNetwork

Missing = tuple[frozenset[int], ...]
"""By coded layer: the parts whose results did not come."""
_KEPT = 64
"""Answers kept by what was lost; a study meets the same again and again."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Divide the outputs of linear layers and convolutions over workers, and let a parity device compute the sum of their results.

    The owner sends the whole input of each such layer to all of them. Any n of the n + 1 results are enough: what one device would have sent is
    the parity's result less those of the others, exact up to the order of float additions. So one device may be lost, or be slow, in every layer anew, without
    waiting and without a loss of accuracy. Activations and all else run on the owner, who decodes before them; so do layers of
    which there is no parity: grouped convolutions, products of two tensors, layers that are called more than once.

    Parameters
    ----------
    owner : id of the device that scatters, gathers and decodes.
    parity : id of the device that holds the sums.
    workers : pattern of the ids of the devices that compute parts; owner and parity are no workers.
    on_missing : what happens when more than one result of a layer is missing: ``wait`` for ever, or ``degrade`` at the deadline with zeros in
        place of the results that did not come.
    step_deadline_s : how long the owner waits for one layer, in s; needed with ``degrade``.

    Formula
    -------
    Part i of n: y_i = W_i x + b_i, of ceil(outputs / n) outputs, the last perhaps fewer. Parity: W_p = sum_i W_i, b_p = sum_i b_i, y_p = sum_i y_i.
    A missing y_j = y_p - sum over i != j of y_i. Traffic of a layer = (n + 1) inputs + outputs + ceil(outputs / n) outputs, 4 byte a number. The owner's
    decoding is counted in every inference: n additions per output of a part.

    Validity
    --------
    One loss per layer. Batch normalisation between a layer and its activation runs on the owner. Work and memory of the parity device are
    those of the largest part; parts are equal whatever the speeds of the devices.

    References
    ----------
    R. Hadidi, J. Cao, H. Kim, Creating Robust Deep Neural Networks with Coded Distributed Computing for IoT, IEEE EDGE 2023,
    arXiv:2104.04447. Ours: the equal parts, zeros after a second loss, and which layers are coded.
    """

    owner: DeviceId
    parity: DeviceId
    workers: DeviceGlob = "*"
    on_missing: Literal["wait", "degrade"] = "wait"
    step_deadline_s: Seconds | None = None

    needs_training: ClassVar[bool] = False

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when no worker matches, the parity is the owner, or ``degrade`` has no deadline."""
        if (self.on_missing == "degrade") != (self.step_deadline_s is not None):
            raise PlanError(
                "coded: step_deadline goes with on_missing 'degrade', and only with it: how long the owner waits for one layer"
            )
        if self.parity == self.owner:
            raise PlanError("coded.parity: the owner cannot be the parity device, which may be lost; name another")
        if not self._worker_ids(topology):
            raise PlanError(
                f"coded.workers: {self.workers!r} matches no device but the owner and the parity; name at least one worker"
            )

    def _worker_ids(self, topology: Topology) -> tuple[str, ...]:
        ids = [device.device_id for device in topology.devices]
        return tuple(name for name in ids if is_selected(name, self.workers) and name not in {self.owner, self.parity})

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When a device is not in the topology, or no layer can be coded.
        DataError
            When the network cannot be traced.
        """
        from edgesim.nn.cost.trace import layer_name
        from edgesim.nn.cut.coded import parts_of, why_uncoded
        from edgesim.nn.cut.staging import staged
        from edgesim.nn.operators.readers import is_main
        from edgesim.strategies.layers.coded_plan import CodedPlanWriter

        known_device(context, "coded.owner", self.owner)
        known_device(context, "coded.parity", self.parity)
        self.check(context.topology)
        network = staged(context.network, context.dataset.inputs, "coded", "channels")
        uncoded = {
            layer_name(node): why
            for node in network.graph.graph.nodes
            if is_main(network.graph, node) and (why := why_uncoded(network.graph, node))
        }
        if not network.stages:
            why = (
                "; ".join(f"{name}: {reason}" for name, reason in uncoded.items())
                or "it has no linear layers and convolutions"
            )
            raise PlanError(f"coded: no layer of the network can be coded ({why}); use strategy 'modnn' or 'single'")
        worker_ids = self._worker_ids(context.topology)
        parts = {}
        for stage in network.stages:
            (layer,) = stage.layers
            axis = layer.weight_axes[0]
            parts[stage.name] = parts_of(layer.shape[axis], len(worker_ids))
        plan = CodedPlanWriter(
            context, self.owner, self.parity, worker_ids, network, parts, self.step_deadline_s
        ).write()
        return CodedNetwork(plan, self, worker_ids, network, parts, uncoded, context.dataset.test)


@dataclass
class CodedNetwork:
    """A network whose layers are coded.

    Parameters
    ----------
    plan : the steps of one inference.
    options : of the strategy.
    worker_ids : who computes the parts, in order.
    network : in stages of one layer each.
    parts : outputs by part, by stage.
    uncoded : layers that the owner computes, though they have weights or are products, with the reason.
    samples : the test split.
    """

    plan: Plan
    options: Coded
    worker_ids: tuple[str, ...]
    network: StagedNetwork
    parts: dict[str, list[range]]
    uncoded: dict[str, str]
    samples: Samples
    _runner: CodedRunner | None = field(default=None, repr=False)
    _answers: dict[Missing, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return coded_kernels(
            self.plan, self.worker_ids, self.options.parity,
            network=self.network, parts=self.parts, names=list(self.samples.inputs),
        )  # fmt: skip

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split with what arrived: parts are decoded from the parity where one is missing.

        Raises
        ------
        PlanError
            When the input did not reach the owner or the answer the sink; with ``wait`` when more than one result of a layer is missing.
        """
        from edgesim.nn.cut.coded import CodedRunner

        lost = delivery.incomplete
        require_delivered(
            [step.step_id for step in self.plan.transfers if step.step_id in {INPUT_ID, ANSWER_ID}], delivery
        )
        missing = tuple(self._missing(stage.name, lost) for stage in self.network.stages)
        if self.options.on_missing == "wait" and any(len(some) > 1 for some in missing):
            raise PlanError("coded: more than one result of a layer is missing, and the owner waits for ever")
        # what a lost parity alone costs is nothing
        key = tuple(
            frozenset() if some == {len(self.parts[stage.name])} else some
            for some, stage in zip(missing, self.network.stages, strict=True)
        )
        if key not in self._answers:
            if len(self._answers) >= _KEPT:
                del self._answers[next(iter(self._answers))]
            modules = {stage.name: stage.layers[0].module for stage in self.network.stages}
            if self._runner is None:
                parts = {modules[name]: parts for name, parts in self.parts.items()}
                self._runner = CodedRunner(self.network.graph, parts, self.samples)
            self._answers[key] = self._runner.answers(dict(zip(modules.values(), key, strict=True)))
        return self._answers[key]

    def _missing(self, stage: str, lost: frozenset[str]) -> frozenset[int]:
        from edgesim.strategies.layers.coded_plan import devices_of, gather_id, scatter_id

        devices = devices_of(self.worker_ids, self.parts[stage], self.options.parity)
        return frozenset(
            part
            for part, name in enumerate(devices)
            if scatter_id(stage, name) in lost or gather_id(stage, name) in lost
        )

    def describe(self) -> dict[str, Any]:
        """Return outputs by device of each coded layer, layers that are not coded and why, and bytes of weights by device."""
        return {
            "owner": self.options.owner,
            "parity": self.options.parity,
            "coded": {
                stage: {name: f"{rows.start}:{rows.stop}" for name, rows in zip(self.worker_ids, parts, strict=False)}
                for stage, parts in self.parts.items()
            },
            "boxes": {
                stage: {
                    **{name: f"{rows.start}:{rows.stop}" for name, rows in zip(self.worker_ids, parts, strict=False)},
                    self.options.parity: "sum",
                }
                for stage, parts in self.parts.items()
            },
            "uncoded": self.uncoded,
            "weight_byte": dict(self.plan.weight_byte),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runner": None, "_answers": {}}
