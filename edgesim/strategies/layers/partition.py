"""What layer partitioning deploys: the cut network, and what a set of delivered transfers makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.networks.samples import Samples
from edgesim.domain.plan import Plan
from edgesim.nn.operators.boxes import show, volume
from edgesim.strategies.ends import ANSWER_ID, INPUT_ID, kernels_here, received_answers, require_delivered
from edgesim.strategies.layers.ids import exchange_id, gather_id, scatter_id
from edgesim.strategies.layers.kernels import cut_kernels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Arrived, Delivery
    from edgesim.interfaces import Kernel
    from edgesim.nn.cut.network import CutNetwork, Damage
    from edgesim.nn.cut.schedule import Schedule
    from edgesim.nn.cut.sparse_split import EntryCounts
    from edgesim.nn.cut.stages import Stage, StagedNetwork

_KEPT_BYTE = 2**26  # answers kept by pattern; a study meets the same patterns again and again


@dataclass(frozen=True, slots=True)
class CutStage:
    """A stage and how the devices compute it.

    Parameters
    ----------
    stage : its layers.
    schedule : boxes, phases and messages, by position of the device.
    shares : for a matrix divided by entries: the device of each entry, shape of the weight; else None.
    counts : what each device needs of such a matrix.
    """

    stage: Stage
    schedule: Schedule
    shares: NDArray[np.int8] | None = None
    counts: tuple[EntryCounts, ...] = ()


@dataclass
class LayerPartition:
    """A network whose layers are cut over devices.

    Parameters
    ----------
    plan : the steps of one inference.
    owner_id : the device that scatters and gathers.
    device_ids : the devices that compute; their positions are those in the schedules.
    on_missing, execution, cut : as in the strategy.
    network : the network in stages; holds the weights.
    stages : how each stage is cut.
    samples : the test split.
    notes : what else a reader should know.
    uses_partial : whether it uses what arrived of results and messages between devices that lost some packets.
    messages : how numbers are written in them.
    fills : what stands for a lost part of a layer, by the layer's name; zeros without them.
    """

    plan: Plan
    owner_id: str
    device_ids: tuple[str, ...]
    on_missing: str
    execution: str
    cut: str
    network: StagedNetwork
    stages: tuple[CutStage, ...]
    samples: Samples
    notes: dict[str, Any] = field(default_factory=dict)
    uses_partial: bool = False
    messages: Messages = AS_COMPUTED
    fills: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    _runner: CutNetwork | None = field(default=None, repr=False)
    _answers: dict[tuple[Damage, ...], NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split with what arrived, by running the cut network.

        A device that did not get the whole input of a stage computes nothing in it: it waits for all of it. What a lost transfer
        carries is zero where it would have been read, and nowhere else; of one that came in part, what came is read.

        Raises
        ------
        PlanError
            When the input did not reach the owner or the answer did not reach the sink; and with ``wait`` when any transfer
            is missing, since the owner then waits for ever.
        """
        return next(self.predict_each([delivery]))

    def predict_each(self, deliveries: Sequence[Delivery]) -> Iterator[NDArray[np.float32]]:
        """Give the answers for each of several deliveries: so many at a time that their answers fit the memory for what is kept."""
        damages = [self._met(delivery) for delivery in deliveries]
        n_together = max(1, _KEPT_BYTE // max(1, self.network.output_byte * len(self.samples)))
        for first in range(0, len(damages), n_together):
            yield from self._answers_to(damages[first : first + n_together])

    def _met(self, delivery: Delivery) -> tuple[Damage, ...]:
        """Return what was lost in each stage; refuse what leaves no answer."""
        transfer_ids = tuple(transfer.step_id for transfer in self.plan.transfers)
        ends = tuple(name for name in transfer_ids if name in {INPUT_ID, ANSWER_ID})
        require_delivered(transfer_ids if self.on_missing == "wait" else ends, delivery)
        arrived = {some.name: some for some in delivery.partial}
        return tuple(self._damage(stage, delivery.incomplete, arrived) for stage in self.stages)

    def _answers_to(self, damages: Sequence[tuple[Damage, ...]]) -> list[NDArray[np.float32]]:
        found = {damage: self._answers[damage] for damage in damages if damage in self._answers}
        new = [damage for damage in dict.fromkeys(damages) if damage not in found]
        if new:
            if self._runner is None:
                self._runner = self._made_runner()
            for damage, answer in zip(new, self._runner.answers_to(new), strict=True):
                found[damage] = received_answers(self.plan, self.messages, answer)
                while self._answers and (len(self._answers) + 1) * answer.nbytes > _KEPT_BYTE:
                    del self._answers[next(iter(self._answers))]
                self._answers[damage] = found[damage]
        return [found[damage] for damage in damages]

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return kernels_here(self.plan, self.messages, self._kernels).kernels()

    def _kernels(self) -> Mapping[str, Kernel]:
        cuts = [(cut.stage, cut.schedule, cut.shares) for cut in self.stages]
        names = list(self.samples.inputs)
        return cut_kernels(self.plan, self.device_ids, network=self.network, cuts=cuts, names=names, fills=self.fills)

    def _damage(self, stage: CutStage, lost: frozenset[str], arrived: Mapping[str, Arrived]) -> Damage:
        from edgesim.nn.cut.network import NOTHING, Damage

        if not lost:
            return NOTHING
        idle, results = (
            frozenset(
                position
                for position, device_id in enumerate(self.device_ids)
                if device_id != self.owner_id and name(stage.stage, device_id) in lost
            )
            for name in (scatter_id, gather_id)
        )
        silent = frozenset(range(len(self.device_ids))) - {message.src for message in stage.schedule.messages}
        gathers = {position: gather_id(stage.stage, self.device_ids[position]) for position in sorted(results - idle)}
        in_part = {position for position, name in gathers.items() if name in arrived}
        # what a device did not compute of which nobody but the owner gets anything is as if it were lost on the way back
        idle, results = idle - silent, results - idle | idle & silent
        unread = idle | silent & results - in_part
        exchanges = {
            position: exchange_id(
                stage.stage, message.phase, self.device_ids[message.src], self.device_ids[message.dst]
            )
            for position, message in enumerate(stage.schedule.messages)
            if message.src not in unread and message.dst not in unread
        }
        some_messages, some_results = (
            tuple((position, arrived[name]) for position, name in names.items() if name in arrived)
            for names in (exchanges, gathers)
        )
        messages = frozenset(position for position, name in exchanges.items() if name in lost)
        return Damage(idle, messages, results, some_messages, some_results)

    def _made_runner(self) -> CutNetwork:
        from edgesim.nn.cut.network import CutNetwork

        schedules = [stage.schedule for stage in self.stages]
        if not self.messages.is_rounding:
            shares = {stage.stage.layers[0].name: stage.shares for stage in self.stages if stage.shares is not None}
            return CutNetwork(self.network, schedules, self.samples, shares, fills=self.fills)
        from edgesim.nn.cut.rounded import RoundedNetwork

        samples = self.samples
        if INPUT_ID in self.plan.transfer_ids:
            samples = Samples(self.messages.received_inputs(samples.inputs), samples.targets)
        owner = self.device_ids.index(self.owner_id) if self.owner_id in self.device_ids else None
        return RoundedNetwork(self.network, schedules, samples, self.messages, owner=owner, fills=self.fills)

    def describe(self) -> dict[str, Any]:
        """Return boxes by layer and device, what cannot be cut, the layers that the owner runs, traffic by kind and weights by device, in byte."""
        traffic_byte: dict[str, int] = {"input": 0, "intermediate": 0, "result": 0}
        for transfer in self.plan.transfers:
            traffic_byte[transfer.kind] += transfer.size_byte
        return {
            "owner": self.owner_id,
            "on_missing": self.on_missing,
            "execution": self.execution,
            "cut": self.cut,
            "boxes": {layer_id: boxes for stage in self.stages for layer_id, boxes in self._boxes(stage).items()},
            "uncut": list(self.network.uncut),
            "layers_of_owner": [layer.layer_id for segment in self.network.segments for layer in segment.layers],
            "traffic_byte": traffic_byte,
            "weight_byte": dict(self.plan.weight_byte),
            **self.notes,
        }

    def _boxes(self, stage: CutStage) -> dict[str, dict[str, str]]:
        """Return the boxes of convolutions, linear layers and first layers of a phase in words, by layer and device."""
        if stage.shares is not None:
            entries = {
                device_id: f"{count.n_entries} entries"
                for device_id, count in zip(self.device_ids, stage.counts, strict=True)
            }
            return {stage.stage.name: entries}
        first = {phase[0] for phase in stage.schedule.phases}
        return {
            layer.layer_id: {
                device_id: show(box, layer.shape, layer.roles)
                for device_id, box in zip(self.device_ids, stage.schedule.boxes[layer.name], strict=True)
                if volume(box)
            }
            for layer in stage.stage.layers
            if layer.is_main or layer.name in first
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runner": None, "_answers": {}}
