"""Shapes by rule are those of torch, and torch loads no compiler for them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import fx, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from written import NETWORKS

from edgesim.nn.cost import known, trace
from edgesim.nn.shapes import flop_by_module, shape_by_function, shape_by_module

few = st.integers(1, 4)
pairs = few | st.tuples(few, few)
paddings = st.integers(0, 2) | st.tuples(st.integers(0, 2), st.integers(0, 2))
channels = st.sampled_from([2, 4])
modules = st.one_of(
    st.builds(nn.Conv2d, channels, channels, pairs, pairs, paddings | st.just("valid"), pairs, st.sampled_from([1, 2])),
    st.builds(nn.Conv1d, channels, channels, few, few, st.integers(0, 2), few),
    st.builds(nn.MaxPool2d, pairs, st.none() | pairs, st.integers(0, 2), few, ceil_mode=st.booleans()),
    st.builds(nn.AvgPool2d, pairs, st.none() | pairs, st.integers(0, 2), st.booleans()),
    st.builds(nn.AdaptiveAvgPool2d, st.one_of(few, st.tuples(few, few), st.tuples(st.none(), few))),
    st.builds(nn.BatchNorm2d, channels),
    st.builds(nn.Linear, st.sampled_from([5, 7]), few),
    st.sampled_from([nn.ReLU(), nn.GELU(), nn.Hardswish(), nn.Dropout(), nn.Tanh()]),
)


@given(
    modules,
    st.lists(st.integers(1, 9), min_size=2, max_size=2),
    st.integers(2, 4),
    st.sampled_from(["as made", "turned"]),
)
def test_a_rule_gives_what_torch_gives_or_nothing(module: nn.Module, sizes: list[int], n_axes: int, order: str) -> None:
    """Also where torch refuses what does not fit: no rule answers then."""
    x = torch.empty((3, 4, *sizes)[:n_axes] if n_axes < 4 else (3, 4, *sizes))
    x = x.transpose(0, -1) if order == "turned" else x
    module = module.eval()
    try:
        with FlopCounterMode(display=False) as counter:
            wanted = tuple(module(x).shape)
    except (RuntimeError, ValueError, IndexError):
        wanted = None
    found = shape_by_module(module, x)
    assert found is None or found == wanted
    if found is not None:
        assert flop_by_module(module, found) == counter.get_total_flops()


def test_the_usual_ones_have_a_rule() -> None:
    x = torch.empty(2, 4, 9, 8)
    for module in (
        nn.Conv2d(4, 8, 3, 2, 1, groups=2), nn.MaxPool2d(2), nn.AvgPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4), nn.Linear(8, 3),
        nn.ReLU(inplace=True),
    ):  # fmt: skip
        assert shape_by_module(module.eval(), x) == tuple(module(x).shape)
    assert shape_by_module(nn.BatchNorm2d(4), x) is None  # it is trained
    assert shape_by_module(nn.Conv2d(5, 8, 3), x) is None
    assert shape_by_module(nn.Linear(8, 3), x.double()) is None
    assert shape_by_function(functional.relu, (x,)) == shape_by_function(torch.add, (x, x)) == (2, 4, 9, 8)
    assert shape_by_function(functional.linear, (x, torch.empty(3, 8), None)) == (2, 4, 9, 3)
    assert shape_by_function(functional.linear, (x, torch.empty(3, 7))) is None
    assert shape_by_function(torch.add, (x, x[:1])) is None
    assert shape_by_function(torch.add, (x, 1.0)) is None


def told(graph: fx.GraphModule) -> list[Any]:
    return [(node.op, str(node.target), {key: node.meta.get(key) for key in ("tensors", "flop", "dtype", "value", "is_sampled", "is_fixed")})
            for node in graph.graph.nodes]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_as_users_write_them_are_counted_as_by_torch_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, inputs = NETWORKS[name]
    network = make().eval()
    by_rule = trace.trace(network, inputs)
    trace.record(by_rule, inputs)
    for module in (trace, known):
        monkeypatch.setattr(module, "shape_by_module", lambda *_: None)
        monkeypatch.setattr(module, "shape_by_function", lambda *_: None)
    by_torch = trace.trace(network, inputs)
    trace.record(by_torch, inputs)
    assert told(by_rule) == told(by_torch)


def test_a_usual_network_is_counted_without_torchs_compiler() -> None:
    code = (
        "import sys; from torch import nn; from edgesim.nn.cost.layers import measure; from edgesim.nn.train.training import reproducible\n"
        "net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
        "with reproducible(1, 'x'): measure(net, (1, 8, 8))\n"
        "sys.exit(' '.join(name for name in ('torch._dynamo', 'sympy') if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
