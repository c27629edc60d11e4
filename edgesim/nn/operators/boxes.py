"""Boxes: parts of a tensor as one range of positions per axis, and which box of a layer's input a box of its output reads.

The batch axis is not counted. Importing this needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Window:
    """An axis along which windows move: output o reads input o * stride - before + i * dilation, i < kernel.

    Parameters
    ----------
    kernel, stride, dilation : along this axis.
    before : positions of padding in front of the first input.
    n_inputs : extent of the input.
    """

    kernel: int
    stride: int
    before: int
    dilation: int
    n_inputs: int

    def reads(self, rows: range) -> range:
        """Return the positions that output positions read, those in the padding included: negative, or beyond the end.

        Examples
        --------
        A kernel of 3 with padding 1: output 0 reads -1, 0 and 1.

        >>> Window(kernel=3, stride=1, before=1, dilation=1, n_inputs=8).reads(range(0, 1))
        range(-1, 2)
        >>> Window(kernel=3, stride=2, before=1, dilation=1, n_inputs=8).reads(range(2, 4))  # 2 x 2 - 1 to 3 x 2 - 1 + 2
        range(3, 8)
        """
        first = rows.start * self.stride - self.before
        last = (rows.stop - 1) * self.stride - self.before + (self.kernel - 1) * self.dilation
        return range(first, last + 1)

    def inputs(self, rows: range) -> range:
        """Return the positions of the input that output positions read, without padding.

        Examples
        --------
        >>> Window(kernel=3, stride=1, before=1, dilation=1, n_inputs=8).inputs(range(0, 8))
        range(0, 8)
        """
        reads = self.reads(rows)
        start = min(max(reads.start, 0), self.n_inputs)
        return range(start, max(start, min(reads.stop, self.n_inputs)))


@dataclass(frozen=True, slots=True)
class Whole:
    """An axis that is read whole, wherever the output is: input channels of a convolution, features of a linear layer."""

    n_inputs: int

    def inputs(self, rows: range) -> range:  # noqa: ARG002 - the rules' common form
        """Return all positions.

        Examples
        --------
        >>> Whole(16).inputs(range(2, 3))
        range(0, 16)
        """
        return range(self.n_inputs)


@dataclass(frozen=True, slots=True)
class Shift:
    """An axis whose output `first` + i is input i; outputs before and behind it come from elsewhere (concatenation)."""

    first: int
    n_inputs: int

    def inputs(self, rows: range) -> range:
        """Return the positions that are read, none when the output comes from elsewhere.

        Examples
        --------
        Channels 4 to 7 of a concatenation come from this input of 4.

        >>> Shift(first=4, n_inputs=4).inputs(range(3, 6)), len(Shift(first=4, n_inputs=4).inputs(range(0, 3)))
        (range(0, 2), 0)
        """
        start = min(max(rows.start - self.first, 0), self.n_inputs)
        return range(start, max(start, min(rows.stop - self.first, self.n_inputs)))


@dataclass(frozen=True, slots=True)
class Groups:
    """The channels of a grouped convolution: output channels of a group read the input channels of that group."""

    n_groups: int
    n_inputs: int
    n_outputs: int

    def inputs(self, rows: range) -> range:
        """Return the channels of the groups that these output channels belong to.

        Examples
        --------
        Two groups of 3 output and 2 input channels: outputs 2 and 3 lie in both groups.

        >>> Groups(2, n_inputs=4, n_outputs=6).inputs(range(0, 2)), Groups(2, n_inputs=4, n_outputs=6).inputs(range(2, 4))
        (range(0, 2), range(0, 4))
        """
        per_out, per_in = self.n_outputs // self.n_groups, self.n_inputs // self.n_groups
        return range(rows.start // per_out * per_in, -(-rows.stop // per_out) * per_in)


@dataclass(frozen=True, slots=True)
class Bins:
    """An axis of adaptive pooling: output o reads inputs floor(o n / m) to ceil((o + 1) n / m)."""

    n_inputs: int
    n_outputs: int

    def inputs(self, rows: range) -> range:
        """Return the positions that are read.

        Examples
        --------
        >>> Bins(n_inputs=5, n_outputs=2).inputs(range(1, 2))  # floor(1 x 5 / 2) to ceil(2 x 5 / 2)
        range(2, 5)
        """
        return range(rows.start * self.n_inputs // self.n_outputs, -(-rows.stop * self.n_inputs // self.n_outputs))


@dataclass(frozen=True, slots=True)
class Along:
    """An axis of the input that follows another axis of the output: permuted axes, or leading axes of matrix products.

    Parameters
    ----------
    axis : of the output.
    rule : which of its positions read which of the input's.
    """

    axis: int
    rule: Window | Whole | Shift | Groups | Bins

    def inputs_of(self, box: Box) -> range:
        """Return the positions of the input that a box reads.

        Examples
        --------
        >>> Along(1, Shift(0, 8)).inputs_of((range(2), range(3, 5)))
        range(3, 5)
        """
        return self.rule.inputs(box[self.axis])


@dataclass(frozen=True, slots=True)
class Regrouped:
    """An axis of a tensor that is reshaped: it and others are counted through in order, and so are some axes of the output.

    Parameters
    ----------
    axes, strides : axes of the output, and how many elements of the group one step along each is.
    stride, n_inputs : the same of this axis of the input, and its extent.
    """

    axes: tuple[int, ...]
    strides: tuple[int, ...]
    stride: int
    n_inputs: int

    def inputs_of(self, box: Box) -> range:
        """Return the positions between the first and the last element of a box; all, when the box goes round the axis.

        Examples
        --------
        Six features as two heads of three: head 1 is features 3 to 5; and back, features 3 to 5 are head 1.

        >>> Regrouped((0, 1), (3, 1), stride=1, n_inputs=6).inputs_of((range(1, 2), range(3)))
        range(3, 6)
        >>> Regrouped((0,), (1,), stride=3, n_inputs=2).inputs_of((range(3, 6),))
        range(1, 2)
        """
        rows = [box[axis] for axis in self.axes]
        if not all(rows):
            return range(0)
        first = sum(row.start * stride for row, stride in zip(rows, self.strides, strict=True)) // self.stride
        last = sum((row.stop - 1) * stride for row, stride in zip(rows, self.strides, strict=True)) // self.stride
        if first // self.n_inputs != last // self.n_inputs:
            return range(self.n_inputs)
        return range(first % self.n_inputs, last % self.n_inputs + 1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """An axis of inputs in shares, each read by one position of the first axis of the output.

    Parameters
    ----------
    starts : where the shares begin, and the end of the last.
    """

    starts: tuple[int, ...]

    def inputs_of(self, box: Box) -> range:
        """Return the inputs of the shares.

        Examples
        --------
        >>> Bounds((0, 4, 6)).inputs_of((range(1, 2), range(3)))
        range(4, 6)
        """
        return range(self.starts[box[0].start], self.starts[box[0].stop])


Rule = Window | Whole | Shift | Groups | Bins
"""An axis of the input, read by the positions of the same axis of the output."""
AnyRule = Rule | Along | Regrouped | Bounds


@dataclass(frozen=True, slots=True)
class Reader:
    """Which boxes of its inputs a layer reads for a box of its output.

    Parameters
    ----------
    sources : for each tensor that it reads, the name of its node and a rule for each of its axes.
    """

    sources: tuple[tuple[str, tuple[AnyRule, ...]], ...]

    def reads(self, box: Box) -> list[tuple[str, Box]]:
        """Return the boxes, in order of the sources; what is not read is an empty box.

        Examples
        --------
        >>> convolution = (Whole(3), Window(kernel=3, stride=1, before=1, dilation=1, n_inputs=8))
        >>> Reader((("image", convolution),)).reads((range(0, 2), range(4, 8)))
        [('image', (range(0, 3), range(3, 8)))]
        """
        return [
            (name, tuple(_inputs(rule, box, axis) for axis, rule in enumerate(rules))) for name, rules in self.sources
        ]


def _inputs(rule: AnyRule, box: Box, axis: int) -> range:
    """Return the positions of an axis of the input that a box reads."""
    if isinstance(rule, (Along, Regrouped, Bounds)):
        return rule.inputs_of(box)
    return range(rule.n_inputs) if isinstance(rule, Whole) else rule.inputs(box[axis])


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
