"""Asserts, branches and loops on shapes are decided from the shape of a sample; branches on values are refused with their line."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError
from edgesim.nn.cost.layers import measure
from edgesim.nn.cost.moves import plain
from edgesim.nn.cost.trace import trace
from edgesim.nn.cost.tracer import graph_of


class Asserting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.wide, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Linear(64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1] == 3, "three colours"
        assert x.dim() == 4 and x.size(0) > 0 and isinstance(x, torch.Tensor)  # noqa: PT018 - as people write
        b, _, h, w = x.shape
        if h % 2 or w % 2:
            raise ValueError(f"odd image of {h}x{w}")
        x = self.conv(x)
        if x.size(-1) > 2:
            x = functional.relu(self.wide(x))
        if x.shape[2:] != (4, 4):
            x = functional.interpolate(x, size=(4, 4))
        y = x.view(x.size(0), -1)
        return self.last(y if y.shape[0] == b else y * 0) / math.sqrt(y.size(-1))


class Looping(nn.Module):
    """Step by step, with tensors that are made on the way, and optional arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last, self.table = nn.GRUCell(3, 6), nn.Linear(6, 5), nn.Embedding(9, 3)
        self.scales = torch.linspace(0, 1, 20)  # neither parameter nor buffer

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None, *, is_reversed: bool = False) -> torch.Tensor:
        n_samples, n_steps, n_features = x.shape
        state = torch.zeros(n_samples, 6, device=x.device, dtype=x.dtype)
        if mask is not None:
            x = x * mask
        x = x + self.table(torch.arange(n_steps, device=x.device)) * self.scales.add(1.0, alpha=2)[:n_features]
        x = x.masked_fill(torch.ones(n_steps, n_features).tril().bool().logical_not(), torch.finfo(x.dtype).min / 1e38)
        for step in reversed(range(n_steps)) if is_reversed else range(n_steps):
            state = self.cell(x[:, step], state)
        for part in state.chunk(2, dim=1):
            state = state + part.mean(1, keepdim=True)
        return self.last(state)


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while min(x.shape[2:]) > 1:
            x = functional.avg_pool2d(self.conv(x), 2)
        pooled = [functional.adaptive_avg_pool2d(x, 1).flatten(1) for _ in range(len(x.shape))]
        out = torch.cat(pooled, dim=1)
        return out.reshape(x.shape[0], out.numel() // len(x.shape) // x.size(0), -1).flatten(1)


NETWORKS = {"asserting": (Asserting, (3, 8, 8)), "looping": (Looping, (4, 3)), "pyramid": (Pyramid, (2, 8, 8))}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", [trace, plain])
def test_graphs_answer_any_number_of_samples(form, name):
    make, shape = NETWORKS[name]
    torch.manual_seed(1)
    network = make().eval()
    assert measure(network, shape).work_flop > 0
    graph = form(network, shape)
    for n_samples in (1, 2, 5):
        some = torch.randn(n_samples, *shape)
        with torch.no_grad():
            assert torch.allclose(graph(some), network(some), atol=1e-6)
            assert torch.allclose(pickle.loads(pickle.dumps(graph))(some), graph(some))  # noqa: S301 - its own


def test_branches_are_those_of_the_shape():
    """Of an image of 2 x 2 pixels the second convolution is not called, but its map is enlarged."""
    large, small = (measure(Asserting(), (3, n, n)) for n in (8, 2))
    assert [layer.layer_id for layer in large.layers if layer.operator == "conv"] == ["conv", "wide"]
    assert [layer.layer_id for layer in small.layers if layer.operator == "conv"] == ["conv"]
    assert (
        sum(
            layer.layer_id == "cell" or layer.layer_id.startswith("cell_")
            for layer in measure(Looping(), (7, 3)).layers
        )
        == 7
    )


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 8, 8), r"does not take an input of shape \(1, 8, 8\): .*test_branches_on_shapes.py:\d+: `assert x.shape\[1\] == 3, \"three colours\"`: three colours; give"),
        ((3, 7, 8), r"`raise ValueError\(.*odd image of 7x8; give the network a data set"),
    ],
)  # fmt: skip
def test_an_assert_that_fails_is_a_finding(shape, words):
    with pytest.raises(DataError, match=words):
        measure(Asserting(), shape)


