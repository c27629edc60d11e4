"""Writes the plan of fused tiles: inputs of tiles, tiles, overlaps between them, tiles of the output, and the owner's part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute, OnMissing, Plan, Step, Transfer
from edgesim.nn.operators.boxes import show
from edgesim.strategies.ends import answer_steps, input_transfers
from edgesim.strategies.layers.partition import CutStage
from edgesim.strategies.layers.plan import activation_byte

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.networks.costs import LayerCost
    from edgesim.domain.plan import LayerWork
    from edgesim.interfaces import DeploymentContext
    from edgesim.nn.cut.schedule import Message, Schedule
    from edgesim.nn.cut.stages import Stage, StagedNetwork


def scatter_id(place: str) -> str:
    """Return the id of the transfer of the input of a tile."""
    return f"tile {place}/scatter"


def gather_id(place: str) -> str:
    """Return the id of the transfer of a tile of the output."""
    return f"tile {place}/gather"


def overlap_id(place: str, other: str) -> str:
    """Return the id of the transfer of what a tile gets from another."""
    return f"tile {place}/overlap/{other}"


def compute_id(place: str) -> str:
    """Return the id of the computation of a tile."""
    return f"tile {place}/compute"


@dataclass
class TilePlanWriter:
    """Writes the plan, tile by tile.

    Parameters
    ----------
    context : where the plan is for.
    owner : the device that hands out and collects.
    network : the network, whose one stage is fused.
    schedule : what each tile computes, reads and gets.
    places : row and column of each tile in words.
    device_of : device of each tile.
    deadline_s : how long the owner waits for tiles, or None to wait for ever, in s.
    """

    context: DeploymentContext
    owner: str
    network: StagedNetwork
    schedule: Schedule
    places: Sequence[str]
    device_of: Sequence[str]
    deadline_s: float | None
    steps: list[Step] = field(default_factory=list)
    weights: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """The fused layers."""
        return self.network.stages[0]

    def write(self) -> Plan:
        """Return the plan."""
        before, behind = self.network.segments
        self.weights[self.owner] = {**before.weights, **behind.weights}
        first = input_transfers(self.context, self.owner, self.network.input_byte)
        arrived = tuple(step.step_id for step in first)
        start = Compute("start", self.owner, _work(before.layers), arrived, before.activation_byte)
        self.steps += [*first, start]
        messages_to = {
            tile: [one for one in self.schedule.messages if one.dst == tile] for tile in range(len(self.places))
        }
        # tiles that others wait for are computed first
        order = sorted(messages_to, key=lambda tile: bool(messages_to[tile]))
        gathered = [self._tile(tile, messages_to[tile], start.step_id) for tile in order]
        on_missing: OnMissing = "wait" if self.deadline_s is None else "degrade"
        inputs = (start.step_id, *gathered)
        join = Compute(
            "join", self.owner, _work(behind.layers), inputs, behind.activation_byte, on_missing, self.deadline_s
        )
        self.steps += [join, *answer_steps(self.context, join, self.network.output_byte)]
        weight_byte = {name: sum(sizes.values()) for name, sizes in self.weights.items()}
        return Plan(tuple(self.steps), self.steps[-1].step_id, weight_byte)

    def _tile(self, tile: int, messages: Sequence[Message], start_id: str) -> str:
        """Add the steps of a tile; return what brings it to the owner."""
        stage, place, device_id = self.stage, self.places[tile], self.device_of[tile]
        boxes = self.schedule.boxes_of(tile, self.schedule.phases[0])
        for layer in stage.layers:
            if layer.name in boxes:
                self.weights.setdefault(device_id, {}).update(layer.weights_of(boxes[layer.name]))
        scattered = start_id if device_id == self.owner else self._scatter(tile, start_id)
        is_patient = self.deadline_s is None or not messages
        self.steps.append(compute := Compute(
            compute_id(place),
            device_id,
            stage.work(boxes),
            (scattered, *[self._overlap(message) for message in messages]),
            activation_byte(CutStage(stage, self.schedule), tile, boxes),
            "wait" if is_patient else "degrade",
            None if is_patient or self.deadline_s is None else self.deadline_s / 2,
        ))  # fmt: skip
        if device_id == self.owner:
            return compute.step_id
        last = stage.layers[-1]
        box = self.schedule.boxes[last.name][tile]
        text = f"output of tile {place}, {show(box, last.shape, last.roles)}"
        ends, size_byte = (device_id, self.owner), last.byte_of(box)
        return self._send(Transfer(gather_id(place), *ends, size_byte, text, "intermediate", (compute.step_id,)))

    def _scatter(self, tile: int, start_id: str) -> str:
        place = self.places[tile]
        needs = [(self.stage.tensor(name), box) for name, box in self.schedule.needs[tile].items()]
        size_byte = sum(tensor.byte_of(box) for tensor, box in needs)
        text = f"input of tile {place}, " + "; ".join(show(box, tensor.shape, tensor.roles) for tensor, box in needs)
        return self._send(
            Transfer(scatter_id(place), self.owner, self.device_of[tile], size_byte, text, "input", (start_id,))
        )

    def _overlap(self, message: Message) -> str:
        """Return what brings a tile the overlap of another: the computation itself where both are on one device."""
        place, other = self.places[message.dst], self.places[message.src]
        made_id, ends = compute_id(other), (self.device_of[message.src], self.device_of[message.dst])
        if ends[0] == ends[1]:
            return made_id
        size_byte = sum(self.stage.tensor(name).byte_of(box) for name, box in message.parts)
        text = f"overlap of tile {other} in {len(message.parts)} layers"
        return self._send(Transfer(overlap_id(place, other), *ends, size_byte, text, "intermediate", (made_id,)))

    def _send(self, transfer: Transfer) -> str:
        self.steps.append(transfer)
        return transfer.step_id


def _work(layers: Sequence[LayerCost]) -> tuple[LayerWork, ...]:
    from edgesim.nn.cost.layers import layer_work

    return tuple(layer_work(layer) for layer in layers)
