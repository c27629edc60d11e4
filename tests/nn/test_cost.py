"""Costs are those of the real module: torch's own count, the formulas by hand, and the state dict agree."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgesim.domain.system.topology import OPERATORS
from edgesim.errors import DataError
from edgesim.nn.cost.layers import graph_work, layer_work, measure
from edgesim.nn.cost.trace import trace


class Residual(nn.Module):
    """A block with everything that small networks have: shared input, addition, functions, methods, in-place ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.grouped = nn.Conv2d(8, 16, 1, groups=2)
        self.skip = nn.Conv2d(8, 16, 1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(16 * 3 * 2, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.bn(self.stem(x)))
        x = self.grouped(torch.relu(self.depthwise(x))) + self.skip(x)
        x = nn.functional.max_pool2d(x, 2)
        return self.head(self.drop(x).view(x.size(0), -1))


def layers(network: nn.Module, shape: tuple[int, ...]) -> dict:
    return {layer.layer_id: layer for layer in measure(network, shape).layers}


def test_work_by_the_formulas():
    """2 x outputs x kernel x channels / groups; pooling one per element of its windows; norm two, activation one per element."""
    found = {name: layer.work_flop for name, layer in layers(Residual(), (3, 6, 4)).items()}
    pixels = 6 * 4
    assert found == {
        "stem": 2 * pixels * 8 * 9 * 3,
        "bn": 2 * pixels * 8,
        "act": pixels * 8,
        "depthwise": 2 * pixels * 8 * 25,
        "relu": pixels * 8,
        "grouped": 2 * pixels * 16 * 4,
        "skip": 2 * pixels * 16 * 8,
        "add": pixels * 16,
        "max_pool2d": pixels * 16,
        "head": 2 * 96 * 10,
    }


def test_work_and_weights_sum_to_what_torch_counts_on_a_real_run():
    """The multiply-adds are those of FlopCounterMode on a real run; the weights those of the state dict."""
    network = Residual().eval()
    graph = measure(network, (3, 6, 4))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 6, 4))
    assert sum(layer.work_flop for layer in graph.layers if layer.operator != "other") == counter.get_total_flops()
    assert graph.weight_byte == sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def test_operator_classes():
    """A convolution with one input channel per filter is depthwise, unless there is only one channel."""
    found = {name: layer.operator for name, layer in layers(Residual(), (3, 6, 4)).items()}
    assert {name for name, kind in found.items() if kind == "depthwise"} == {"depthwise"}
    assert {name for name, kind in found.items() if kind == "conv"} == {"stem", "grouped", "skip"}
    assert {name for name, kind in found.items() if kind == "linear"} == {"head"}
    assert set(found.values()) <= set(OPERATORS)