def test_a_shape_that_does_not_fit_is_told_before_the_branch_behind_it():
    class Net(nn.Sequential):
        def forward(self, x):
            x = super().forward(x)
            return x * 2 if x.shape[1] > 3 else x

    with pytest.raises(
        DataError, match=r"Net does not take an input of shape \(9,\): at '0' \(call_module\): .*; give the network"
    ):
        measure(Net(nn.Linear(8, 8)), (9,))


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_types_are_those_of_what_modules_give(kind):
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.last = kind(3, 5, num_layers=3, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            _, states = self.rnn(x)
            hidden = states[0] if isinstance(states, tuple) else states
            assert isinstance(x.size(0), int) and not isinstance(hidden, (tuple, list))  # noqa: PT018
            return self.last(hidden[-1])

    network, some = Last().eval(), torch.randn(2, 4, 3)
    assert torch.allclose(graph_of(network, (4, 3))(some), network(some))
    assert measure(network, (4, 3)).layers[-1].work_flop == 2 * 5 * 2


def positive(x: torch.Tensor) -> torch.Tensor:
    if x.mean() > 0:  # values
        return x
    return -x


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x[:, : int(x.max())]  # values


def unrolled(x: torch.Tensor) -> torch.Tensor:
    return sum(row for row in x)  # samples


def few(x: torch.Tensor) -> torch.Tensor:
    return x if x.size(0) < 4 else -x  # samples


@pytest.mark.parametrize(("function", "reason"), [
    (positive, "depends on values"), (rounded, "depends on values"), (unrolled, "depends on how many samples there are"),
    (few, "depends on how many samples there are"),
])  # fmt: skip
def test_a_branch_on_values_is_refused_with_its_line(function, reason):
    class Branching(nn.Module):
        def forward(self, x):
            return function(x)

    text = Path(__file__).read_text()
    number, line = next(
        (number, line.strip()) for number, line in enumerate(text.splitlines(), 1)
        if line.endswith(f"# {'values' if 'values' in reason else 'samples'}") and f"def {function.__name__}" in "\n".join(text.splitlines()[number - 3 : number])
    )  # fmt: skip
    with pytest.raises(DataError) as caught:
        measure(nn.Sequential(nn.Linear(4, 4), Branching()), (4,))
    assert f"module '1' (Branching) cannot be traced: {__file__}:{number}: `{line}` {reason}" in str(caught.value)


def test_optional_arguments_take_their_defaults_unless_inputs_are_named_like_them():
    network = Looping().eval()
    given = {"x": TensorSpec((4, 3)), "mask": TensorSpec((4, 1))}
    assert "mul" in [node.name for node in graph_of(network, given).graph.nodes]
    assert [node.name for node in graph_of(network, given).graph.nodes if node.op == "placeholder"] == ["x", "mask"]
    assert [node.name for node in graph_of(network, (4, 3)).graph.nodes if node.op == "placeholder"] == ["x"]
    some, mask = torch.randn(2, 4, 3), torch.rand(2, 4, 1)
    with torch.no_grad():
        assert torch.allclose(graph_of(network, given)(x=some, mask=mask), network(some, mask), atol=1e-6)
    with pytest.raises(DataError, match=r"forward takes 1 inputs \(x\), but the data set gives 2 \(x, other\)"):
        measure(network, {"x": TensorSpec((4, 3)), "other": TensorSpec((4, 1))})


def test_nothing_is_drawn_and_no_buffer_changes():
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(x) + torch.rand(4)

    network = Noisy()
    before = torch.get_rng_state()
    measure(network, (4,))
    assert torch.equal(torch.get_rng_state(), before)
    assert network.norm.num_batches_tracked == 0 and network.training  # noqa: PT018
