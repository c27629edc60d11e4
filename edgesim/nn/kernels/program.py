"""A kernel as data: a graph of named operators of torch, and tensors. It can be stored, sent and checked, and holds no code."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from edgesim.errors import DataError

if TYPE_CHECKING:
    from edgesim.interfaces import Kernel

Tensors = tuple[torch.Tensor, ...]
_NAME = re.compile(r"aten\.(\w+)\.(\w+)")
_ALSO = frozenset({"aten.native_batch_norm.default", "aten.repeat_interleave.Tensor"})
"""Operators that compute and do nothing else, besides those that torch calls core or pointwise."""
TAKE = "take"
"""The one operator that is not torch's: one of several results of another."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a kernel is given of one step: the shapes and types of the tensors."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]

    @classmethod
    def like(cls, name: str, tensors: Tensors) -> Given:
        """Return what tensors like these are."""
        return cls(
            name,
            tuple(tuple(tensor.shape) for tensor in tensors),
            tuple(dtype_name(tensor.dtype) for tensor in tensors),
        )

    def read(self, content: bytearray) -> Tensors:
        """Return the tensors of a message. Raises `DataError` when it has another size."""
        tensors: list[torch.Tensor] = []
        at = 0
        for shape, name in zip(self.shapes, self.dtypes, strict=True):
            dtype: torch.dtype = getattr(torch, name)
            n_byte = dtype.itemsize * math.prod(shape)
            if at + n_byte > len(content):
                break
            flat = (
                torch.frombuffer(content, dtype=dtype, offset=at, count=math.prod(shape)) if n_byte else torch.empty(0)
            )
            tensors.append(flat.to(dtype).reshape(shape))
            at += n_byte
        if len(tensors) < len(self.shapes) or at != len(content):
            raise DataError(f"{self.name!r} brought {len(content)} byte, which are not tensors of {self.shapes}")
        return tuple(tensors)

    def zeros(self) -> Tensors:
        """Return what stands for tensors that did not come."""
        return tuple(
            torch.zeros(shape, dtype=getattr(torch, dtype))
            for shape, dtype in zip(self.shapes, self.dtypes, strict=True)
        )


