"""Writes the plan of a layer partition: scatter, phases with exchanges between them, gather."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute, LayerWork, Plan, Step, Transfer
from edgesim.nn.operators.boxes import show, volume
from edgesim.strategies.ends import answer_steps, input_transfers
from edgesim.strategies.layers.ids import exchange_id, gather_id, scatter_id
from edgesim.strategies.layers.partition import CutStage

if TYPE_CHECKING:
    from edgesim.domain.networks.messages import Messages
    from edgesim.interfaces import DeploymentContext
    from edgesim.nn.cut.stages import Layer, Segment, StagedNetwork, Tensor
    from edgesim.nn.operators.boxes import Box

VALUE_BYTE = 4
"""Size of a value that is sent (float32), and of an index of a stored nonzero entry."""


@dataclass
class PlanWriter:
    """Writes the plan of a layer partition, stage by stage.

    Parameters
    ----------
    context : where the plan is for.
    owner_id : the device that scatters and gathers.
    device_ids : the devices that compute.
    network : the network in stages.
    stages : how each stage is cut.
    deadline_s : how long a step waits for messages, or None to wait for ever, in s.
    wake_up_s : what a device needs to wake up when a scattered message finds it asleep, in s.
    messages : how numbers are written in them.
    has_means : whether who receives a tensor holds its mean as float32, in case that it does not come.
    """

    context: DeploymentContext
    owner_id: str
    device_ids: Sequence[str]
    network: StagedNetwork
    stages: Sequence[CutStage]
    deadline_s: float | None
    wake_up_s: float
    messages: Messages
    has_means: bool = False
    steps: list[Step] = field(default_factory=list)
    weights: dict[str, dict[str, int]] = field(default_factory=dict)

    def write(self) -> Plan:
        """Return the plan."""
        self.weights[self.owner_id] = {}
        transfers = input_transfers(self.context, self.owner_id, self.network.input_byte, self.messages)
        self.steps.extend(transfers)
        before = self._owner("start", self.network.segments[0], [transfer.step_id for transfer in transfers], None)
        for number, cut in enumerate(self.stages):
            is_first, is_last = number == 0, number == len(self.stages) - 1
            write = self._phases if cut.shares is None else self._entries
            gathered, wait_s, extra = write(cut, before.step_id, is_first=is_first, is_last=is_last)
            segment = self.network.segments[number + 1]
            inputs = [before.step_id, *gathered]
            before = self._owner(f"{cut.stage.name}/join", segment, inputs, wait_s, extra)
        self.steps.extend(answer_steps(self.context, before, self.network.output_byte, self.messages))
        weight_byte = {device_id: sum(sizes.values()) for device_id, sizes in self.weights.items()}
        return Plan(tuple(self.steps), self.steps[-1].step_id, weight_byte)

    def _phases(
        self, cut: CutStage, before_id: str, *, is_first: bool, is_last: bool
    ) -> tuple[list[str], float | None, tuple[LayerWork, ...]]:
        """Add the steps of a stage; return what brings its results, how long they are waited for, and the owner's own work."""
        stage, schedule = cut.stage, cut.schedule
        last: dict[int, str] = {}  # the last step of each device that takes part
        for device, device_id in enumerate(self.device_ids):
            needs = schedule.needs[device]
            if not schedule.boxes_of(device, schedule.phases[0]):
                continue
            last[device] = before_id
            if device_id != self.owner_id:
                tensors = [(stage.tensor(name), box) for name, box in needs.items()]
                size_byte = self._sent_byte(tensors)
                text = "; ".join(show(box, tensor.shape, tensor.roles) for tensor, box in tensors) or "only padding"
                last[device] = self._send(Transfer(
                    scatter_id(stage, device_id), self.owner_id, device_id, size_byte, f"input of {stage.name}, {text}",
                    "input" if is_first else "intermediate", (before_id,),
                ))  # fmt: skip
        for phase, names in enumerate(schedule.phases):
            arrived = self._exchange(cut, phase, last)
            for device, before_phase_id in last.items():
                boxes = schedule.boxes_of(device, names)
                if boxes:
                    inputs = [before_phase_id, *arrived.get(device, ())]
                    last[device] = self._compute(cut, device, phase, boxes, inputs)
        gathered = [self._gather(cut, device, step_id, is_last=is_last) for device, step_id in last.items()]
        return [step_id for step_id in gathered if step_id], self._wait_s(cut), ()

    def _exchange(self, cut: CutStage, phase: int, last: dict[int, str]) -> dict[int, list[str]]:
        """Add the messages in front of a phase; return their ids by receiving device."""
        arrived: dict[int, list[str]] = {}
        for message in cut.schedule.messages:
            if message.phase != phase:
                continue
            src_id, dst_id = self.device_ids[message.src], self.device_ids[message.dst]
            parts = [(cut.stage.tensor(name), box) for name, box in message.parts]
            size_byte = self._sent_byte(parts)
            text = "; ".join(
                f"{name}, {show(box, t.shape, t.roles)}"
                for (t, box), (name, _) in zip(parts, message.parts, strict=True)
            )
            step_id = exchange_id(cut.stage, phase, src_id, dst_id)
            self._hold_means(dst_id, step_id, parts)
            self._send(Transfer(step_id, src_id, dst_id, size_byte, text, "intermediate", (last[message.src],)))
            arrived.setdefault(message.dst, []).append(step_id)
        return arrived

    def _compute(self, cut: CutStage, device: int, phase: int, boxes: dict[str, Box], inputs: Sequence[str]) -> str:
        """Add what a device computes in a phase and return the id of the step."""
        stage, device_id = cut.stage, self.device_ids[device]
        for layer in stage.layers:
            if layer.name in boxes:
                self.weights.setdefault(device_id, {}).update(layer.weights_of(boxes[layer.name]))
        is_waiting = self.deadline_s is None or len(inputs) == 1
        is_asleep = phase == 0 and device_id != self.owner_id
        name = "compute" if len(cut.schedule.phases) == 1 else f"phase{phase}"
        step = Compute(
            f"{stage.name}/{name}/{device_id}",
            device_id,
            stage.work(boxes),
            tuple(inputs),
            activation_byte(cut, device, boxes),
            "wait" if is_waiting else "degrade",
            None if is_waiting else phase * (self.deadline_s or 0.0),
            self.wake_up_s if is_asleep else 0.0,
        )
        self.steps.append(step)
        return step.step_id

    def _gather(self, cut: CutStage, device: int, step_id: str, *, is_last: bool) -> str:
        """Add the transfer of a device's results; return what brings them to the owner, nothing when there are none."""
        stage, device_id = cut.stage, self.device_ids[device]
        outputs = [(stage.tensor(name), cut.schedule.boxes[name][device]) for name in stage.outputs]
        size_byte = self._sent_byte(outputs)
        if device_id == self.owner_id or not size_byte:
            return step_id if device_id == self.owner_id else ""
        text = "; ".join(show(box, tensor.shape, tensor.roles) for tensor, box in outputs if volume(box))
        self._hold_means(self.owner_id, gather_id(stage, device_id), outputs)
        return self._send(Transfer(
            gather_id(stage, device_id), device_id, self.owner_id, size_byte, f"output of {stage.name}, {text}",
            "result" if is_last else "intermediate", (step_id,),
        ))  # fmt: skip

    def _hold_means(self, device_id: str, step_id: str, parts: Sequence[tuple[Tensor | Layer, Box]]) -> None:
        """Let a device hold what stands for the parts of a message."""
        if self.has_means:
            held = self.weights.setdefault(device_id, {})
            held[f"{step_id} (means)"] = VALUE_BYTE * sum(volume(box) for _, box in parts)

    def _entries(
        self, cut: CutStage, before_id: str, *, is_first: bool, is_last: bool
    ) -> tuple[list[str], float | None, tuple[LayerWork, ...]]:
        """Add the steps of a matrix divided by entries: inputs to each device, partial sums back, summed by the owner."""
        stage, layer = cut.stage, cut.stage.layers[0]
        gathered = []
        for device_id, count in zip(self.device_ids, cut.counts, strict=True):
            if not count.n_entries:
                continue
            stored_byte = 2 * VALUE_BYTE * count.n_entries  # value and index
            self.weights.setdefault(device_id, {})[layer.name] = stored_byte
            is_own = device_id == self.owner_id
            input_byte, output_byte = VALUE_BYTE * count.n_inputs, VALUE_BYTE * count.n_outputs
            start = before_id if is_own else self._send(Transfer(
                scatter_id(stage, device_id), self.owner_id, device_id, input_byte,
                f"input of {stage.name}, {count.n_inputs} features", "input" if is_first else "intermediate", (before_id,),
            ))  # fmt: skip
            moved_byte = stored_byte + input_byte + output_byte
            weight_byte = VALUE_BYTE * count.n_entries
            work = LayerWork(layer.layer_id, "linear", 2.0 * count.n_entries, moved_byte, weight_byte)
            step = Compute(
                f"{stage.name}/compute/{device_id}", device_id, (work,), (start,), input_byte + output_byte,
                fixed_s=0.0 if is_own else self.wake_up_s,
            )  # fmt: skip
            self.steps.append(step)
            gathered.append(step.step_id if is_own else self._send(Transfer(
                gather_id(stage, device_id), device_id, self.owner_id, output_byte,
                f"partial sums of {stage.name}, {count.n_outputs} features", "result" if is_last else "intermediate",
                (step.step_id,),
            )))  # fmt: skip
        n_sums = sum(count.n_outputs for count in cut.counts) + layer.shape[0]  # partial sums and the bias
        work = LayerWork(f"{layer.layer_id} (sum)", "other", float(n_sums), VALUE_BYTE * (n_sums + layer.shape[0]))
        self.weights[self.owner_id][f"{layer.name} (bias)"] = VALUE_BYTE * layer.shape[0]
        return gathered, self.deadline_s, (work,)

    def _wait_s(self, cut: CutStage) -> float | None:
        """Return how long the owner waits for the results of a stage: long enough that waiting in it makes no result late."""
        if self.deadline_s is None:
            return None
        n_exchanges = len(cut.schedule.phases) - 1
        later_s = 0.0
        if n_exchanges:
            for device, device_id in enumerate(self.device_ids):
                names = [name for phase in cut.schedule.phases[1:] for name in phase]
                step = Compute("later", device_id, cut.stage.work(cut.schedule.boxes_of(device, names)))
                profile = self.context.topology.device_of[device_id].profile
                later_s = max(later_s, self.context.compute.duration_s(step, profile))
        return self.deadline_s * (1 + n_exchanges * (n_exchanges + 1) / 2) + later_s

    def _owner(
        self,
        step_id: str,
        segment: Segment,
        inputs: Sequence[str],
        deadline_s: float | None,
        extra: tuple[LayerWork, ...] = (),
    ) -> Compute:
        """Add what the owner does between two stages; without deadline when nothing can stand in for its inputs."""
        from edgesim.nn.cost.layers import layer_work

        self.weights[self.owner_id].update(segment.weights)
        join = Compute(
            step_id,
            self.owner_id,
            (*extra, *(layer_work(layer) for layer in segment.layers)),
            tuple(dict.fromkeys(inputs)),
            segment.activation_byte,
            "wait" if deadline_s is None else "degrade",
            deadline_s,
        )
        self.steps.append(join)
        return join

    def _sent_byte(self, tensors: Sequence[tuple[Tensor | Layer, Box]]) -> int:
        """Return the size of a message of these boxes, each a tensor of its own, in byte."""
        return sum(
            self.messages.byte_of(tensor.byte_of(box), volume(box) if tensor.is_float else 0) for tensor, box in tensors
        )

    def _send(self, transfer: Transfer) -> str:
        self.steps.append(transfer)
        return transfer.step_id