def test_peak_counts_what_lives_at_once():
    """Two convolutions and a skip: at the second, the input of the block, the first's output and its own are alive."""

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(2, 4, 1)
            self.second = nn.Conv2d(4, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.second(self.first(x))

    graph = measure(Skip(), (2, 3, 3))
    assert graph.input_byte == 4 * 18
    assert graph.peak_activation_byte == 4 * (18 + 36 + 18)


def test_views_and_in_place_results_take_no_memory_of_their_own():
    """An in-place ReLU and a flatten do not add to the peak; an ordinary ReLU does."""
    peak = {
        is_in_place: measure(
            nn.Sequential(nn.Conv2d(1, 8, 1), nn.ReLU(inplace=is_in_place), nn.Flatten()), (1, 4, 4)
        ).peak_activation_byte
        for is_in_place in (False, True)
    }
    assert peak == {False: 4 * (128 + 128), True: 4 * (16 + 128)}


def test_shared_weights_are_resident_once_and_read_twice():
    """A layer called twice has its weights once; the second call reads them as input."""
    conv = nn.Conv2d(4, 4, 3, padding=1)
    graph = measure(nn.Sequential(conv, nn.ReLU(), conv), (4, 5, 5))
    first, _, second = graph.layers
    weight_byte = 4 * (4 * 4 * 9 + 4)
    assert (first.weight_byte, second.weight_byte) == (weight_byte, 0)
    assert layer_work(first).moved_byte == layer_work(second).moved_byte
    assert graph.weight_byte == weight_byte
    assert len({layer.layer_id for layer in graph.layers}) == 3


def test_measuring_leaves_the_network_alone():
    """Mode and statistics are as before, and dropout of a network in training mode costs nothing."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    graph = measure(network, (1, 6, 6))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [layer.layer_id for layer in graph.layers] == ["0", "1"]


def test_a_share_scales_work_and_tensors_but_not_weights():
    """Half of the rows: half the work and tensors, all weights."""
    layer = layers(nn.Sequential(nn.Conv2d(2, 3, 1, bias=False)), (2, 4, 4))["0"]
    assert layer_work(layer, 0.5).work_flop == layer.work_flop / 2
    assert layer_work(layer, 0.5).moved_byte == 24 + (128 + 192) / 2


def test_work_of_a_whole_network_names_every_layer_once():
    """`graph_work` is the layers in order."""
    graph = measure(Residual(), (3, 6, 4))
    assert [work.layer_id for work in graph_work(graph)] == [layer.layer_id for layer in graph.layers]
    assert sum(work.work_flop for work in graph_work(graph)) == graph.work_flop


def test_attention_is_counted_as_matrix_products():
    """What has no formula here is counted by torch: projections and scores of self-attention."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = x.flatten(2).transpose(1, 2)
            return self.attention(tokens, tokens, tokens)[0].mean(1)

    layer = layers(Attention(), (8, 2, 2))["attention"]
    assert layer.operator == "linear"
    assert layer.work_flop == 2 * (4 * 8 * 24 + 2 * 4 * 4 * 8 + 4 * 8 * 8)


def test_functional_layers_are_counted():
    """A convolution written as a function counts as one, with its weights."""

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.zeros(4, 1, 3, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.conv2d(x, self.kernel, padding=1, groups=4)

    layer = layers(Functional(), (4, 5, 5))["conv2d"]
    assert (layer.operator, layer.work_flop, layer.weight_byte) == ("depthwise", 2 * 25 * 4 * 9, 144)
    assert layer.input_byte == 400


def test_a_network_that_branches_on_values_is_refused_by_name():
    """The module that cannot be traced is named, and what to do."""

    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.ReLU(), Branching()))
    with pytest.raises(DataError, match=r"'1\.1' \(Branching\) cannot be traced.*rewrite"):
        measure(network, (1, 8, 8))


def test_a_wrong_input_shape_is_refused_at_the_layer():
    """The layer that does not take its input is named, and nothing is printed."""
    with pytest.raises(DataError, match=r"input of shape \(1, 8, 8\): at '0'"):
        measure(nn.Sequential(nn.Conv2d(3, 2, 3)), (1, 8, 8))


def test_two_inputs_are_refused():
    """A network takes one tensor."""

    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y

    with pytest.raises(DataError, match="takes 2 inputs"):
        measure(Two(), (1, 8, 8))


def test_weights_that_are_read_through_views_are_weights():
    """A slice of a table of positions, and a transposed matrix: both lie in memory whole, and are no activations."""

    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.places, self.weight = nn.Parameter(torch.ones(20, 8)), nn.Parameter(torch.ones(6, 8))

        def forward(self, x):
            x = x + self.places[: x.shape[1]].unsqueeze(0)
            return (x @ self.weight.t()) @ self.weight

    found = measure(Viewing(), (5, 8))
    assert [(one.weight_byte, one.input_byte) for one in found.layers] == [
        (4 * 20 * 8, 4 * 5 * 8), (4 * 6 * 8, 4 * 5 * 8), (0, 4 * (5 * 6 + 6 * 8)),
    ]  # fmt: skip
    assert found.weight_byte == sum(4 * parameter.numel() for parameter in Viewing().parameters())
    assert found.peak_activation_byte == 2 * 4 * 5 * 8


