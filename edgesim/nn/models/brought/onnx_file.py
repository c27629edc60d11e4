"""From an ONNX file to a network of torch. The file is read as data; nothing in it is run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from edgesim.errors import DataError, NetworkError, visible
from edgesim.nn.models.brought.assembly import SAMPLES, Assembly, Traced
from edgesim.nn.models.brought.onnx_operators.given import CannotConvertError
from edgesim.nn.models.brought.onnx_operators.layers import linear
from edgesim.nn.models.brought.onnx_operators.table import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import fx

    from edgesim.domain.networks.samples import Inputs

_MOST_NAMED = 12
_ERRORS = (
    CannotConvertError,
    RuntimeError,
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
    ArithmeticError,
)
_DOMAINS = ("", "ai.onnx")


def network_of(path: Path, inputs: Inputs, output: str | None) -> fx.GraphModule:
    """Return the network in a file, with its weights.

    Parameters
    ----------
    path : with external data beside it, if any.
    inputs : of one sample; a network of one input takes it whatever it calls it, several are matched by name.
    output : which of its outputs is the answer; not needed where there is one.

    Raises
    ------
    NetworkError
        When it is missing or damaged, lacks external data, has other inputs, or holds what cannot be converted: all such nodes are named.
    """
    model = _read(path)
    faults = [
        f"node {_name(node)!r}: {node.domain + '.' if node.domain not in _DOMAINS else ''}{node.op_type}"
        for node in model.graph.node
        if node.domain not in _DOMAINS or node.op_type not in OPERATORS
    ]
    if faults:
        more = f" and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        raise NetworkError(
            f"{path}: operators of these nodes are not known here: {visible(', '.join(faults[:_MOST_NAMED]))}{more}; write the network "
            "with other operators, or bring it with type: import"
        )
    with torch.device("cpu"):
        return _Conversion(path, model, inputs).network(output)


def files_of(path: Path) -> list[Path]:
    """Return the file and those of its external data."""
    return [path, *sorted({path.parent / name for name in _external(_parsed(path))})]


def _parsed(path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise DataError("type: onnx needs the package onnx: pip install 'edgesim[onnx]'") from error
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise NetworkError(f"{path} cannot be read: {error.strerror or error}; name a file that is there") from None
    except (DecodeError, ValueError) as error:
        raise NetworkError(
            f"{path} is damaged or cut short, or no ONNX: {error}; copy it again, or export it again"
        ) from error
    if not model.graph.node:
        raise NetworkError(
            f"{path} is damaged or cut short, or no ONNX: it has no node; copy it again, or export it again"
        )
    return model


def _external(model: Any) -> Iterator[str]:
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                yield entry.value


def _read(path: Path) -> Any:
    model = _parsed(path)
    names = sorted(set(_external(model)))
    outside = [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise NetworkError(
            f"{path} keeps weights outside its folder: {visible(', '.join(outside))}; such files are not read, put them beside it"
        )
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise NetworkError(
            f"{path} keeps its weights in files that are not there: {visible(', '.join(missing))}; put them into {path.parent}, under these names"
        )
    if names:
        import onnx

        try:
            onnx.load_external_data_for_model(model, os.fspath(path.parent))
        except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            first = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise NetworkError(
                f"{path}: the weights in {visible(', '.join(names))} cannot be read: {visible(first)}; copy the files again"
            ) from None
    return model


def _name(node: Any) -> str:
    return str(node.name or (node.output[0] if node.output else "") or node.op_type)


class _Conversion:
    """One conversion under way."""

    def __init__(self, path: Path, model: Any, inputs: Inputs) -> None:
        import onnx

        self.path, self.graph = path, model.graph
        self.net = Assembly(inputs)
        self.opset = max([one.version for one in model.opset_import if one.domain in _DOMAINS], default=13)
        self.values: dict[str, Any] = {"": None}
        try:
            for tensor in model.graph.initializer:
                self.values[tensor.name] = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        except (ValueError, TypeError, RuntimeError) as error:
            raise NetworkError(
                f"{path} is damaged or cut short: weight {tensor.name!r}: {error}; export it again"
            ) from error
        self.users: dict[str, list[Any]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self._take(inputs)

    def _take(self, inputs: Inputs) -> None:
        wanted = [one for one in self.graph.input if one.name not in self.values]
        names = [one.name for one in wanted]
        if len(wanted) != len(inputs) or (len(wanted) > 1 and sorted(names) != sorted(inputs)):
            raise NetworkError(
                f"{self.path} takes {len(wanted)} inputs ({visible(', '.join(names)) or 'none'}), but the data set gives {len(inputs)} "
                f"({', '.join(inputs)}); several are matched by name"
            )
        of = dict(zip(inputs, self.net.inputs, strict=True))
        for one in wanted:
            given = of[one.name] if len(wanted) > 1 else self.net.inputs[0]
            self._check_shape(one, given)
            self.values[one.name] = self._as_declared(given, one.type.tensor_type.elem_type)

    def _check_shape(self, one: Any, given: Traced) -> None:
        """Refuse an input that is declared with another shape, or for more samples at a time."""
        dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in one.type.tensor_type.shape.dim]
        fits = len(dims) == len(given.shape) and all(
            a is None or a == b for a, b in zip(dims[1:], given.shape[1:], strict=True)
        )
        if dims and not fits:
            shown = tuple("any" if dim is None else dim for dim in dims[1:])
            raise NetworkError(
                f"{self.path} takes samples of shape {shown}, but the data set gives {given.shape[1:]}; give it the data it was made for"
            )
        if dims and dims[0] is not None and dims[0] > 1:
            raise NetworkError(
                f"{self.path} was written for exactly {dims[0]} samples at a time; export it with a dynamic first axis (`dynamic_axes`, "
                "`dynamic_shapes`)"
            )

    def _as_declared(self, given: Traced, number: int) -> Any:
        """Turn whole numbers into the type that the file declares."""
        wanted = {6: torch.int32, 7: torch.int64, 1: torch.float32}.get(number, given.meta.dtype)
        if given.meta.dtype == wanted:
            return given
        return self.net.call("to", given, wanted)

    def network(self, output: str | None) -> fx.GraphModule:
        """Convert all nodes, and return the network."""
        for node in self.graph.node:
            if node.output[0] in self.values:
                continue
            try:
                self._convert(node)
            except _ERRORS as error:
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise NetworkError(
                    f"{self.path}: node {visible(_name(node))!r} ({node.op_type}) cannot be converted: {visible(first)}; export the "
                    "network with a dynamic first axis, with other options, or bring it with type: import"
                ) from error
        return self._answering(output)

    def _convert(self, node: Any) -> None:
        import onnx

        attributes = {one.name: self._attribute(onnx.helper.get_attribute_value(one)) for one in node.attribute}
        attributes |= {"opset": self.opset, "n_results": len(node.output)}
        inputs = [self.values[name] for name in node.input]
        name = self._layer(node)
        if node.op_type == "MatMul" and self._with_bias(node, name, inputs):
            return
        made = OPERATORS[node.op_type](self.net, name, inputs, attributes)
        results = made if isinstance(made, (list, tuple)) else [made]
        for key, value in zip(node.output, results, strict=False):
            self.values[key] = value

    def _attribute(self, value: Any) -> Any:
        import onnx

        return (
            torch.from_numpy(onnx.numpy_helper.to_array(value).copy()) if isinstance(value, onnx.TensorProto) else value
        )

    def _layer(self, node: Any) -> str:
        """Return the name of the layer whose weights a node reads, else its own without the operator that exporters put behind it."""
        weight = next(
            (name for name in node.input if name.endswith(".weight") and isinstance(self.values[name], torch.Tensor)),
            "",
        )
        own = _name(node).strip("/").replace("/", ".")
        return weight.removesuffix(".weight") or re.sub(rf"\.{node.op_type}(_\d+)?$", "", own)

    def _with_bias(self, node: Any, name: str, inputs: Sequence[Any]) -> bool:
        """Convert a product with weights together with the addition of a bias, as one linear layer; return whether there is one."""
        users = self.users.get(node.output[0], [])
        x, weight = inputs
        is_product = isinstance(x, Traced) and isinstance(weight, torch.Tensor) and weight.dim() == 2
        is_output = any(one.name == node.output[0] for one in self.graph.output)
        if not is_product or is_output or len(users) != 1 or users[0].op_type != "Add":
            return False
        others = [self.values.get(one) for one in users[0].input if one != node.output[0]]
        if len(others) != 1 or not isinstance(others[0], torch.Tensor) or tuple(others[0].shape) != (weight.shape[1],):
            return False
        bias = next(one for one in users[0].input if one != node.output[0])
        named = bias.removesuffix(".bias") if bias.endswith(".bias") else name
        self.values[users[0].output[0]] = linear(self.net, named, x, weight.T, others[0])
        return True

    def _answering(self, output: str | None) -> fx.GraphModule:
        names = [one.name for one in self.graph.output]
        if (output is None and len(names) > 1) or (output is not None and output not in names):
            raise NetworkError(
                f"{self.path} gives {visible(', '.join(names))}; name the one that is the answer with `output`"
            )
        answer = self.values[output or names[0]]
        if not isinstance(answer, Traced) or not answer.shape or answer.shape[0] != SAMPLES:
            raise NetworkError(
                f"{self.path}: the first axis of its answer does not count samples; export it with a dynamic first axis"
            )
        return self.net.network(answer, "OnnxNetwork")