def activation_byte(cut: CutStage, device: int, boxes: dict[str, Box]) -> int:
    """Return the peak of the tensors alive on a device in a phase, in byte.

    Alive at a layer are: what it reads, its output, and the device's boxes of tensors that later layers or the owner need.
    """
    stage, schedule = cut.stage, cut.schedule
    order = {layer.name: position for position, layer in enumerate(stage.layers)}
    last_use = {name: len(order) for name in stage.outputs}
    for position, layer in enumerate(stage.layers):
        for name, _ in layer.reader.sources:
            last_use[name] = max(last_use.get(name, position), position)
    peak = 0
    for name, box in boxes.items():
        position = order[name]
        layer = stage.layers[position]
        reads = {source: (stage.tensor(source), read) for source, read in layer.reader.reads(box)}
        alive = sum(tensor.byte_of(read) for tensor, read in reads.values())
        is_freed = layer.is_overwriting and all(last_use[source] <= position for source in reads)
        alive += 0 if is_freed else layer.byte_of(box)
        for other, until in last_use.items():
            is_made = order.get(other, -1) < position
            if is_made and until > position and other not in reads:
                own = schedule.boxes[other][device] if other in order else schedule.needs[device].get(other)
                alive += stage.tensor(other).byte_of(own) if own else 0
        peak = max(peak, alive)
    return peak
