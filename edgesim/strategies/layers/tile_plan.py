"""Writes the plan of fused tiles: inputs of tiles, tiles, overlaps between them, tiles of the output, and the owner's part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute, OnMissing, Plan, Pool, Step, Transfer
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


START_ID, JOIN_ID = "start", "join"
"""Ids of what the owner computes in front of the tiles and behind them."""


def scatter_id(place: str, device_id: str = "") -> str:
    """Return the id of the transfer of the input of a tile; of its copy for a device, where several may be given it."""
    return _copy_of(f"tile {place}/scatter", device_id)


def gather_id(place: str, device_id: str = "") -> str:
    """Return the id of the transfer of a tile of the output, or of its copy."""
    return _copy_of(f"tile {place}/gather", device_id)


def overlap_id(place: str, other: str) -> str:
    """Return the id of the transfer of what a tile gets from another."""
    return f"tile {place}/overlap/{other}"


def compute_id(place: str, device_id: str = "") -> str:
    """Return the id of the computation of a tile, or of its copy."""
    return _copy_of(f"tile {place}/compute", device_id)


def _copy_of(name: str, device_id: str) -> str:
    return f"{name}/{device_id}" if device_id else name


@dataclass(frozen=True, slots=True)
class HandedOut:
    """How tiles are given to devices while the inference runs.

    Parameters
    ----------
    device_ids : those that may compute tiles.
    ask_byte : size of the message with which a device asks for a tile; None where tiles are dealt out before.
    again_s : time after which a tile goes to another device, in s; None: never.
    """

    device_ids: tuple[str, ...]
    ask_byte: int | None
    again_s: float | None


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
    handed_out : how tiles are given to devices while the inference runs; None: `device_of` is all there is.
    """

    context: DeploymentContext
    owner: str
    network: StagedNetwork
    schedule: Schedule
    places: Sequence[str]
    device_of: Sequence[str]
    deadline_s: float | None
    handed_out: HandedOut | None = None
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
        start = Compute(START_ID, self.owner, _work(before.layers), arrived, before.activation_byte)
        self.steps += [*first, start]
        pools = () if self.handed_out is None else (self._pool(self.handed_out, start.step_id),)
        groups = tuple(tuple(row[-1] for row in copies) for pool in pools for copies in pool.tasks)
        gathered = [name for group in groups for name in group] or self._tiles(start.step_id)
        on_missing: OnMissing = "wait" if self.deadline_s is None else "degrade"
        inputs = (start.step_id, *gathered)
        join = Compute(
            JOIN_ID, self.owner, _work(behind.layers), inputs, behind.activation_byte, on_missing, self.deadline_s,
            alternatives=tuple(group for group in groups if len(group) > 1),
        )  # fmt: skip
        self.steps += [join, *answer_steps(self.context, join, self.network.output_byte)]
        weight_byte = {name: sum(sizes.values()) for name, sizes in self.weights.items()}
        return Plan(tuple(self.steps), self.steps[-1].step_id, weight_byte, pools)

    def _tiles(self, start_id: str) -> list[str]:
        """Add the steps of all tiles, each on its device; return what brings them to the owner."""
        messages_to = {
            tile: [one for one in self.schedule.messages if one.dst == tile] for tile in range(len(self.places))
        }
        # tiles that others wait for are computed first
        order = sorted(messages_to, key=lambda tile: bool(messages_to[tile]))
        return [self._tile(tile, messages_to[tile], start_id) for tile in order]

    def _pool(self, handed_out: HandedOut, start_id: str) -> Pool:
        """Add the steps of copies of all tiles, and those with which devices ask for them."""
        ids, n_byte = handed_out.device_ids, handed_out.ask_byte
        turns = () if n_byte is None else tuple(self._turns(device_id, n_byte) for device_id in ids)
        tiles = range(len(self.places))
        tasks = tuple(tuple(self._copy(tile, device_id, start_id) for device_id in ids) for tile in tiles)
        dealt = () if turns else tuple(ids.index(device_id) for device_id in self.device_of)
        return Pool(tasks, turns, dealt, handed_out.again_s)

    def _turns(self, device_id: str, n_byte: int) -> tuple[tuple[str, ...], ...]:
        """Add the steps with which a device asks: at first when it has nothing else to do, then behind each tile."""
        turns = []
        for number in range(len(self.places)):
            free = Compute(f"free {device_id}/{number}", device_id)
            row: list[Step] = [free] if device_id == self.owner or number == 0 else []
            if device_id != self.owner:
                inputs = tuple(step.step_id for step in row)
                row.append(
                    Transfer(
                        f"ask {device_id}/{number}",
                        device_id,
                        self.owner,
                        n_byte,
                        "request for a tile",
                        "input",
                        inputs,
                    )
                )
            self.steps += row
            turns.append(tuple(step.step_id for step in row))
        return tuple(turns)

    def _copy(self, tile: int, device_id: str, start_id: str) -> tuple[str, ...]:
        """Add the steps of a tile on a device; return them."""
        n_before = len(self.steps)
        self._tile(tile, (), start_id, device_id)
        return tuple(step.step_id for step in self.steps[n_before:])

    def _tile(self, tile: int, messages: Sequence[Message], start_id: str, copy: str = "") -> str:
        """Add the steps of a tile, or of its copy on a device; return what brings it to the owner."""
        stage, place, device_id = self.stage, self.places[tile], copy or self.device_of[tile]
        boxes = self.schedule.boxes_of(tile, self.schedule.phases[0])
        for layer in stage.layers:
            if layer.name in boxes:
                self.weights.setdefault(device_id, {}).update(layer.weights_of(boxes[layer.name]))
        scattered = start_id if device_id == self.owner else self._scatter(tile, start_id, copy)
        is_patient = self.deadline_s is None or not messages
        self.steps.append(compute := Compute(
            compute_id(place, copy),
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
        return self._send(Transfer(gather_id(place, copy), *ends, size_byte, text, "intermediate", (compute.step_id,)))

    def _scatter(self, tile: int, start_id: str, copy: str) -> str:
        place = self.places[tile]
        needs = [(self.stage.tensor(name), box) for name, box in self.schedule.needs[tile].items()]
        size_byte = sum(tensor.byte_of(box) for tensor, box in needs)
        text = f"input of tile {place}, " + "; ".join(show(box, tensor.shape, tensor.roles) for tensor, box in needs)
        return self._send(
            Transfer(
                scatter_id(place, copy), self.owner, copy or self.device_of[tile], size_byte, text, "input", (start_id,)
            )
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
