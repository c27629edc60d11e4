"""Networks that give several things, of which one is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError

if TYPE_CHECKING:
    from torch import nn


def use_output(network: nn.Module, output: str | int) -> nn.Module:
    """Let a network give one of the things that it gives, and return it: its layers keep their names.

    Parameters
    ----------
    network : gives a tuple, a mapping, or an object with named fields.
    output : position in the tuple, from 0, or name.

    Raises
    ------
    DataError
        When the network is called and gives nothing there.
    """
    network.__class__ = _choosing(type(network), output)
    return network


_MADE: dict[tuple[Any, str | int], type[nn.Module]] = {}


def _choosing(kind: type[nn.Module], output: str | int) -> type[nn.Module]:
    """Return the class whose networks give one of the things that those of `kind` give; one for each choice."""
    if (kind, output) not in _MADE:
        _MADE[kind, output] = _made(kind, output)
    return _MADE[kind, output]


def _made(kind: type[nn.Module], output: str | int) -> type[nn.Module]:
    forward: Any = kind.forward

    @wraps(forward)
    def chosen(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return _chosen(forward(self, *args, **kwargs), output, kind.__name__)

    def reduced(self: nn.Module, protocol: Any) -> Any:  # noqa: ARG001 - pickle's form
        return _empty, (kind, output), self.__dict__

    return type(kind.__name__, (kind,), {"forward": chosen, "__reduce_ex__": reduced, "__module__": kind.__module__})


def _empty(kind: type[nn.Module], output: str | int) -> nn.Module:
    made = _choosing(kind, output)
    network: nn.Module = made.__new__(made)
    return network


def _chosen(given: Any, output: str | int, name: str) -> Any:
    if isinstance(given, Mapping):
        there: Any = {str(key): value for key, value in given.items()}
    elif isinstance(given, (tuple, list)) and not isinstance(output, str):
        there = dict(enumerate(given))
    else:
        there = vars(given) if isinstance(output, str) and hasattr(given, "__dict__") else {}
        if isinstance(given, tuple):
            there = dict(zip(getattr(given, "_fields", ()), given, strict=False))
    if output not in there:
        known = ", ".join(map(str, there)) or "nothing by such a name"
        raise DataError(
            f"{name} gives a {type(given).__name__} without output {output!r}; it has {known}: name one of them with `output:`"
        )
    return there[output]
