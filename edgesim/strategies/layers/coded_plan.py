"""Writes the plan of coded layers: inputs to all, parts and parity back, of which one may be missing, and decoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute, LayerWork, OnMissing, Plan, Step, Transfer
from edgesim.nn.operators.boxes import Box, volume, whole
from edgesim.strategies.ends import answer_steps, input_transfers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.interfaces import DeploymentContext
    from edgesim.nn.cut.stages import Layer, Segment, Stage, StagedNetwork

VALUE_BYTE = 4
"""Size of a value (float32)."""
START_ID = "start"
"""Id of what the owner computes in front of all coded layers."""


def scatter_id(stage: str, device_id: str) -> str:
    """Return the id of the transfer of a layer's input to a device."""
    return f"{stage}/scatter/{device_id}"


def gather_id(stage: str, device_id: str) -> str:
    """Return the id of the transfer of a device's result of a layer."""
    return f"{stage}/gather/{device_id}"


def compute_id(stage: str, device_id: str) -> str:
    """Return the id of what a device computes of a layer."""
    return f"{stage}/compute/{device_id}"


def decode_id(stage: str) -> str:
    """Return the id of what the owner computes behind a layer."""
    return f"{stage}/decode"


def devices_of(worker_ids: Sequence[str], parts: Sequence[range], parity: str) -> list[str]:
    """Return who computes a layer: the device of each part, and the parity device."""
    return [*worker_ids[: len(parts)], parity]


@dataclass
class CodedPlanWriter:
    """Writes the plan, layer by layer.

    Parameters
    ----------
    context : where the plan is for.
    owner, parity : the devices that decode, and that hold the sums.
    worker_ids : who computes the parts, in order.
    network : in stages of one layer each.
    parts : outputs by part, by stage.
    deadline_s : how long the owner waits for one layer, or None to wait for ever, in s.
    """

    context: DeploymentContext
    owner: str
    parity: str
    worker_ids: Sequence[str]
    network: StagedNetwork
    parts: Mapping[str, Sequence[range]]
    deadline_s: float | None
    steps: list[Step] = field(default_factory=list)
    weights: dict[str, dict[str, int]] = field(default_factory=dict)

    def write(self) -> Plan:
        """Return the plan."""
        self.weights[self.owner] = {}
        first = input_transfers(self.context, self.owner, self.network.input_byte)
        self.steps += first
        before = self._owner(START_ID, self.network.segments[0], tuple(step.step_id for step in first))
        for number, stage in enumerate(self.network.stages):
            is_last = number == len(self.network.stages) - 1
            gathered = self._layer(stage, before.step_id, is_first=number == 0, is_last=is_last)
            before = self._owner(
                decode_id(stage.name), self.network.segments[number + 1], (before.step_id,), stage, gathered
            )
        self.steps += answer_steps(self.context, before, self.network.output_byte)
        return Plan(
            tuple(self.steps), self.steps[-1].step_id, {name: sum(held.values()) for name, held in self.weights.items()}
        )

    def _layer(self, stage: Stage, before_id: str, *, is_first: bool, is_last: bool) -> tuple[str, ...]:
        """Add what the devices do for a layer; return what brings their results."""
        (layer,) = stage.layers
        parts = self.parts[stage.name]
        input_byte = sum(tensor.size_byte for tensor in stage.inputs)
        gathered = []
        for rows, device_id in zip((*parts, parts[0]), devices_of(self.worker_ids, parts, self.parity), strict=True):
            box = _box(layer, rows)
            self.weights.setdefault(device_id, {}).update(
                {f"{stage.name}/{name}": size for name, size in layer.weights_of(box).items()}
            )
            self.steps += [
                Transfer(
                    scatter_id(stage.name, device_id), self.owner, device_id, input_byte, f"input of {stage.name}",
                    "input" if is_first else "intermediate", (before_id,),
                ),
                Compute(
                    compute_id(stage.name, device_id), device_id, stage.work({layer.name: box}),
                    (scatter_id(stage.name, device_id),), input_byte + layer.byte_of(box),
                ),
                Transfer(
                    gather_id(stage.name, device_id), device_id, self.owner, layer.byte_of(box),
                    f"sums of {stage.name}" if device_id == self.parity else f"outputs {rows.start}:{rows.stop} of {stage.name}",
                    "result" if is_last else "intermediate", (compute_id(stage.name, device_id),),
                ),
            ]  # fmt: skip
            gathered.append(gather_id(stage.name, device_id))
        return tuple(gathered)

    def _owner(
        self,
        step_id: str,
        segment: Segment,
        inputs: tuple[str, ...],
        stage: Stage | None = None,
        gathered: tuple[str, ...] = (),
    ) -> Compute:
        """Add what the owner does between two layers: decoding, and what is not coded."""
        from edgesim.nn.cost.layers import layer_work

        self.weights[self.owner].update(segment.weights)
        work = [layer_work(layer) for layer in segment.layers]
        held_byte = segment.activation_byte
        if stage is not None:
            (layer,) = stage.layers
            n_parts = len(gathered) - 1
            n_sums = n_parts * volume(_box(layer, self.parts[stage.name][0]))
            moved_byte = VALUE_BYTE * (n_sums + volume(whole(layer.shape)))
            work.insert(0, LayerWork(f"{stage.name} (decode)", "other", float(n_sums), moved_byte))
            held_byte = max(held_byte, moved_byte)
        is_patient = self.deadline_s is None or not gathered
        on_missing: OnMissing = "wait" if is_patient else "degrade"
        step = Compute(
            step_id, self.owner, tuple(work), (*inputs, *gathered), held_byte, on_missing, None if is_patient else self.deadline_s,
            alternatives=(gathered,) if gathered else (), n_enough=max(1, len(gathered) - 1),
        )  # fmt: skip
        self.steps.append(step)
        return step


def _box(layer: Layer, rows: range) -> Box:
    axis = layer.weight_axes[0]
    return tuple(rows if position == axis else range(size) for position, size in enumerate(layer.shape))