@pytest.mark.parametrize(
    "normalise", [torch.nn.utils.parametrizations.weight_norm, torch.nn.utils.parametrizations.spectral_norm]
)
def test_parametrised_modules_cost_what_plain_ones_do(normalise):
    """Weights that are computed from others are folded before a network is used; the network itself stays as it is."""

    def network(wrap):
        return nn.Sequential(wrap(nn.Conv2d(4, 4, 3, groups=4)), nn.Flatten(), wrap(nn.Linear(16, 3)))

    normalised = network(normalise)
    assert measure(normalised, (4, 4, 4)) == measure(network(lambda module: module), (4, 4, 4))
    names = [name for name, _ in normalised.named_parameters()]
    assert any("parametrizations" in name for name in names)


@pytest.mark.parametrize(
    "normalise", [torch.nn.utils.parametrizations.weight_norm, torch.nn.utils.parametrizations.spectral_norm]
)
def test_the_graph_of_a_parametrised_network_answers_as_the_network(normalise):
    """The traced network has the effective weights, also when it is traced in training mode."""
    torch.manual_seed(0)
    network = nn.Sequential(normalise(nn.Conv2d(2, 4, 3)), nn.ReLU(), nn.Flatten(), normalise(nn.Linear(16, 3)))
    traced = trace(network, (2, 4, 4)).eval()
    assert pickle.dumps(traced)  # workers get cut networks so
    samples = torch.randn(3, 2, 4, 4)
    assert torch.allclose(traced(samples), network.eval()(samples), atol=1e-6)


@pytest.mark.parametrize(
    ("module", "shape", "kind"),
    [
        (nn.Conv2d(4, 8, 3, padding=1), (4, 8, 8), "conv2d 3x3"),
        (nn.Conv2d(20, 8, 3, padding=1), (20, 32, 32), "conv2d 3x3"),  # 20480 numbers: the last that torch multiplies as matrices
        (nn.Conv2d(21, 8, 3, padding=1), (21, 32, 32), "conv2d 3x3 large"),
        (nn.Conv2d(32, 8, 1, 2), (32, 32, 32), "conv2d 1x1/2 large"),
        (nn.Conv2d(32, 8, 1), (32, 32, 32), "conv2d 1x1"),
        (nn.Conv2d(3, 8, 5, 4), (3, 128, 128), "conv2d 5x5/4"),
        (nn.Conv2d(64, 64, 3, padding=1, groups=64), (64, 32, 32), "conv2d 3x3"),
        (nn.Conv2d(64, 64, 3, padding=1, groups=8), (64, 32, 32), "conv2d 3x3 grouped"),
        (nn.Conv1d(32, 8, 5), (32, 1000), "conv1d 5 large"),
        (nn.ConvTranspose2d(32, 8, 2, 2), (32, 32, 32), "convtranspose2d 2x2/2"),
        (nn.MaxPool2d(3, 2, 1), (4, 8, 8), "maxpool2d 3x3/2"),
        (nn.AvgPool2d((2, 1)), (4, 8, 8), "avgpool2d 2x1/2"),
        (nn.AdaptiveAvgPool2d(1), (4, 8, 8), "adaptiveavgpool2d"),
        (nn.GELU(), (4, 8, 8), "gelu"),
    ],
)  # fmt: skip
def test_the_kind_of_a_layer_says_what_decides_how_it_is_computed(module, shape, kind):
    """The border is that of ``use_mkldnn`` in torch: 20480 numbers in the input of a convolution."""
    for network in (nn.Sequential(module), module):  # a module is called by its name, or its functions are
        (layer,) = measure(network, shape).layers
        assert layer.kind == kind


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize(("n", "is_by_library"), [(20, False), (21, True)])
def test_torch_takes_another_way_where_the_kind_says_so(n, is_by_library):
    from torch.profiler import ProfilerActivity, profile

    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU]) as seen:
        nn.Conv2d(n, 8, 3, padding=1)(torch.zeros(1, n, 32, 32))
    assert any("mkldnn_convolution" in one.key for one in seen.key_averages()) == is_by_library
