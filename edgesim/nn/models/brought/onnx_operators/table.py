"""The operators by name.

References
----------
ONNX Operator Schemas, https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.nn import functional

from edgesim.nn.models.brought.onnx_operators.elementwise import (
    cast,
    clip,
    divide,
    gelu,
    hard_sigmoid,
    identity,
    many,
    modulo,
    multiply,
    optioned,
    plain,
    reduced,
    softmax,
)  # fmt: skip
from edgesim.nn.models.brought.onnx_operators.layers import (
    batch_norm,
    conv,
    conv_transpose,
    einsum,
    gemm,
    global_pool,
    instance_norm,
    layer_norm,
    matmul,
    pool,
)  # fmt: skip
from edgesim.nn.models.brought.onnx_operators.moves import (
    concat,
    constant,
    constant_of_shape,
    expand,
    flatten,
    gather,
    pad,
    range_,
    reshape,
    resize,
    shape,
    slice_,
    split,
    squeeze,
    tile,
    transpose,
    trilu,
    unsqueeze,
)  # fmt: skip
from edgesim.nn.models.brought.onnx_operators.recurrent import recurrent

OPERATORS: dict[str, Any] = {
    "Conv": conv, "ConvTranspose": conv_transpose, "Gemm": gemm, "MatMul": matmul, "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm, "InstanceNormalization": instance_norm, "MaxPool": partial(pool, "max"),
    "AveragePool": partial(pool, "average"), "GlobalAveragePool": partial(global_pool, "avg"), "GlobalMaxPool": partial(global_pool, "max"),
    "Relu": partial(plain, functional.relu), "Sigmoid": partial(plain, torch.sigmoid), "Tanh": partial(plain, torch.tanh),
    "Erf": partial(plain, torch.erf), "Sqrt": partial(plain, torch.sqrt), "Exp": partial(plain, torch.exp), "Log": partial(plain, torch.log),
    "Neg": partial(plain, torch.neg), "Abs": partial(plain, torch.abs), "Reciprocal": partial(plain, torch.reciprocal),
    "Floor": partial(plain, torch.floor), "Ceil": partial(plain, torch.ceil), "Sin": partial(plain, torch.sin), "Cos": partial(plain, torch.cos),
    "Softplus": partial(plain, functional.softplus), "HardSwish": partial(plain, functional.hardswish), "Mish": partial(plain, functional.mish),
    "PRelu": partial(plain, lambda x, slope: torch.where(x >= 0, x, x * slope)), "Not": partial(plain, torch.logical_not),
    "LeakyRelu": partial(optioned, functional.leaky_relu, {"negative_slope": ("alpha", 0.01)}),
    "Elu": partial(optioned, functional.elu, {"alpha": ("alpha", 1.0)}), "Gelu": gelu, "HardSigmoid": hard_sigmoid, "Clip": clip,
    "Add": partial(plain, torch.add), "Sub": partial(plain, torch.sub), "Mul": multiply, "Div": divide,
    "Pow": partial(plain, torch.pow), "Mod": modulo, "Min": partial(many, torch.minimum), "Max": partial(many, torch.maximum),
    "Sum": partial(many, torch.add), "Equal": partial(plain, torch.eq), "Less": partial(plain, torch.lt), "Greater": partial(plain, torch.gt),
    "LessOrEqual": partial(plain, torch.le), "GreaterOrEqual": partial(plain, torch.ge), "And": partial(plain, torch.logical_and),
    "Or": partial(plain, torch.logical_or), "Where": partial(plain, torch.where), "Softmax": partial(softmax, torch.softmax),
    "LogSoftmax": partial(softmax, torch.log_softmax), "Identity": identity, "Dropout": identity, "Flatten": flatten, "Reshape": reshape,
    "Transpose": transpose, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Concat": concat, "Split": split, "Slice": slice_, "Gather": gather,
    "Shape": shape, "Constant": constant, "ConstantOfShape": constant_of_shape, "Expand": expand, "Cast": cast, "Tile": tile,
    "ReduceMean": partial(reduced, torch.mean), "ReduceSum": partial(reduced, torch.sum), "ReduceMax": partial(reduced, torch.amax),
    "ReduceMin": partial(reduced, torch.amin), "GRU": partial(recurrent, "GRU"), "LSTM": partial(recurrent, "LSTM"), "RNN": partial(recurrent, "RNN"),
    "Einsum": einsum, "Pad": pad, "Resize": resize, "Range": range_, "Trilu": trilu,
}  # fmt: skip
"""Operators by name. Each takes the network in the making, a name for a layer, inputs (None where left out) and attributes, and returns a value or a list."""
