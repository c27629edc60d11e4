"""Layer partitioning after MoDNN: every layer cut over workers, through one owner or with halos exchanged between neighbours."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Lt

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.plan import Compute
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.nn.operators.boxes import Box
from edgesim.nn.operators.division import cut
from edgesim.strategies.ends import known_device
from edgesim.units import Seconds

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Inputs, Samples
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext
    from edgesim.nn.cut.stages import Stage, StagedNetwork
    from edgesim.strategies.layers.partition import CutStage

_CUTTABLE = "1- to 3-dimensional convolutions with zero padding, linear layers, matrix products and attention, written as modules or functions"


@dataclass(frozen=True, slots=True)
class MoDNN:
    """Cut every layer over workers; an owner scatters and gathers, or workers exchange halos.

    Each convolution is cut along the longer spatial axis of its output (height on ties) into strips, one per device, with
    heights proportional to how fast the device computes that layer (largest remainder; a device may get none). A device gets
    the input rows that its strip reads, those of the halo included. Linear layers on vectors read their whole input and are cut by output, those on tokens and feature maps like convolutions of one pixel.
    What cannot be cut runs on the owner; a convolution or matrix product that cannot be cut is an error unless `uncut` is
    ``owner``. All bytes follow from the shapes of the tensors.

    With `execution` ``mapreduce`` every layer's input is scattered and its output gathered by the owner. With ``halo`` outputs
    stay where they are, heights are proportional to the speed for a whole run of layers, and neighbours send each other the
    rows that the next layer reads beyond their own; additions, concatenations and poolings stay at the devices too. The owner
    scatters before a run and gathers behind it, where it has to act: flattening, linear layers, global pooling.

    With ``tensor`` linear layers that follow one another are divided together, with what lies between them: the first by features, attention by
    heads (those that share keys and values together), the last by its inputs, so that each device returns a partial sum and the owner sums up.
    A transformer block has two gathers then. What is left is cut as with ``mapreduce``.

    With `on_missing` ``wait`` every step waits for its messages, for ever when one is lost for good. With ``degrade`` it goes on
    at its deadline with zeros exactly where a lost tensor would have been read. A device that did not get the input of a stage
    computes nothing in that stage. There is never an answer without the input at the owner and the logits at the sink.

    Parameters
    ----------
    owner : id of the device that scatters and gathers.
    workers : pattern of the ids of the devices that compute; the owner is no worker.
    owner_computes : whether the owner computes a share too.
    execution : ``mapreduce``, ``halo`` or ``tensor``, see above.
    cut : ``strips``; ``tiles``, by halving the devices and the longer axis in proportion; or output ``channels``.
    on_missing : what a step does when a message does not come.
    step_deadline_s : how long a step waits for messages, counted from when its inputs on the same device are ready, in s; needed
        with ``degrade``, not used with ``wait``. With ``halo`` the n-th exchange of a run waits n times as long, and the owner
        for the whole run the sum of them and of the computations, so that a neighbour's waiting is not taken for a loss.
    wake_up_s : time that a worker needs before it computes when a scattered message finds it asleep, in s; the owner never sleeps,
        and workers stay awake during a run. Time per transfer on the air is the link's message overhead.
    pruning : share of the weights of each linear layer, the smallest, that are set to zero; 0 leaves the network as it is.
    linear : how pruned matrices are divided: ``outputs``, rows in order; ``mscc``, rows by spectral co-clusters; ``fgcp``, entries
        outside the co-clusters one by one. Devices get the inputs and return the partial sums of their nonzero entries only.
    partial : what becomes of a result, or of a message between devices, that lost some of its packets: ``discard`` it, or ``use``
        the values that arrived, with zeros in place of the others only; with ``degrade``, and without `pruning` and `linear`.
        Which packets arrived: see `edgesim.domain.delivery.Arrived`. A worker whose scattered input is not whole computes nothing
        either way.
    missing : with ``degrade``: what stands for a tensor that did not come: ``zeros``, or its ``mean`` over the validation split, which whoever would
        receive it holds in memory; without `pruning` and `linear`.
    uncut : ``refuse`` networks with a convolution or matrix product that cannot be cut, or leave these to the ``owner``.
    messages : how numbers are written in all messages, `dtype` ``float32``, ``float16`` or ``int8``; rounded without `pruning`, `linear` and `partial`.

    Formula
    -------
    Height of the strip of device i = rows x rate_i / (sum of rates), in whole rows. Traffic of a layer with
    mapreduce = sum over workers of (rows its strip reads + rows of its strip) x bytes of a row; with halo only the
    rows beyond a device's own. Messages of ``float16`` and ``int8`` see `edgesim.domain.networks.messages.Messages`. Latency of a layer = slowest of (scatter + computing + gather); `edgesim plan` shows
    each.

    Validity
    --------
    With everything delivered the logits are those of the whole network up to the order of float additions, and to what
    rounded messages change. What degrade costs in accuracy is measured, not assumed. Times hold where one layer runs at a time; layers are not
    pipelined.

    References
    ----------
    J. Mao, X. Chen, K. W. Nixon, C. Krieger, Y. Chen, MoDNN: Local Distributed Mobile Computing System for Deep Neural
    Network, DATE 2017, doi 10.23919/DATE.2017.7927211 (one-dimensional partition, group owner, MSCC, FGCP). Assumed: the owner
    runs what is not cut, lost tensors are zeros, all of `degrade`, and the rules marked so in `edgesim.nn.cut.sparse_split`.
    """

    owner: DeviceId
    workers: DeviceGlob = "*"
    owner_computes: bool = False
    execution: Literal["mapreduce", "halo", "tensor"] = "mapreduce"
    cut: Literal["strips", "tiles", "channels"] = "strips"
    on_missing: Literal["wait", "degrade"] = "wait"
    step_deadline_s: Seconds | None = None
    wake_up_s: Seconds = 0.0
    pruning: Annotated[float, Ge(0), Lt(1)] = 0.0
    linear: Literal["outputs", "mscc", "fgcp"] = "outputs"
    partial: Literal["discard", "use"] = "discard"
    uncut: Literal["refuse", "owner"] = "refuse"
    messages: Messages = AS_COMPUTED
    missing: Literal["zeros", "mean"] = "zeros"

    @property
    def needs_training(self) -> bool:
        """Whether its plan depends on weights, not only on shapes."""
        return self.pruning > 0 or self.linear != "outputs"

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when no worker matches, ``degrade`` has no deadline, or options do not go together."""
        if self.on_missing == "degrade" and self.step_deadline_s is None:
            raise PlanError("modnn: on_missing 'degrade' needs step_deadline, how long the owner waits for one layer")
        if self.partial == "use" and (self.on_missing == "wait" or self.needs_training):
            raise PlanError(
                "modnn: partial 'use' needs on_missing 'degrade', and neither pruning nor linear: who waits goes on with whole "
                "messages only, and of partial sums there is no part"
            )
        if self.execution == "tensor" and self.needs_training:
            raise PlanError(
                "modnn: execution 'tensor' divides linear layers by itself; leave out pruning and linear, or take execution 'mapreduce'"
            )
        if self.missing == "mean" and (self.on_missing == "wait" or self.needs_training):
            raise PlanError(
                "modnn: missing 'mean' needs on_missing 'degrade', and neither pruning nor linear: who waits misses nothing, and a partial sum "
                "that is lost adds nothing"
            )
        if self.messages.is_rounding and (self.needs_training or self.partial == "use"):
            raise PlanError(
                f"modnn: messages of dtype {self.messages.dtype} are whole tensors; leave out pruning, linear and partial, or take dtype float32"
            )
        if not self._worker_ids(topology):
            raise PlanError(
                f"modnn.workers: {self.workers!r} matches no device but the owner; name at least one worker"
            )

    def _worker_ids(self, topology: Topology) -> tuple[str, ...]:
        ids = [device.device_id for device in topology.devices]
        return tuple(name for name in ids if is_selected(name, self.workers) and name != self.owner)

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When the owner or the workers are not in the topology, the deadline is missing, the network has nothing to cut, or a
            convolution or matrix product that cannot be cut.
        DataError
            When the network cannot be traced.
        """
        from edgesim.strategies.layers.partition import LayerPartition
        from edgesim.strategies.layers.plan import PlanWriter

        known_device(context, "modnn.owner", self.owner)
        self.check(context.topology)
        device_ids = self._worker_ids(context.topology)
        if self.owner_computes:
            device_ids = (self.owner, *device_ids)
        network = copy.deepcopy(context.network) if self.pruning else context.network
        cut_up = self._staged(network, context.dataset.inputs, len(device_ids))
        stages = tuple(self._cut_stage(context, cut_up, stage, device_ids) for stage in cut_up.stages)
        cut_up = replace(cut_up, stages=tuple(cut.stage for cut in stages))
        deadline_s = self.step_deadline_s if self.on_missing == "degrade" else None
        has_means = self.missing == "mean"
        writer = PlanWriter(
            context, self.owner, device_ids, cut_up, stages, deadline_s, self.wake_up_s, self.messages, has_means
        )
        plan = writer.write()
        return LayerPartition(
            plan, self.owner, device_ids, self.on_missing, self.execution, self.cut, cut_up, stages,
            context.dataset.test, self._notes(context, network), self.partial == "use",
            self.messages, _means(cut_up, context.dataset.validation) if has_means else {},
        )  # fmt: skip

    def _staged(self, network: torch.nn.Module, inputs: Inputs, n_devices: int) -> StagedNetwork:
        """Divide the network into what is cut and what is not, and prune its linear layers if that is wanted."""
        from edgesim.nn.cut.sparse_split import prune
        from edgesim.nn.cut.staging import staged, staged_once

        is_divided = bool(self.pruning) or self.linear != "outputs"
        if self.pruning or self.execution == "tensor":  # these change the graph
            cut_up = staged(
                network, inputs, self.execution, self.cut, has_bare_matrices=is_divided, n_devices=n_devices
            )
        else:
            cut_up = staged_once(network, inputs, self.execution, self.cut, has_bare_matrices=is_divided)
        if cut_up.uncut and self.uncut == "refuse":
            raise PlanError(
                f"modnn: cannot cut {', '.join(cut_up.uncut)}; set uncut: owner to leave that to the owner, or build the network "
                f"from {_CUTTABLE}"
            )
        if not cut_up.stages:
            operators = ", ".join(sorted({layer.layer_id for layer in cut_up.segments[0].layers})) or "none"
            raise PlanError(
                f"modnn: nothing of the network can be cut; its layers are {operators}; it takes {_CUTTABLE}; build the network "
                "from these or use strategy 'single'"
            )
        if self.pruning:
            prune(cut_up.graph, self.pruning)
        return cut_up

    def _cut_stage(
        self, context: DeploymentContext, cut_up: StagedNetwork, stage: Stage, device_ids: Sequence[str]
    ) -> CutStage:
        """Cut a stage over the devices in proportion to their speeds for it."""
        from edgesim.nn.cut.schedule import schedule
        from edgesim.nn.cut.sections import shared_out
        from edgesim.nn.cut.sparse_split import counts, divide
        from edgesim.strategies.layers.partition import CutStage

        speeds = stage_speeds(context, stage, device_ids)
        if stage.n_granules:
            stage, boxes = shared_out(cut_up.graph, stage, speeds)
        else:
            boxes = stage_boxes(stage, self.cut, speeds)
        shares = None
        if stage.is_matrix and (self.pruning or self.linear != "outputs"):
            weight: Any = cut_up.graph.get_submodule(stage.layers[0].module).weight
            if weight.is_meta:
                raise PlanError("modnn: pruning needs weights; give the workload a data set to train the network on")
            shares = divide(weight.detach().numpy(), speeds, self.linear, context.seed)
        found = () if shares is None else tuple(counts(shares, len(device_ids)))
        return CutStage(stage, schedule(stage, boxes), shares, found)

    def _notes(self, context: DeploymentContext, network: torch.nn.Module) -> dict[str, Any]:
        """Return what pruning does to the network: its accuracy on the validation split, before and after."""
        if not self.pruning or not len(context.dataset.validation):
            return {}
        from edgesim.nn.train.training import scored

        dataset = context.dataset
        before, after = (scored(one, dataset.validation, dataset.task) for one in (context.network, network))
        score = dataset.task.scores[0]
        return {"pruning": self.pruning, f"validation_{score.name}": {"as trained": before, "pruned": after}}


def _means(network: StagedNetwork, validation: Samples) -> dict[str, NDArray[np.float32]]:
    """Return what stands for lost parts of each layer; nothing where there are no samples to ask about."""
    from edgesim.nn.cut.network import CutNetwork

    return CutNetwork(network, (), validation).means() if len(validation) else {}


def stage_speeds(context: DeploymentContext, stage: Stage, device_ids: Sequence[str]) -> list[float]:
    """Return one over each device's time for the whole stage, the fastest being 1."""
    work = stage.work()
    times_s = [
        context.compute.duration_s(Compute(stage.name, device_id, work), context.topology.device_of[device_id].profile)
        for device_id in device_ids
    ]
    fastest_s = min(times_s)
    return [fastest_s / time_s if time_s > 0 else 1.0 for time_s in times_s]


def stage_boxes(stage: Stage, form: str, speeds: Sequence[float]) -> dict[str, tuple[Box, ...]]:
    """Cut the output of every layer of a stage; only devices with a share of the first layer take part in the others."""
    first = cut(stage.layers[0].shape, form, speeds, stage.layers[0].roles)
    taking_part = [position for position, box in enumerate(first) if all(box)]
    boxes: dict[str, tuple[Box, ...]] = {}
    for layer in stage.layers:
        nothing: Box = tuple(range(0) for _ in layer.shape)
        found = [nothing] * len(speeds)
        for position, box in zip(
            taking_part,
            cut(layer.shape, form, [speeds[position] for position in taking_part], layer.roles),
            strict=True,
        ):
            found[position] = box
        boxes[layer.name] = tuple(found)
    return boxes
