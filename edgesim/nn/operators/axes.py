"""Which box of a layer's input a box of its output reads, axis by axis. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.nn.operators.boxes import Box


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

    @property
    def is_map(self) -> bool:
        """Whether each element of the output reads one element, in the same place."""
        return len(self.sources) == 1 and all(isinstance(rule, Shift) and not rule.first for rule in self.sources[0][1])

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

    def reached(self, source: int, changed: Box, shape: Sequence[int]) -> Box:
        """Return the smallest box of an output outside of which nothing reads a box of a source; empty where nobody reads it.

        Parameters
        ----------
        source : position of the source.
        changed : the box of it.
        shape : of the output.

        Examples
        --------
        Rows 3 and 4 of 8 are read by rows 2 to 5 of a convolution of 3 with padding 1.

        >>> convolution = (Whole(3), Window(kernel=3, stride=1, before=1, dilation=1, n_inputs=8))
        >>> Reader((("image", convolution),)).reached(0, (range(0, 3), range(3, 5)), (16, 8))
        (range(0, 16), range(2, 6))
        """
        found = [range(size) for size in shape]
        for axis, (rule, rows) in enumerate(zip(self.sources[source][1], changed, strict=True)):
            at, own = (rule.axis, rule.rule) if isinstance(rule, Along) else (axis, rule)
            if not isinstance(own, (Whole, Regrouped, Bounds)):
                readers = _readers(own, rows, shape[at])
                found[at] = range(max(found[at].start, readers.start), min(found[at].stop, readers.stop))
        return tuple(found)


@lru_cache(maxsize=2**14)
def _readers(rule: Window | Shift | Groups | Bins, rows: range, n_outputs: int) -> range:
    """Return the positions of an axis of the output between the first and the last that reads one of these."""
    reading = [
        position
        for position in range(n_outputs)
        if (read := rule.inputs(range(position, position + 1))).start < rows.stop and rows.start < read.stop
    ]
    return range(reading[0], reading[-1] + 1) if reading else range(0)


def _inputs(rule: AnyRule, box: Box, axis: int) -> range:
    """Return the positions of an axis of the input that a box reads."""
    if isinstance(rule, (Along, Regrouped, Bounds)):
        return rule.inputs_of(box)
    return range(rule.n_inputs) if isinstance(rule, Whole) else rule.inputs(box[axis])
