"""Boxes: parts of a tensor as one range of positions per axis, the batch axis not counted. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

Box = tuple[range, ...]
"""One range of positions, of step 1, for each axis of a tensor."""


def whole(shape: Sequence[int]) -> Box:
    """Return the box of a whole tensor.

    Examples
    --------
    >>> whole((3, 8))
    (range(0, 3), range(0, 8))
    """
    return tuple(range(size) for size in shape)


def volume(box: Box) -> int:
    """Return the number of elements.

    >>> volume((range(4), range(1, 3)))
    8
    """
    return prod(len(rows) for rows in box)


def overlap(first: Box, second: Box) -> Box | None:
    """Return what two boxes share, or None.

    >>> overlap((range(0, 4),), (range(3, 9),))
    (range(3, 4),)
    """
    shared = tuple(range(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return shared if all(shared) else None


def holds(outer: Box, inner: Box) -> bool:
    """Return whether the second box lies in the first.

    Examples
    --------
    >>> holds((range(0, 4),), (range(1, 4),)), holds((range(0, 4),), (range(3, 5),))
    (True, False)
    """
    return all(a.start <= b.start and b.stop <= a.stop for a, b in zip(outer, inner, strict=True))


def hull(first: Box, second: Box) -> Box:
    """Return the smallest box that holds both; an empty one adds nothing.

    Examples
    --------
    >>> hull((range(0, 2),), (range(5, 6),)), hull((range(0, 2),), (range(9, 9),))
    ((range(0, 6),), (range(0, 2),))
    """
    if not volume(first):
        return second
    if not volume(second):
        return first
    return tuple(range(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))


def index(box: Box) -> tuple[slice, ...]:
    """Return what picks a box out of a tensor with a batch axis.

    Examples
    --------
    >>> index((range(1, 3),))
    (slice(None, None, None), slice(1, 3, None))
    """
    return (slice(None), *(slice(rows.start, rows.stop) for rows in box))


def relative(inner: Box, outer: Box) -> Box:
    """Return the first box in the coordinates of the second.

    Examples
    --------
    >>> relative((range(5, 7),), (range(4, 8),))
    (range(1, 3),)
    """
    return tuple(range(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True))


_AXES = {1: ("features",), 2: ("channels", "rows"), 3: ("channels", "rows", "columns")}


def show(box: Box, shape: Sequence[int], roles: str = "") -> str:
    """Return a box in words: the axes that are cut, e.g. ``"rows 0:5"``; ``"all"`` when none is.

    >>> show((range(3), range(5), range(8)), (3, 8, 8))
    'rows 0:5'
    >>> show((range(5), range(3)), (8, 3), "pu")
    'rows 0:5'
    """
    names = _AXES.get(len(box), tuple(f"axis{number}" for number in range(1, len(box) + 1)))
    if roles and not roles.startswith("u"):
        names = tuple(_names(roles))
    cut = [
        f"{name} {rows.start}:{rows.stop}"
        for name, rows, size in zip(names, box, shape, strict=True)
        if len(rows) != size
    ]
    return ", ".join(cut) or "all"


def _names(roles: str) -> Iterator[str]:
    positions = iter(("rows", "columns"))
    for number, role in enumerate(roles, 1):
        yield "features" if role == "u" else next(positions, f"axis{number}") if role == "p" else f"axis{number}"
