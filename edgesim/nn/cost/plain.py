"""Modules that stand for what a traced network does to one tensor: moves of its elements, constants joined to it, attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Move(nn.Module):
    """Base of the modules that only put elements elsewhere: nothing is computed, nothing is copied."""


class Reshaped(Move):
    """The elements of each sample in another shape, in the same order.

    Parameters
    ----------
    before, after : shapes, without the batch axis.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        super().__init__()
        self.before, self.after = tuple(before), tuple(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x, shape (n, *before), as (n, *after)."""
        return x.reshape(len(x), *self.after)


class Permuted(Move):
    """Axes in another order.

    Parameters
    ----------
    order : axis i of the output is axis order[i] of the input; the batch axis is not counted.
    """

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.order = tuple(order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with its axes in the order."""
        return x.permute(0, *(axis + 1 for axis in self.order))


class Sliced(Move):
    """A part of every axis.

    Parameters
    ----------
    slices : of each axis but the batch axis; steps are positive.
    """

    def __init__(self, slices: Sequence[slice]) -> None:
        super().__init__()
        self.slices = tuple(slices)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the part."""
        return x[(slice(None), *self.slices)]


class Expanded(Move):
    """Axes of one position repeated.

    Parameters
    ----------
    shape : of the output, without the batch axis; of as many axes as the input.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x spread over the shape."""
        return x.expand(len(x), *self.shape)


class Repeated(nn.Module):
    """Every position of an axis several times in a row.

    Parameters
    ----------
    axis : not counting the batch axis.
    times : how often.
    """

    def __init__(self, axis: int, times: int) -> None:
        super().__init__()
        self.axis, self.times = axis, times

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with its positions repeated."""
        return x.repeat_interleave(self.times, dim=self.axis + 1)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an argument of a function goes: the tensor (number -1) or a constant, by its number."""

    number: int


FUNCTIONS: dict[str, Any] = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "truediv": torch.div, "maximum": torch.maximum,
    "minimum": torch.minimum, "pow": torch.pow, "masked_fill": torch.masked_fill, "where": torch.where,
}  # fmt: skip
"""Functions of one tensor and constants, element by element."""


class Joined(nn.Module):
    """A function of one tensor and constants, element by element.

    Parameters
    ----------
    function : one of `FUNCTIONS`.
    args, kwargs : of the function, with a `Slot` for each tensor.
    constants : broadcast to the output; the first axis, of one position, stands for the batch.
    """

    def __init__(
        self, function: str, args: tuple[Any, ...], kwargs: dict[str, Any], constants: Sequence[torch.Tensor]
    ) -> None:
        super().__init__()
        self.function, self.args, self.kwargs = function, args, kwargs
        self.n_constants = len(constants)
        for number, constant in enumerate(constants):
            if isinstance(constant, nn.Parameter):
                self.register_parameter(f"constant{number}", constant)
            else:
                self.register_buffer(f"constant{number}", constant)

    def constants(self) -> list[torch.Tensor]:
        """Return the constants in order."""
        return [getattr(self, f"constant{number}") for number in range(self.n_constants)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the function of x and the constants."""
        return self.joined(x, self.constants())

    def joined(self, x: torch.Tensor, constants: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the function of x and given constants, parts of the module's own."""

        def fill(argument: Any) -> Any:
            if not isinstance(argument, Slot):
                return argument
            return x if argument.number < 0 else constants[argument.number]

        result: torch.Tensor = FUNCTIONS[self.function](
            *map(fill, self.args), **{key: fill(value) for key, value in self.kwargs.items()}
        )
        return result


class Attention(nn.Module):
    """Scaled dot-product attention; heads of keys and values may be fewer than those of queries (grouped-query attention).

    Parameters
    ----------
    scale : of the products; None for 1 / sqrt(size of a head).
    is_causal : whether a position sees only itself and those before it.
    mask : constant that is added to the products, or says by True what is seen; broadcast to (n, heads, queries, keys); or None.
    """

    mask: torch.Tensor | None

    def __init__(
        self, scale: float | None = None, *, is_causal: bool = False, mask: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        self.scale, self.is_causal = scale, is_causal
        if isinstance(mask, nn.Parameter):
            self.register_parameter("mask", mask)
        else:
            self.register_buffer("mask", mask)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Return what each query reads, shape (n, heads, queries, values), given (n, heads, positions, size) each."""
        return self.attend(q, k, v, self.mask, is_causal=self.is_causal)

    def attend(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, *, is_causal: bool
    ) -> torch.Tensor:
        """Return what each query reads with a given mask."""
        return nn.functional.scaled_dot_product_attention(
            q, k, v, mask, 0.0, is_causal, scale=self.scale, enable_gqa=q.dim() > 3 and q.shape[1] != k.shape[1]
        )


class PartialSums(nn.Module):
    """A linear layer divided by its inputs: what each share of them adds to the outputs, one behind the other.

    Parameters
    ----------
    weight : of the linear layer.
    starts : where the shares of the inputs begin, and the end of the last.
    """

    weight: torch.Tensor

    def __init__(self, weight: torch.Tensor, starts: Sequence[int]) -> None:
        super().__init__()
        self.weight, self.starts = weight, tuple(starts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sums, shape (n, shares, ..., outputs), given (n, ..., inputs)."""
        shares = zip(self.starts, self.starts[1:], strict=False)
        return torch.stack([self.part(x[..., first:stop], first, stop) for first, stop in shares], dim=1)

    def part(self, x: torch.Tensor, first: int, stop: int) -> torch.Tensor:
        """Return what some of the inputs add, shape (n, ..., outputs)."""
        return nn.functional.linear(x, self.weight[:, first:stop])


class SumOfParts(nn.Module):
    """Partial sums put together, with the bias.

    Parameters
    ----------
    bias : of the linear layer, or None.
    """

    bias: nn.Parameter | None

    def __init__(self, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.register_parameter("bias", bias)

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        """Return the outputs, shape (n, ..., outputs), given (n, shares, ..., outputs)."""
        total = parts.sum(1)
        return total if self.bias is None else total + self.bias