def bytes_of(tensors: Tensors) -> bytes:
    r"""Return tensors as they lie in a message, one behind another.

    >>> bytes_of((torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([[3]], dtype=torch.uint8)))
    b'\x01\x02\x03'
    """
    return b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What one computation of a plan computes.

    Parameters
    ----------
    given : what it reads, in order; a number follows for each, 1 where it came and 0 where it is absent and zeros stand for it.
    nodes : operators in order: name of the result, name of the operator, arguments. An argument is a number, text, truth value, None, a list of
        arguments, ``{"of": name}`` for a result or weight, or ``{"kind": .., "value": ..}`` for a dtype, layout, memory format, device or a number
        that JSON does not have.
    weights : tensors by name.
    results : by where they go, names of the tensors.
    """

    given: tuple[Given, ...]
    nodes: tuple[Mapping[str, Any], ...]
    weights: Mapping[str, torch.Tensor]
    results: Mapping[str, tuple[str, ...]]

    def document(self) -> dict[str, Any]:
        """Return all but the weights, as JSON holds it."""
        return {
            "given": [{"name": one.name, "shapes": one.shapes, "dtypes": one.dtypes} for one in self.given],
            "nodes": list(self.nodes),
            "results": {name: list(tensors) for name, tensors in self.results.items()},
        }

    @classmethod
    def read(cls, document: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> Program:
        """Return the program of a document. Raises `DataError` when it is none, or names an operator that does more than compute."""
        try:
            given = tuple(
                Given(one["name"], tuple(tuple(shape) for shape in one["shapes"]), tuple(one["dtypes"]))
                for one in document["given"]
            )
            results = {name: tuple(tensors) for name, tensors in document["results"].items()}
            nodes = tuple({name: node[name] for name in ("name", "op", "args", "kwargs")} for node in document["nodes"])
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"a kernel is not written as one: {error!r}; export the scenario anew") from error
        for node in nodes:
            operator_of(node["op"])
        return cls(given, nodes, weights, results)


def operator_of(name: str) -> Any:
    """Return an operator by its name: one of torch's that reads tensors and numbers, and returns new tensors.

    Raises
    ------
    DataError
        When there is none of that name, or it does something else too.

    Examples
    --------
    >>> operator_of("aten.relu.default")(torch.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    if name == TAKE:
        return operator.getitem
    found = _NAME.fullmatch(name)
    packet = getattr(torch.ops.aten, found.group(1), None) if found else None
    overload = getattr(packet, found.group(2), None) if found and packet is not None else None
    if not isinstance(overload, torch._ops.OpOverload):  # noqa: SLF001 - the class has no other name
        raise DataError(f"a kernel names the operator {name!r}, which this torch does not have")
    is_plain = torch.Tag.core in overload.tags or torch.Tag.pointwise in overload.tags or name in _ALSO
    if not is_plain or overload._schema.is_mutable:  # noqa: SLF001 - as above
        raise DataError(f"a kernel names the operator {name!r}, which is not among those that kernels may use")
    return overload


class Runner:
    """Runs a program, with one thread and without gradients.

    Parameters
    ----------
    program : to run.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._steps = [
            (
                node["name"],
                operator_of(node["op"]),
                _decoded(node["args"]),
                {name: _decoded(one) for name, one in node["kwargs"].items()},
            )
            for node in program.nodes
        ]

    def run(self, given: Mapping[str, Tensors]) -> dict[str, Tensors]:
        """Return what goes where, from what came; zeros stand for what is not given.

        Raises
        ------
        DataError
            When tensors have other shapes or types than it was made for.
        """
        values: dict[str, Any] = dict(self.program.weights)
        for number, one in enumerate(self.program.given):
            is_there = one.name in given
            tensors = given[one.name] if is_there else one.zeros()
            _check(one, tensors)
            values |= {f"given{number}_{position}": tensor for position, tensor in enumerate(tensors)}
            values[f"there{number}"] = torch.tensor(float(is_there))
        with torch.inference_mode():
            for name, function, args, kwargs in self._steps:
                values[name] = function(*_filled(args, values), **_filled(kwargs, values))
        return {name: tuple(values[tensor] for tensor in tensors) for name, tensors in self.program.results.items()}


def _check(one: Given, tensors: Tensors) -> None:
    found = Given.like(one.name, tensors)
    if found != one:
        raise DataError(
            f"{one.name!r} brought {found.shapes} of {found.dtypes}, but the kernel reads {one.shapes} of {one.dtypes}"
        )


class Direct:
    """Runs a kernel as it is, without writing it down.

    Parameters
    ----------
    kernel : in evaluation.
    given : what it is given where everything comes.
    goals : what is wanted of it.
    """

    def __init__(self, kernel: Kernel, given: Mapping[str, Tensors], goals: Sequence[str]) -> None:
        self.kernel = kernel
        self.given = tuple(Given.like(name, tensors) for name, tensors in given.items())
        self.goals = goals

    def run(self, given: Mapping[str, Tensors]) -> dict[str, Tensors]:
        """Return what goes where, from what came; zeros stand for what is not given."""
        tensors = {one.name: given.get(one.name, one.zeros()) for one in self.given}
        there = {one.name: torch.tensor(float(one.name in given)) for one in self.given}
        with torch.inference_mode():
            results = self.kernel(tensors, there)
        return {goal: tuple(results[goal]) for goal in self.goals}


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a type of numbers.

    >>> dtype_name(torch.float32)
    'float32'
    """
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True, slots=True)
class _Of:
    name: str


_KINDS: dict[str, type] = {"dtype": torch.dtype, "layout": torch.layout, "memory": torch.memory_format}


def _decoded(value: Any) -> Any:
    """Return an argument as torch takes it, with results still to be filled in."""
    if isinstance(value, (list, tuple)):
        return [_decoded(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"of"}:
        return _Of(value["of"])
    kind, text = value.get("kind"), str(value.get("value"))
    if kind == "number":
        return float(text)
    if kind == "device":
        return torch.device("cpu")
    found = vars(torch).get(text)
    if kind not in _KINDS or not isinstance(found, _KINDS[kind]):
        raise DataError(f"a kernel has the argument {value!r}, which says nothing; export the scenario anew")
    return found


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, _Of):
        return values[value.name]
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    return {name: _filled(one, values) for name, one in value.items()} if isinstance(value, dict) else value


def use_one_thread() -> None:
    """Let torch compute with one thread, as devices do here; more would take the cores of other devices."""
    torch.set_num_threads(1)
