"""From a program of `torch.export` to a network of modules and functions that the rest of the package knows."""

# ruff: noqa: ARG002, FBT001, FBT002, PLR0917 - methods for operators have the form of torch's schemas
from __future__ import annotations

import operator
import pickle
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import fx, nn
from torch.nn import functional

from edgesim.errors import NetworkError, visible
from edgesim.nn.models.brought.assembly import SAMPLES, Assembly, Traced
from edgesim.nn.models.brought.onnx_operators.moves import reshaped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgesim.domain.networks.samples import Inputs

_ERRORS = (
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    OSError,
    EOFError,
    ImportError,
    AssertionError,
)
_LAST = 2**62
_DROPPED = (
    "_assert_scalar",
    "_assert_tensor_metadata",
    "_assert_async",
    "sym_constrain_range_for_size",
    "sym_constrain_range",
)
_METHODS = frozenset({
    "view_as", "permute", "transpose", "contiguous", "expand", "expand_as", "squeeze", "unsqueeze", "unflatten", "repeat", "t", "size",
    "split", "split_with_sizes", "chunk", "unbind", "masked_fill",
})  # fmt: skip
_PASSED = frozenset(
    {"dropout", "dropout_", "feature_dropout", "alias", "detach", "clone", "contiguous", "lift_fresh_copy"}
)
_FUNCTIONAL = frozenset({
    "relu", "gelu", "silu", "elu", "selu", "mish", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "softplus", "relu6", "logsigmoid",
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "linear", "group_norm", "rms_norm", "pixel_shuffle", "scaled_dot_product_attention", "pad",
    "celu",
})  # fmt: skip
_CONVS = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv3d": nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def network_of(path: Path, inputs: Inputs, output: int | None) -> fx.GraphModule:
    """Return the network in a file, with its weights.

    Parameters
    ----------
    path : written by `torch.export.save`.
    inputs : of one sample; a program of one input takes it whatever it calls it, several are matched by name.
    output : which of its outputs is the answer; not needed where there is one.

    Raises
    ------
    NetworkError
        When it is missing or damaged, has other inputs, or was exported for a fixed number of samples.
    """
    with torch.device("cpu"):
        return _Conversion(path, _read(path), inputs).network(output)


