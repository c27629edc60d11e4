"""Shapes that the usual layers give, by rule.

Without data torch computes shapes in Python, for which it loads its compiler and its computer algebra: longer than all else of a trace takes.
So that is left to networks with other layers. `None` stands for what is left to torch, as what does not fit is, so that it says why.
"""

from __future__ import annotations

import operator
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Shape = tuple[int, ...]

_ALIKE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.Dropout, nn.Dropout2d,
)  # fmt: skip
_SUMS = (operator.add, operator.iadd, operator.mul, torch.add, torch.mul)
_RECTIFIERS = (torch.relu, functional.relu)


def _convolution(module: Any, shape: Shape) -> Shape | None:
    """Return what a convolution of two or one dimensions gives."""
    n = len(module.kernel_size)
    if len(shape) != n + 2 or shape[1] != module.in_channels or isinstance(module.padding, str):
        return None
    sizes = _slid(shape[2:], module.kernel_size, module.stride, module.padding, module.dilation)
    return None if sizes is None else (shape[0], module.out_channels, *sizes)


def _pool(module: Any, shape: Shape) -> Shape | None:
    """Return what a pool of two dimensions gives."""
    if len(shape) != 4 or module.ceil_mode or (isinstance(module, nn.MaxPool2d) and module.return_indices):
        return None
    padding, dilation = _two(module.padding), _two(module.dilation if isinstance(module, nn.MaxPool2d) else 1)
    kernel = _two(module.kernel_size)
    if any(2 * around > across for around, across in zip(padding, kernel, strict=True)):
        return None
    sizes = _slid(shape[2:], kernel, _two(module.stride), padding, dilation)
    return None if sizes is None else (*shape[:2], *sizes)


def _adaptive_pool(module: Any, shape: Shape) -> Shape | None:
    """Return what a pool to a given size gives."""
    sizes = _two(module.output_size)
    return (
        (*shape[:2], *sizes) if len(shape) == 4 and all(isinstance(size, int) and size > 0 for size in sizes) else None
    )


def _normalised(module: Any, shape: Shape) -> Shape | None:
    """Return what a normalisation by channels gives, which is asked rather than trained."""
    return shape if len(shape) == 4 and shape[1] == module.num_features and not module.training else None


def _linear(module: Any, shape: Shape) -> Shape | None:
    """Return what a linear layer gives."""
    return (*shape[:-1], module.out_features) if shape and shape[-1] == module.in_features else None


_RULES: Mapping[type[nn.Module], Callable[[Any, Shape], Shape | None]] = {
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    nn.BatchNorm2d: _normalised,
    nn.Linear: _linear,
}


def shape_by_module(module: nn.Module, x: Any) -> Shape | None:
    """Return the shape of what a module of torch gives for a tensor; None where there is no rule.

    Examples
    --------
    >>> shape_by_module(nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.empty(1, 3, 32, 32, device="meta"))
    (1, 8, 16, 16)
    """
    if not _is_usual(x):
        return None
    if type(module) in _ALIKE:
        return tuple(x.shape)
    rule = _RULES.get(type(module))
    return None if rule is None else rule(module, tuple(x.shape))


def flop_by_module(module: nn.Module, shape: Shape) -> int:
    """Return the multiply-adds times two of a module that has a rule and gives this shape, as torch counts them.

    Examples
    --------
    >>> flop_by_module(nn.Linear(64, 10), (1, 10))
    1280
    """
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        return 2 * prod(shape) * prod(module.kernel_size) * module.in_channels // module.groups
    return 2 * prod(shape) * module.in_features if isinstance(module, nn.Linear) else 0


def shape_by_function(function: object, args: Sequence[Any]) -> Shape | None:
    """Return the shape of what a function gives for tensors; None where there is no rule.

    Examples
    --------
    >>> shape_by_function(torch.add, [torch.empty(2, 3, device="meta")] * 2)
    (2, 3)
    """
    tensors = [one for one in args if one is not None]
    if not all(map(_is_usual, tensors)):
        return None
    if function is functional.linear:
        fits = (
            1 < len(tensors) <= 3
            and tensors[1].dim() == 2
            and tensors[0].dim() > 0
            and tensors[0].shape[-1] == tensors[1].shape[1]
        )
        return (*tensors[0].shape[:-1], tensors[1].shape[0]) if fits else None
    n_tensors = 2 if function in _SUMS else 1 if function in _RECTIFIERS else 0
    is_alike = n_tensors == len(args) == len(tensors) and len({one.shape for one in tensors}) == 1
    return tuple(args[0].shape) if is_alike else None


def flop_by_function(function: object, args: Sequence[Any], shape: Shape) -> int:
    """Return the multiply-adds times two of a function that has a rule and gives this shape."""
    return 2 * prod(shape) * args[1].shape[1] if function is functional.linear else 0


def _is_usual(x: Any) -> bool:
    return type(x) is torch.Tensor and x.dtype == torch.float32 and x.is_contiguous()


def _slid(sizes: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Shape | None:
    """Return at how many places a kernel stands along each side; None where it stands nowhere."""
    sides = zip(sizes, kernel, stride, padding, dilation, strict=True)
    found = tuple(
        (size + 2 * around - wide * (across - 1) - 1) // step + 1 for size, across, step, around, wide in sides
    )
    return found if min(found) > 0 else None


def _two(value: Any) -> Any:
    """Return an option of both sides."""
    return value if isinstance(value, tuple) else (value, value)
