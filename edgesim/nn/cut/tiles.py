"""Tiles of fused layers: each tile of the last layer's output with all that it reads of the layers before, and what neighbours can share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING

from edgesim.errors import PlanError
from edgesim.nn.cut.schedule import Message, Schedule, Use
from edgesim.nn.operators.boxes import Box, hull, overlap, volume, whole
from edgesim.nn.operators.division import axes_of

if TYPE_CHECKING:
    from edgesim.nn.cut.stages import Stage

Place = tuple[int, int]
"""Row and column of a tile."""


def places_of(grid: tuple[int, int]) -> list[Place]:
    """Return the places of a grid, row by row."""
    return list(product(range(grid[0]), range(grid[1])))


def grid_tiles(shape: Sequence[int], roles: str, grid: tuple[int, int]) -> list[Box]:
    """Cut the positions of a tensor into a grid, row by row; all tiles but the last of an axis have the size rounded up.

    Raises
    ------
    PlanError
        When a tile would be empty.

    Examples
    --------
    >>> [box[1:] for box in grid_tiles((3, 5, 4), "upp", (2, 1))]
    [(range(0, 3), range(0, 4)), (range(3, 5), range(0, 4))]
    """
    axes = axes_of("tiles", roles)
    counts = dict(zip(axes, grid, strict=False))
    if len(axes) < len(grid):
        counts[axes[0]] = grid[0] * grid[1]
    parts: list[list[range]] = []
    for axis, size in enumerate(shape):
        count = counts.get(axis, 1)
        step = -(-size // count)
        if step * (count - 1) >= size:
            raise PlanError(
                f"a grid of {grid[0]} x {grid[1]} leaves a tile of the output of shape {tuple(shape)} empty; take less"
            )
        parts.append([range(start, stop) for start, stop in pairwise((*range(0, size, step), size))])
    return [tuple(box) for box in product(*parts)]


def tile_schedule(stage: Stage, grid: tuple[int, int], *, is_reusing: bool) -> Schedule:
    """Return what each tile computes of every layer, reads from outside, and gets from its neighbours.

    Without reuse a tile computes all that its output reads, also what neighbours compute too. With reuse tiles whose row and column
    add up to an odd number leave out what the four beside them compute anyway, and get it from them.

    Parameters
    ----------
    stage : layers of which only the last is read outside.
    grid : rows and columns of tiles. Tiles stand where a `Schedule` has devices.

    Raises
    ------
    PlanError
        When a tile would be empty.

    References
    ----------
    Z. Zhao, K. M. Barijough, A. Gerstlauer, DeepThings, IEEE TCAD 37(11):2348-2359, 2018, doi 10.1109/TCAD.2018.2858384 (fused tile
    partitioning, reuse in a checkerboard). Here the tiles beside send what is reused themselves; there the gateway keeps it.
    """
    places = places_of(grid)
    last = stage.layers[-1]
    outputs = grid_tiles(last.shape, last.roles or "u" + "p" * (len(last.shape) - 1), grid)
    found: dict[int, _Tile] = {}
    # tiles that others reuse come first
    for tile in sorted(range(len(places)), key=lambda one: is_reusing and sum(places[one]) % 2):
        beside = _beside(places, tile) if is_reusing and sum(places[tile]) % 2 else []
        found[tile] = _Tile(stage, outputs[tile], {other: found[other].boxes for other in beside})
    messages: list[Message] = []
    uses: list[Use] = []
    for tile in range(len(places)):
        for other, parts in found[tile].parts.items():
            uses += [
                Use(layer, tile, len(messages), name, box)
                for layer, source, name, box in found[tile].uses
                if source == other
            ]
            messages.append(Message(1, other, tile, tuple(parts.items())))
    boxes = {layer.name: tuple(found[tile].boxes[layer.name] for tile in range(len(places))) for layer in stage.layers}
    names = tuple(layer.name for layer in stage.layers)
    return Schedule(
        boxes, (names,), tuple(found[tile].needs for tile in range(len(places))), tuple(messages), tuple(uses)
    )


def _beside(places: Sequence[Place], tile: int) -> list[int]:
    row, column = places[tile]
    return [
        places.index(one)
        for one in ((row, column - 1), (row, column + 1), (row - 1, column), (row + 1, column))
        if one in places
    ]


class _Tile:
    """One tile, followed backwards through the layers.

    ``boxes``: what it computes, by layer. ``needs``: what it reads of the inputs of the stage. ``parts``: by tile beside, what it gets of which
    layer. ``uses``: reading layer, tile beside, layer read, and box.
    """

    def __init__(self, stage: Stage, output: Box, beside: dict[int, dict[str, Box]]) -> None:
        self.boxes: dict[str, Box] = {}
        self.needs: dict[str, Box] = {}
        self.parts: dict[int, dict[str, Box]] = {}
        self.uses: list[tuple[str, int, str, Box]] = []
        made = {layer.name for layer in stage.layers}
        wanted: dict[str, Box] = {stage.layers[-1].name: output}
        readers: dict[str, list[tuple[str, Box]]] = {}
        for layer in reversed(stage.layers):
            box = wanted.get(layer.name, tuple(range(0) for _ in layer.shape))
            for other, boxes in beside.items():
                box, shared = _without(box, boxes[layer.name])
                if shared is not None:
                    self.parts.setdefault(other, {})[layer.name] = shared
                    self.uses += [
                        (reader, other, layer.name, part)
                        for reader, read in readers.get(layer.name, [])
                        if (part := overlap(read, shared)) is not None
                    ]
            self.boxes[layer.name] = box
            for name, read in layer.reader.reads(box) if volume(box) else ():
                target = wanted if name in made else self.needs
                target[name] = hull(target[name], read) if name in target else read
                readers.setdefault(name, []).append((layer.name, read))


def _without(box: Box, other: Box) -> tuple[Box, Box | None]:
    """Return a box without what it shares with another, and that; the box as it is when what is left would be no box.

    >>> _without((range(3), range(2, 9)), (range(3), range(0, 4)))
    ((range(0, 3), range(4, 9)), (range(0, 3), range(2, 4)))
    >>> _without((range(3), range(2, 9)), (range(2), range(0, 4)))
    ((range(0, 3), range(2, 9)), None)
    """
    shared = overlap(box, other)
    if shared is None:
        return box, None
    cut = [axis for axis, (rows, common) in enumerate(zip(box, shared, strict=True)) if rows != common]
    if len(cut) != 1:
        return box, None
    (axis,) = cut
    rows, common = box[axis], shared[axis]
    if common.start > rows.start and common.stop < rows.stop:
        return box, None
    left = range(common.stop, rows.stop) if common.start == rows.start else range(rows.start, common.start)
    return (*box[:axis], left, *box[axis + 1 :]), shared


def is_closed(stage: Stage) -> bool:
    """Return whether only the last layer of a stage is read outside."""
    return stage.outputs == (stage.layers[-1].name,)


def overhead(stage: Stage, schedule: Schedule) -> float:
    """Return the arithmetic of all tiles over that of the whole stage."""
    done = sum(
        work.work_flop
        for tile in range(len(schedule.needs))
        for work in stage.work(schedule.boxes_of(tile, schedule.phases[0]))
    )
    return done / sum(work.work_flop for work in stage.work({layer.name: whole(layer.shape) for layer in stage.layers}))
