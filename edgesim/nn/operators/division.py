"""A tensor in boxes, one for each device, by their speeds. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from edgesim.nn.operators.boxes import Box, whole


def apportion(n_rows: int, speeds: Sequence[float]) -> list[int]:
    """Deal out rows in proportion to speeds by largest remainder; ties go to the first.

    >>> apportion(8, [1.0, 1.0, 2.0])
    [2, 2, 4]
    >>> apportion(7, [1.0, 1.0])
    [4, 3]
    """
    quotas = [n_rows * speed / sum(speeds) for speed in speeds]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(speeds)), key=lambda position: (counts[position] - quotas[position], position))
    for position in by_remainder[: n_rows - sum(counts)]:
        counts[position] += 1
    return counts


def strips(shape: Sequence[int], axis: int, speeds: Sequence[float]) -> list[Box]:
    """Cut a tensor along one axis, one box per speed; a box may be empty.

    >>> [box[0] for box in strips((7,), 0, [1.0, 1.0])]
    [range(0, 4), range(4, 7)]
    """
    boxes = []
    start = 0
    for n_rows in apportion(shape[axis], speeds):
        rows = range(start, start + n_rows)
        boxes.append(tuple(rows if position == axis else range(size) for position, size in enumerate(shape)))
        start += n_rows
    return boxes


def tiles(shape: Sequence[int], speeds: Sequence[float], axes: Sequence[int] = ()) -> list[Box]:
    """Cut some axes of a tensor (without any: all but the first) into one tile per speed, by halving the devices.

    The devices are divided in the middle, the longer axis (the first on ties) in proportion to the speeds of the two halves,
    and so on. Two, four, eight, ... equal devices get a regular grid.

    >>> [box[1:] for box in tiles((3, 4, 4), [1.0] * 4)][3]
    (range(2, 4), range(2, 4))
    """
    return _halved(whole(shape), list(speeds), axes or range(1, len(shape)))


def _halved(box: Box, speeds: list[float], axes: Sequence[int]) -> list[Box]:
    if len(speeds) == 1:
        return [box]
    axis = max(axes, key=lambda one: len(box[one]))
    middle = (len(speeds) + 1) // 2
    n_first, _ = apportion(len(box[axis]), [sum(speeds[:middle]), sum(speeds[middle:])])
    at = box[axis].start + n_first
    first = (*box[:axis], range(box[axis].start, at), *box[axis + 1 :])
    second = (*box[:axis], range(at, box[axis].stop), *box[axis + 1 :])
    return [*_halved(first, speeds[:middle], axes), *_halved(second, speeds[middle:], axes)]


def axes_of(form: str, roles: str) -> tuple[int, ...]:
    """Return the axes along which a tensor may be cut.

    Parameters
    ----------
    form : ``channels`` cuts the axis of units, the others those of positions; a tensor without positions is cut by units.
    roles : of its axes, one letter each: ``u`` unit, ``p`` position, ``-`` neither.

    Examples
    --------
    >>> axes_of("strips", "upp"), axes_of("channels", "upp"), axes_of("strips", "u")
    ((1, 2), (0,), (0,))
    """
    positions = tuple(axis for axis, role in enumerate(roles) if role == "p")
    units = tuple(axis for axis, role in enumerate(roles) if role == "u")
    return units if form == "channels" or not positions else positions


def cut(shape: Sequence[int], form: str, speeds: Sequence[float], roles: str = "") -> list[Box]:
    """Cut a tensor into one box per speed; a box may be empty.

    Parameters
    ----------
    shape : without the batch axis. A vector is cut by features, whatever the form.
    form : ``strips`` along the longest axis of positions (the first on ties), ``tiles``, or ``channels``.
    speeds : of the devices.
    roles : what its axes count, see `axes_of`; without them the first counts units and the others positions.

    Examples
    --------
    >>> cut((2, 4, 8), "strips", [1.0, 3.0])  # the longer axis, 2 and 6 of its 8 positions
    [(range(0, 2), range(0, 4), range(0, 2)), (range(0, 2), range(0, 4), range(2, 8))]
    >>> [box[1] for box in cut((4, 8), "channels", [1.0, 3.0], "pu")]
    [range(0, 2), range(2, 8)]
    """
    axes = axes_of(form, roles or "u" + "p" * (len(shape) - 1)) or (0,)
    if form == "tiles" and len(axes) > 1:
        return tiles(shape, speeds, axes)
    return strips(shape, max(axes, key=lambda axis: shape[axis]), speeds)
