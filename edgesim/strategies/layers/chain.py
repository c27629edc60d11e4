"""Layers one behind another on a chain of devices: offloading, the best single cut, pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Gt, Len, Lt

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.networks.training import Training
from edgesim.domain.plan import Compute, LayerWork, Plan, Step, Transfer
from edgesim.domain.system.topology import DeviceId
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import (
    INPUT_ID,
    answer_steps,
    input_transfers,
    kernels_here,
    received_answers,
    require_delivered,
)

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext, Kernel
    from edgesim.nn.chains.bottlenecks import NarrowChain
    from edgesim.nn.chains.line import Line
    from edgesim.strategies.layers.placement import ChainTimes, Run

MOST_IN_ANY_ORDER = 10
"""Devices whose orders are all tried; the time doubles with each."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Give each device of a chain a run of layers; each sends on what later layers read.

    With two devices and the best cut this is Neurosurgeon, with more of them EdgeShard; with one it is ``single``. The next request may
    begin while others are on their way, so that a chain is a pipeline when requests come fast. A device may get no layers: the chain
    then goes past it. The answer is that of the whole network; without any of the messages there is none.

    Parameters
    ----------
    devices : ids of the devices that may compute.
    cuts : ``best``, or the ids of the layers behind which the network is cut, one for each device but the last.
    best_for : what ``best`` makes least: the ``latency`` of one request, or for the ``throughput`` the time of the slowest run of layers or
        message, and then the latency.
    order : whether the devices compute in the order ``given``, or in ``any``; at most 10 devices then.
    messages : how numbers are written in all messages, `dtype` ``float32``, ``float16`` or ``int8``; see `edgesim.domain.networks.messages.Messages`.
    bottleneck : share of the channels that cross each cut: a learned convolution of one pixel makes so few of them, and one behind the cut all of
        them again; with cuts that are named. Without it tensors are sent whole.
    training : of the bottlenecks, by distillation; the network stays as it is.

    Formula
    -------
    Latency = sum over runs of their layers' times + sum over messages of their routes' times (size / bandwidth + latency, link by link),
    the input and the answer included. Requests per s <= 1 / (longest of them). Message = all tensors that layers behind the cut read and
    layers in front of it made, 4 byte a number unless `messages` says less; a shortcut that crosses is carried along.

    Validity
    --------
    The best cut is that of requests that wait for nothing: it does not see that messages share a medium, that they are lost, or that
    requests queue. Layers must take the same time alone as in a row, as in all compute models here. A chain that does not fit the memory of
    its devices in any way is made regardless of memory, and refused as any plan that does not fit.

    With a bottleneck the answers are approximate, and `describe` has their score.

    References
    ----------
    Y. Kang et al., Neurosurgeon, ASPLOS 2017, doi 10.1145/3037697.3037698 (one cut between a mobile device and a server). M. Zhang et al.,
    EdgeShard, arXiv:2405.14371, 2024 (dynamic programming over devices). Assumed: everything that crosses a cut goes in one message. Bottlenecks: A. E. Eshratifar, A. Esmaili, M. Pedram, BottleNet, ISLPED 2019, arXiv:1902.01000; ours are linear, without a codec.
    """

    devices: Annotated[tuple[DeviceId, ...], Len(1)]
    cuts: Literal["best"] | tuple[str, ...] = "best"
    best_for: Literal["latency", "throughput"] = "latency"
    order: Literal["given", "any"] = "given"
    messages: Messages = AS_COMPUTED
    bottleneck: Annotated[float, Gt(0), Lt(1)] | None = None
    training: Training = Training(epochs=20)  # noqa: RUF009 - frozen

    @property
    def needs_training(self) -> bool:
        """Whether something is trained: bottlenecks are."""
        return self.bottleneck is not None

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when a device is unknown or named twice, or the cuts are not one less than the devices."""
        unknown = [name for name in self.devices if name not in topology.device_of]
        if unknown:
            raise PlanError(
                f"chain.devices: there is no device {unknown[0]!r} in the topology; its devices are {', '.join(sorted(topology.device_of))}"
            )
        if len(set(self.devices)) < len(self.devices):
            raise PlanError("chain.devices: a device is named twice; each computes one run of layers")
        if self.cuts != "best" and len(self.cuts) != len(self.devices) - 1:
            raise PlanError(
                f"chain.cuts: {len(self.devices)} devices need {len(self.devices) - 1} cuts, not {len(self.cuts)}; "
                "name the layer behind which each is, or write best"
            )
        if self.bottleneck is not None and (self.cuts == "best" or not self.cuts or self.messages.is_rounding):
            raise PlanError(
                "chain.bottleneck: it narrows the tensors at cuts that are named, and numbers are sent as computed; name the cuts, and leave out messages"
            )
        if self.order == "any" and (self.cuts != "best" or len(self.devices) > MOST_IN_ANY_ORDER):
            raise PlanError(
                f"chain.order: any goes with cuts: best and at most {MOST_IN_ANY_ORDER} devices; give the devices in order"
            )

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment; its answers are computed here, once.

        Raises
        ------
        PlanError
            When a device or layer is unknown, or no way leads through the devices.
        DataError
            When the network cannot be traced.
        """
        import numpy as np

        from edgesim.nn.chains.line import RoundedLine, line_of
        from edgesim.nn.train.training import forward, forward_of

        self.check(context.topology)
        line = line_of(context.network, context.dataset.inputs, self.messages)
        runs = self._runs(context, line)
        dataset = context.dataset
        empty = np.empty((0, *dataset.task.output.shape), np.float32)
        names = [layer.layer_id for layer in line.layers]
        layers = {self.devices[run.device]: names[run.start : run.stop] for run in runs}
        if self.bottleneck is not None:
            return self._narrow(context, line, runs, layers)
        plan = self._plan(context, line, runs)
        starts = [run.start for run in runs]
        if not len(dataset.test):
            answers = empty
        elif not self.messages.is_rounding:
            answers = forward(context.network, dataset.test.inputs)
        else:
            inputs = dataset.test.inputs
            inputs = self.messages.received_inputs(inputs) if INPUT_ID in plan.transfer_ids else inputs
            rounded = RoundedLine(context.network, dataset.inputs, starts[1:], self.messages)
            answers = received_answers(plan, self.messages, forward_of(rounded.answers, inputs))
        here = kernels_here(plan, self.messages, lambda: _kernels(plan, context.network, dataset.inputs, starts))
        return ChainedNetwork(plan, layers, answers, here)

    def _narrow(
        self, context: DeploymentContext, line: Line, runs: Sequence[Run], layers: dict[str, list[str]]
    ) -> ChainedNetwork:
        """Return the deployment with bottlenecks, trained or loaded."""
        from edgesim.nn.chains.bottlenecks import train_bottlenecks
        from edgesim.nn.train.cache import NetworkCache
        from edgesim.nn.train.training import forward
        from edgesim.strategies.students.networks import workload_of

        chain, metrics = train_bottlenecks(
            context.network, context.network_key, context.dataset, cuts=tuple(self.cuts), share=self.bottleneck or 1.0,
            training=self.training, seed=context.seed, progress=context.progress, cache=NetworkCache.default(),
        )  # fmt: skip
        shapes = zip(chain.shapes[1:], chain.sent_shapes, chain.narrow, chain.widen, strict=True)
        squeezes = [
            Squeeze(first.output_byte, first.work, second.work, first.weight_byte, second.weight_byte)
            for first, second in (
                (workload_of(narrow, shape), workload_of(widen, sent)) for shape, sent, narrow, widen in shapes
            )
        ]
        plan = self._plan(context, line, runs, squeezes)
        here = Here(lambda: _narrow_kernels(plan, chain))
        reached = {name: value for name, value in metrics.items() if name != "epoch"}
        return ChainedNetwork(plan, layers, forward(chain, context.dataset.test.inputs), here, reached)

    def _runs(self, context: DeploymentContext, line: Line) -> tuple[Run, ...]:
        """Return who computes what."""
        from edgesim.strategies.layers.placement import best_chain, given_chain

        if self.cuts != "best":
            return given_chain(_places(self.cuts, line), len(line.layers))
        for has_memory_limits in (True, False):
            found = best_chain(
                self._times(context, line, has_memory_limits=has_memory_limits), self.best_for, self.order
            )
            if found:
                return found
        raise PlanError(
            f"chain: no way leads from {context.source_id!r} through any of {', '.join(self.devices)} to {context.sink_id!r}; "
            "add links, or name other devices"
        )

    def _times(self, context: DeploymentContext, line: Line, *, has_memory_limits: bool) -> ChainTimes:
        """Return what runs and messages take when nothing waits."""
        import numpy as np

        from edgesim.nn.cost.layers import layer_work
        from edgesim.strategies.layers.placement import ChainTimes

        topology, n_layers, n_devices = context.topology, len(line.layers), len(self.devices)
        run_s = np.full((n_devices, n_layers + 1, n_layers + 1), np.inf)
        profiles = [topology.device_of[name].profile for name in self.devices]
        layer_s = [
            [context.compute.duration_s(Compute("layer", name, (layer_work(layer),)), profile) for layer in line.layers]
            for name, profile in zip(self.devices, profiles, strict=True)
        ]
        needed_byte = _needed_byte(line)
        for device, profile in enumerate(profiles):
            until_s = np.concatenate([[0.0], np.cumsum(layer_s[device])])
            fits = needed_byte <= (profile.memory_byte if has_memory_limits else np.inf)
            run_s[device] = np.where(fits, until_s[None, :] - until_s[:, None], np.inf)
        message_s = np.array(
            [
                [[message_time_s(topology, a, b, size) for size in line.sent_byte] for b in self.devices]
                for a in self.devices
            ]
        )
        first, last = line.sent_byte[0], line.sent_byte[-1]
        input_s = np.array([message_time_s(topology, context.source_id, name, first) for name in self.devices])
        answer_s = np.array([message_time_s(topology, name, context.sink_id, last) for name in self.devices])
        return ChainTimes(run_s, message_s, input_s, answer_s)

    def _plan(
        self, context: DeploymentContext, line: Line, runs: Sequence[Run], squeezes: Sequence[Squeeze] = ()
    ) -> Plan:
        """Write the steps."""
        from edgesim.nn.cost.layers import layer_work

        steps: list[Step] = [
            *input_transfers(context, self.devices[runs[0].device], line.crossing_byte[0], self.messages)
        ]
        weight_byte: dict[str, int] = {}
        last = None
        for number, run in enumerate(runs):
            device_id = self.devices[run.device]
            entering, leaving = squeezes[number - 1 : number] if number else (), squeezes[number : number + 1]
            if last is not None:
                layer_id = line.layers[run.start - 1].layer_id
                size_byte = entering[0].sent_byte if entering else line.sent_byte[run.start]
                steps.append(
                    Transfer(
                        f"behind {layer_id}",
                        last.device_id,
                        device_id,
                        size_byte,
                        f"cut behind {layer_id}",
                        "intermediate",
                        (last.step_id,),
                    )
                )
            last = Compute(
                f"layers of {device_id}",
                device_id,
                (
                    *(work for one in entering for work in one.widening),
                    *(layer_work(layer) for layer in line.layers[run.start : run.stop]),
                    *(work for one in leaving for work in one.narrowing),
                ),
                (steps[-1].step_id,) if steps else (),
                line.activation_byte(run.start, run.stop),
            )
            steps.append(last)
            weight_byte[device_id] = line.weight_byte(run.start, run.stop)
            weight_byte[device_id] += sum(one.widening_byte for one in entering)
            weight_byte[device_id] += sum(one.narrowing_byte for one in leaving)
        if last is None:
            raise PlanError("chain: no device computes anything")
        steps += answer_steps(context, last, line.crossing_byte[-1], self.messages)
        return Plan(tuple(steps), steps[-1].step_id, weight_byte)


@dataclass(frozen=True, slots=True)
class Squeeze:
    """What a bottleneck sends, in byte, and the work and the weights, in byte, in front of its cut and behind it."""

    sent_byte: int
    narrowing: tuple[LayerWork, ...]
    widening: tuple[LayerWork, ...]
    narrowing_byte: int
    widening_byte: int


def message_time_s(topology: Topology, src_id: str, dst_id: str, size_byte: int) -> float:
    """Return the time of a message when nothing waits, in s: 0 on the same device, infinite without a route."""
    if src_id == dst_id:
        return 0.0
    try:
        route = topology.route(src_id, dst_id)
    except PlanError:
        return float("inf")
    return sum(link.occupation_s(size_byte) + link.latency_s for link in route)


def _needed_byte(line: Line) -> NDArray[np.float64]:
    """Return the memory of each run of layers, shape (L + 1, L + 1), in byte; infinite unless i < j."""
    import numpy as np

    n_layers = len(line.layers)
    needed_byte = np.full((n_layers + 1, n_layers + 1), np.inf)
    for start in range(n_layers):
        weights: dict[int, int] = {}
        weight_byte = held_byte = 0
        for stop in range(start + 1, n_layers + 1):
            new = {name: size for name, size in line.weights[stop - 1].items() if name not in weights}
            weights |= new
            weight_byte += sum(new.values())
            held_byte = max(held_byte, line.held_byte[stop - 1])
            ends_byte = max(line.crossing_byte[start], line.crossing_byte[stop])
            needed_byte[start, stop] = weight_byte + max(held_byte, ends_byte)
    return needed_byte


def _places(cuts: Sequence[str], line: Line) -> list[int]:
    """Return the places behind layers, in order. Raises `PlanError` when a layer is unknown or they are not in order."""
    names = [layer.layer_id for layer in line.layers]
    unknown = [name for name in cuts if name not in names]
    if unknown:
        raise PlanError(f"chain.cuts: the network has no layer {unknown[0]!r}; its layers are {', '.join(names)}")
    places = [names.index(name) + 1 for name in cuts]
    if any(a >= b for a, b in zip(places, (*places[1:], len(names)), strict=True)):
        raise PlanError(
            f"chain.cuts: {', '.join(cuts)} leave a device without layers; name layers in order of execution, the last of all "
            f"({names[-1]!r}) not among them"
        )
    return places


def _kernels(plan: Plan, network: torch.nn.Module, inputs: Inputs, starts: Sequence[int]) -> Mapping[str, Kernel]:
    """Return what each device computes."""
    from edgesim.nn.kernels.pieces import pieces
    from edgesim.nn.kernels.whole import arrival

    goals_of = _goals(plan)
    found: dict[str, Kernel] = {plan.answer_id: arrival}
    made = pieces(network, inputs, starts, list(goals_of.values()))
    return {**found, **dict(zip(goals_of, made, strict=True))}


def _narrow_kernels(plan: Plan, chain: NarrowChain) -> Mapping[str, Kernel]:
    """Return what each device computes of a chain with bottlenecks."""
    from edgesim.nn.kernels.chains import RowKernel
    from edgesim.nn.kernels.whole import arrival

    kernels: dict[str, Kernel] = {plan.answer_id: arrival}
    for number, (step_id, goals) in enumerate(_goals(plan).items()):
        entering = list(chain.widen)[number - 1 : number] if number else []
        leaving = list(chain.narrow)[number : number + 1]
        kernels[step_id] = RowKernel([*entering, list(chain.segments)[number], *leaving], goals)
    return kernels


def _goals(plan: Plan) -> dict[str, list[str]]:
    """Return the transfers that wait for each computation of layers, by its id."""
    layers = [step.step_id for step in plan.computes if step.work]
    return {name: [transfer.step_id for transfer in plan.transfers if name in transfer.inputs] for name in layers}


@dataclass(frozen=True, slots=True)
class ChainedNetwork:
    """A network on a chain of devices.

    Parameters
    ----------
    plan : the steps of one inference.
    layers : ids of the layers by device.
    answers : to the test split, shape (n, *output).
    here : makes the kernels.
    reached : scores of a network with bottlenecks.
    """

    plan: Plan
    layers: dict[str, list[str]]
    answers: NDArray[np.float32]
    here: Here = field(default_factory=Here)
    reached: dict[str, float] = field(default_factory=dict)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split. Raises `PlanError` when a message was lost: nothing can stand in for what it carries."""
        require_delivered(tuple(transfer.step_id for transfer in self.plan.transfers), delivery)
        return self.answers

    def describe(self) -> dict[str, Any]:
        """Return who computes which layers, the bytes of their weights, and the scores of bottlenecks."""
        return {"layers": self.layers, "weight_byte": dict(self.plan.weight_byte), **self.reached}
