"""Chains with a connection past each device, so that the next can go on without it: deepFogGuard and ResiliNet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Gt, Le, Len

from edgesim.domain.networks.training import Training
from edgesim.domain.plan import Compute, OnMissing, Plan, Step, Transfer
from edgesim.domain.system.topology import DeviceId
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import ANSWER_ID, INPUT_ID, answer_steps, input_transfers, known_device, require_delivered
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.costs import ModelGraph
    from edgesim.domain.networks.samples import Samples
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext, Kernel
    from edgesim.nn.chains.skipping import SkippingChain

Pattern = tuple[tuple[bool, ...], tuple[bool, ...]]
"""Which messages to the next device came, and which past it."""


@dataclass(frozen=True, slots=True)
class ResiliNet:
    """Give each device of a chain a run of layers, and send what it gives also to the device behind the next.

    A device goes on with what came past the one before it when that has failed (``mux``), or always adds both (``add``). The network is trained with
    these connections, beginning with its weights, while the devices between the first and the last fail at random (failout). With
    ``add`` and survival 1 that is deepFogGuard, with ``mux`` and survival below 1 ResiliNet, with ``add`` and survival below 1 ResiliNet+.

    Parameters
    ----------
    devices : ids of the devices in order, three or more; the first reads the input, the last gives the answer.
    cuts : ids of the layers behind which the network is cut, one for each device but the last; one tensor must cross each.
    deadline_s : how long the n-th device behind the first waits for its messages: n times this, from the release of the request, in s. Without it
        it waits for all of them, for ever if one is lost.
    join : what a device reads, see above.
    survival : probability that a device between the first and the last does not fail in a batch of the training.
    training : of the network with its connections.

    Formula
    -------
    A connection past a device is a convolution of one pixel, or for vectors a linear layer, without bias, with the stride that makes the one shape of
    the other; the receiving device computes it, in every inference. Traffic = all tensors at the cuts, those before the last two cuts twice.

    Validity
    --------
    With everything delivered the answers are those of the network that was trained here, not of the whole network: its own score is told. A device
    to which nothing comes goes on with zeros at its deadline; there the authors guess at random. A lost message past a device is waited for too, since
    nobody knows that it is not needed.

    References
    ----------
    A. Yousefpour et al., ResiliNet: Failure-Resilient Inference in Distributed Neural Networks, 2020, arXiv:2002.07386; the same, Guardians of the Deep
    Fog, 2019, arXiv:1909.00995. From their code: multiplexer, one draw of failout for each batch, no rescaling. Ours: training begins with the weights of
    the undivided network; deadlines.
    """

    devices: Annotated[tuple[DeviceId, ...], Len(3)]
    cuts: Annotated[tuple[str, ...], Len(2)]
    deadline_s: Seconds | None = None
    join: Literal["mux", "add"] = "mux"
    survival: Annotated[float, Gt(0), Le(1)] = 0.9
    training: Training = Training(epochs=20)  # noqa: RUF009 - frozen

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when devices and cuts do not go together, or nothing would train the connections."""
        if len(set(self.devices)) < len(self.devices):
            raise PlanError("resilinet.devices: a device is named twice; each computes one run of layers")
        if len(self.cuts) != len(self.devices) - 1:
            raise PlanError(
                f"resilinet.cuts: {len(self.devices)} devices need {len(self.devices) - 1} cuts, not {len(self.cuts)}"
            )
        unknown = [name for name in self.devices if name not in topology.device_of]
        if unknown:
            known = ", ".join(sorted(topology.device_of))
            raise PlanError(
                f"resilinet.devices: there is no device {unknown[0]!r} in the topology; its devices are {known}"
            )
        if self.join == "mux" and self.survival == 1:
            raise PlanError(
                "resilinet: with join mux and survival 1 nothing trains the connections past devices; take join: add, or survival 0.9"
            )

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment; train the network with its connections, or load it.

        Raises
        ------
        PlanError
            When a device or layer is unknown, more than one tensor crosses a cut, or shapes do not allow a connection.
        DataError
            When the network cannot be traced, or there are no samples to train it on.
        """
        from edgesim.nn.chains.skipping import SkipTraining, train_chain
        from edgesim.nn.cost.layers import measure
        from edgesim.nn.train.cache import NetworkCache

        self.check(context.topology)
        for name in self.devices:
            known_device(context, "resilinet.devices", name)
        if not len(context.dataset.train):
            raise PlanError("resilinet trains its network; give the workload a data set")
        chain, metrics = train_chain(
            context.network, context.network_key, context.dataset, SkipTraining(self.cuts, self.join, self.survival, self.training),
            seed=context.seed, progress=context.progress, cache=NetworkCache.default(),
        )  # fmt: skip
        shapes = chain.shapes
        segments = [measure(module, shape) for module, shape in zip(chain.segments, shapes, strict=True)]
        skips = [None, None, *(measure(module, shape) for module, shape in zip(chain.skips, shapes[1:], strict=False))]
        plan = self._plan(context, segments, skips)
        here = Here(lambda: _kernels(plan, self, chain))
        return SkippingNetwork(plan, self, chain, context.dataset.test, metrics, here)

    def _plan(self, context: DeploymentContext, segments: list[ModelGraph], skips: list[ModelGraph | None]) -> Plan:
        from edgesim.nn.cost.layers import graph_work

        steps: list[Step] = [*input_transfers(context, self.devices[0], segments[0].input_byte)]
        computes: list[Compute] = []
        weight_byte: dict[str, int] = {}
        for number, (device_id, segment, skip) in enumerate(zip(self.devices, segments, skips, strict=True)):
            arrived = [step.step_id for step in steps] if number == 0 else []
            for back in range(1, min(number, 2) + 1):
                sender = computes[number - back]
                size_byte = segments[number - back].layers[-1].output_byte
                what = "output" if back == 1 else "output past one device"
                steps.append(Transfer(
                    message_id(self.devices, number, back), sender.device_id, device_id, size_byte, f"{what} of {sender.device_id}", "intermediate",
                    (sender.step_id,),
                ))  # fmt: skip
                arrived.append(steps[-1].step_id)
            is_patient = self.deadline_s is None or number < 2
            on_missing: OnMissing = "wait" if is_patient else "degrade"
            graphs = [segment] if skip is None else [skip, segment]
            computes.append(Compute(
                f"layers of {device_id}", device_id, tuple(work for graph in graphs for work in graph_work(graph)), tuple(arrived),
                max(graph.peak_activation_byte for graph in graphs) + (0 if skip is None else segment.input_byte),
                on_missing, None if is_patient or self.deadline_s is None else number * self.deadline_s,
            ))  # fmt: skip
            steps.append(computes[-1])
            weight_byte[device_id] = sum(graph.weight_byte for graph in graphs)
        steps += answer_steps(context, computes[-1], segments[-1].layers[-1].output_byte)
        return Plan(tuple(steps), steps[-1].step_id, weight_byte)


def message_id(devices: tuple[str, ...], number: int, back: int) -> str:
    """Return the id of the message to a device from the one before it, or from the one before that."""
    return f"{devices[number - back]}/{'next' if back == 1 else 'past'}/{devices[number]}"


def _kernels(plan: Plan, options: ResiliNet, chain: SkippingChain) -> Mapping[str, Kernel]:
    """Return what each device computes."""
    from edgesim.nn.kernels.chains import RowKernel, SkippingKernel
    from edgesim.nn.kernels.whole import arrival

    found: dict[str, Kernel] = {plan.answer_id: arrival}
    steps = [step for step in plan.computes if step.work]
    for number, (step, segment) in enumerate(zip(steps, chain.segments, strict=True)):
        goals = [transfer.step_id for transfer in plan.transfers if step.step_id in transfer.inputs]
        if number < 2:
            found[step.step_id] = RowKernel([segment], goals)
        else:
            following, past = (message_id(options.devices, number, back) for back in (1, 2))
            skip = chain.skips[number - 2]
            found[step.step_id] = SkippingKernel(segment, skip, options.join, (following, past), goals)
    return found


@dataclass
class SkippingNetwork:
    """A network on a chain of devices with connections past them.

    Parameters
    ----------
    plan : the steps of one inference.
    options : of the strategy.
    chain : the trained network.
    samples : the test split.
    metrics : what it reaches with everything delivered.
    here : makes the kernels.
    """

    plan: Plan
    options: ResiliNet
    chain: SkippingChain
    samples: Samples
    metrics: dict[str, float]
    here: Here = field(default_factory=Here)
    _answers: dict[Pattern, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split with the messages that arrived.

        The first two devices wait for what they get, and send nothing without it; those behind go on at their deadlines, with zeros where nothing came.

        Raises
        ------
        PlanError
            When the answer did not reach the sink; without a deadline when any transfer is missing.
        """
        names = tuple(transfer.step_id for transfer in self.plan.transfers)
        devices = self.options.devices
        require_delivered(names if self.options.deadline_s is None else {ANSWER_ID}.intersection(names), delivery)
        is_running = [delivery.is_whole(INPUT_ID)]
        is_running.append(is_running[0] and delivery.is_whole(message_id(devices, 1, 1)))
        is_running += [True] * (len(devices) - 2)
        came, past = (
            tuple(
                is_running[number - back] and delivery.is_whole(message_id(devices, number, back))
                for number in range(back, len(devices))
            )
            for back in (1, 2)
        )
        if (came, past) not in self._answers:
            from edgesim.nn.chains.skipping import chain_answers

            self._answers[came, past] = chain_answers(self.chain, self.samples, came, past)
        return self._answers[came, past]

    def describe(self) -> dict[str, Any]:
        """Return the layers of each device, what the network reaches with everything delivered, and bytes of weights by device."""
        return {
            "devices": list(self.options.devices),
            "cuts": list(self.options.cuts),
            **{name: value for name, value in self.metrics.items() if name != "epoch"},
            "weight_byte": dict(self.plan.weight_byte),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_answers": {}}