def _read(path: Path) -> fx.GraphModule:
    if not path.is_file():
        raise NetworkError(f"{path} cannot be read: there is no such file; name a file that is there")
    if not zipfile.is_zipfile(path):
        raise NetworkError(
            f"{path} is damaged or cut short, or no program of torch.export; copy it again, or write it with `torch.export.save`"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.export.load(path).module()
    except (*_ERRORS, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NetworkError(
            f"{path} is damaged or cut short, or no program of torch.export: {visible(first)}; copy it again, or write it with "
            "`torch.export.save` of this version of torch"
        ) from None
    if not isinstance(module, fx.GraphModule):
        raise NetworkError(f"{path} holds no graph; write it with `torch.export.save`")
    return module


class _Conversion:
    """One conversion under way."""

    def __init__(self, path: Path, program: fx.GraphModule, inputs: Inputs) -> None:
        self.path, self.program, self.net = path, program, Assembly(inputs)
        self.values: dict[fx.Node, Any] = {}
        self.names: dict[int, str] = {}
        given = dict(zip(inputs, self.net.inputs, strict=True))
        wanted = [node for node in program.graph.nodes if node.op == "placeholder"]
        names = [str(node.target) for node in wanted]
        if len(wanted) != len(inputs) or (len(wanted) > 1 and sorted(names) != sorted(inputs)):
            raise NetworkError(
                f"{path} takes {len(wanted)} inputs ({', '.join(names) or 'none'}), but the data set gives {len(inputs)} "
                f"({', '.join(inputs)}); several are matched by name"
            )
        for node in wanted:
            taken = given[str(node.target)] if len(wanted) > 1 else self.net.inputs[0]
            declared = tuple(getattr(node.meta.get("val"), "shape", ()))
            if declared and (
                len(declared) != len(taken.shape)
                or any(isinstance(a, int) and a != b for a, b in zip(declared[1:], taken.shape[1:], strict=True))
            ):
                raise NetworkError(
                    f"{path} takes samples of shape {tuple(map(str, declared[1:]))}, but the data set gives {taken.shape[1:]}; give it the data "
                    "it was made for"
                )
            if declared and isinstance(declared[0], int) and declared[0] > 1:
                raise NetworkError(
                    f"{path} was exported for exactly {declared[0]} samples at a time; export it with a dynamic first axis: "
                    'dynamic_shapes=({0: torch.export.Dim("samples")},)'
                )
            self.values[node] = taken

    def network(self, output: int | None) -> fx.GraphModule:
        """Convert all nodes, and return the network."""
        for node in self.program.graph.nodes:
            if node.op == "get_attr":
                self._read_tensor(node)
            elif node.op == "call_function":
                try:
                    self.values[node] = self._called(node)
                except _ERRORS as error:
                    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                    raise NetworkError(
                        f"{self.path}: node {node.name!r} ({node.target}) cannot be converted: {visible(first)}; export the network with a "
                        'dynamic first axis, dynamic_shapes=({0: torch.export.Dim("samples")},), or bring it with type: import'
                    ) from error
        return self._answering(output)

    def _read_tensor(self, node: fx.Node) -> None:
        holder, _, name = str(node.target).rpartition(".")
        tensor = getattr(self.program.get_submodule(holder), name)
        self.values[node] = tensor
        self.names[id(tensor)] = holder

    def _called(self, node: fx.Node) -> Any:
        args: Any = fx.node.map_arg(node.args, self.values.get)
        options: Any = fx.node.map_arg(node.kwargs, self.values.get)
        function: Any = node.target
        if not isinstance(function, torch._ops.OpOverload):  # noqa: SLF001 - torch has no other name for it
            if function is operator.getitem:
                return args[0][args[1]]
            return (
                function(*args) if not any(isinstance(one, Traced) for one in args) else self.net.call(function, *args)
            )
        name = function._schema.name.rpartition("::")[2]  # noqa: SLF001
        if name in _DROPPED:
            return None
        return self._operator(
            name, function, [tuple(one) if isinstance(one, list) else one for one in args], dict(options)
        )

    def _operator(self, name: str, function: Any, args: list[Any], options: dict[str, Any]) -> Any:
        special = self._special.get(name.strip("_"))
        if special is not None:
            made = special(self, *args, **options)
            if made is not NotImplemented:
                return made
        if name in _PASSED:
            return args[0]
        if name in _METHODS:
            return self.net.call(name, *args, **options)
        plain = name.rstrip("_")
        found = getattr(functional, plain, None) if plain in _FUNCTIONAL else getattr(torch, plain, None)
        if found is None:
            found = getattr(functional, plain, function)
        return self.net.call(found, *args, **options)

    def _module(self, module: nn.Module, weight: Any, bias: Any, x: Any) -> Any:
        for name, tensor in (("weight", weight), ("bias", bias)):
            if tensor is not None:
                setattr(
                    module,
                    name,
                    tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, requires_grad=False),
                )
        return self.net.module(self.names.get(id(weight)) or "layer", module, x)

    def _on_linear(self, x: Any, weight: Any, bias: Any = None) -> Any:
        if isinstance(weight, Traced) or isinstance(bias, Traced) or weight.dim() != 2:
            return NotImplemented
        return self._module(
            nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta"), weight, bias, x
        )

    def _conv(
        self,
        kind: str,
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        if isinstance(weight, Traced) or isinstance(bias, Traced):
            return NotImplemented
        make: Any = _CONVS[kind]
        shape = tuple(weight.shape[2:])
        options = (
            _tuple(stride, shape),
            padding if isinstance(padding, str) else _tuple(padding, shape),
            _tuple(dilation, shape),
        )
        module = make(
            weight.shape[1] * groups, weight.shape[0], shape, *options, groups, bias is not None, device="meta"
        )
        return self._module(module, weight, bias, x)

    def _on_conv1d(self, *args: Any, **options: Any) -> Any:
        return self._conv("conv1d", *args, **options)

    def _on_conv2d(self, *args: Any, **options: Any) -> Any:
        return self._conv("conv2d", *args, **options)

    def _on_conv3d(self, *args: Any, **options: Any) -> Any:
        return self._conv("conv3d", *args, **options)

    def _transposed(
        self,
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Any:
        if isinstance(weight, Traced) or isinstance(bias, Traced):
            return NotImplemented
        shape = tuple(weight.shape[2:])
        make: Any = _TRANSPOSED[len(shape)]
        first = [_tuple(one, shape) for one in (stride, padding, output_padding)]
        sizes = (weight.shape[0], weight.shape[1] * groups, shape)
        module = make(*sizes, *first, groups, bias is not None, _tuple(dilation, shape), device="meta")
        return self._module(module, weight, bias, x)

    def _on_batch_norm(
        self,
        x: Any,
        weight: Any,
        bias: Any,
        mean: Any,
        variance: Any,
        training: Any,
        momentum: Any,
        eps: Any,
        cudnn: Any,
    ) -> Any:
        if training or mean is None or isinstance(weight, Traced):
            raise ValueError("it normalises by the batch; export the network in evaluation mode")
        module = _NORMS[len(x.shape)](len(mean), eps, affine=False, device="meta")
        module.running_mean, module.running_var = mean, variance
        module.num_batches_tracked = torch.tensor(0)
        self.names.setdefault(id(weight), self.names.get(id(mean), ""))
        return self._module(module, weight, bias, x)

    def _on_layer_norm(
        self, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn: bool = True
    ) -> Any:
        if isinstance(weight, Traced):
            return NotImplemented
        module = nn.LayerNorm(
            list(shape), eps, elementwise_affine=weight is not None, bias=bias is not None, device="meta"
        )
        return self._module(module, weight, bias, x)

    def _on_embedding(self, weight: Any, which: Any, *args: Any, **options: Any) -> Any:
        if isinstance(weight, Traced):
            return NotImplemented
        return self._module(nn.Embedding(weight.shape[0], weight.shape[1], device="meta"), weight, None, which)

    def _on_view(self, x: Any, shape: Any) -> Any:
        return reshaped(self.net, x, list(shape))

    def _on_sym_size(self, x: Any, axis: int) -> Any:
        return x.shape[axis]

    def _on_slice(self, x: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
        end = None if end is None or end > _LAST or end == x.shape[axis] else end
        if not start and end is None and step == 1:
            return x
        which = (*[slice(None)] * (axis % len(x.shape)), slice(start or None, end, None if step == 1 else step))
        return self.net.call(operator.getitem, x, which)

    def _on_select(self, x: Any, axis: int, place: int) -> Any:
        return self.net.call(operator.getitem, x, (*[slice(None)] * (axis % len(x.shape)), place))

    def _on_to(self, x: Any, *args: Any, **options: Any) -> Any:
        wanted = next((one for one in args if isinstance(one, torch.dtype)), options.get("dtype"))
        return x if wanted in {None, (x.meta if isinstance(x, Traced) else x).dtype} else self.net.call("to", x, wanted)

    _special: ClassVar[dict[str, Callable[..., Any]]] = {
        "linear": _on_linear, "conv1d": _on_conv1d, "conv2d": _on_conv2d, "conv3d": _on_conv3d,
        "conv_transpose1d": _transposed, "conv_transpose2d": _transposed, "conv_transpose3d": _transposed, "batch_norm": _on_batch_norm,
        "layer_norm": _on_layer_norm, "embedding": _on_embedding, "view": _on_view, "reshape": _on_view, "unsafe_view": _on_view,
        "sym_size": _on_sym_size, "slice": _on_slice, "select": _on_select, "to": _on_to, "to_copy": _on_to,
    }  # fmt: skip
    """What is not called as torch calls it, by the name of the operator."""

    def _answering(self, output: int | None) -> fx.GraphModule:
        given = next(node for node in self.program.graph.nodes if node.op == "output").args[0]
        results = (
            [self.values.get(one) for one in fx.node.map_aggregate(given, lambda one: one)]
            if isinstance(given, (tuple, list))
            else [self.values.get(given)]
        )
        if (output is None and len(results) > 1) or (output is not None and not 0 <= output < len(results)):
            raise NetworkError(
                f"{self.path} gives {len(results)} things; name the one that is the answer with `output`, 0 to {len(results) - 1}"
            )
        answer = results[output or 0]
        if not isinstance(answer, Traced) or not answer.shape or answer.shape[0] != SAMPLES:
            raise NetworkError(
                f"{self.path}: the first axis of its answer does not count samples; export it with a dynamic first axis: "
                'dynamic_shapes=({0: torch.export.Dim("samples")},)'
            )
        return self.net.network(answer, "ExportedNetwork")


def _tuple(value: Any, like: tuple[int, ...]) -> tuple[int, ...]:
    found = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return found * len(like) if len(found) == 1 else found
