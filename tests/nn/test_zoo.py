from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from torch import nn

from edgesim.domain.networks.samples import inputs_of
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError, ScenarioError
from edgesim.interfaces import ModelBuilder
from edgesim.nn.cost.layers import measure
from edgesim.nn.cost.surgery import up_to
from edgesim.nn.models.zoo import VGG, Imported, SmallCNN, StridedCNN, WideResNet
from edgesim.nn.train.cards import content_key, provenance


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module) -> float:
    layers = measure(network, (3, 32, 32)).layers
    return sum(layer.work_flop for layer in layers if layer.operator in {"conv", "linear"}) / 2


@pytest.mark.parametrize(
    ("depth", "width", "parameters_m", "multiply_adds_m"),
    [(16, 1, 0.175, 26.7), (16, 2, 0.69, 101), (22, 1, 0.27, 40.8), (40, 1, 0.56, 83), (16, 4, 2.75, 393),
     (40, 2, 2.24, 328), (40, 4, 8.95, 1300), (28, 10, 36.5, 5240)],
)  # fmt: skip
def test_wide_resnets_have_their_published_sizes(
    depth: int, width: int, parameters_m: float, multiply_adds_m: float
) -> None:
    """Ten classes, 32x32 pixels: parameters and multiply-adds in millions, to 2 %."""
    with torch.device("meta"):
        network = WideResNet(depth, width).build(inputs_of((3, 32, 32)), TensorSpec((10,)))
    assert parameters(network) / 1e6 == pytest.approx(parameters_m, rel=0.02)
    assert multiply_adds(network) / 1e6 == pytest.approx(multiply_adds_m, rel=0.02)


def test_a_wide_resnet_by_hand() -> None:
    """WRN-10-1: stem, three blocks with two 3x3 convolutions; 1x1 shortcuts where channels change; three norms more."""
    network = WideResNet(10, 1).build(inputs_of((3, 32, 32)), TensorSpec((10,)))
    convolutions = 3 * 16 * 9 + 2 * 16 * 16 * 9
    convolutions += 16 * 32 * 9 + 32 * 32 * 9 + 16 * 32 + 32 * 64 * 9 + 64 * 64 * 9 + 32 * 64
    norms = 2 * (16 + 16 + 16 + 32 + 32 + 64 + 64)
    assert parameters(network) == convolutions + norms + 64 * 10 + 10


def test_a_depth_that_is_no_wide_resnet() -> None:
    """The message names the nearest."""
    with pytest.raises(ScenarioError, match="6n \\+ 4, not 18; nearest is 16"):
        WideResNet(depth=18)


@pytest.mark.parametrize(("depth", "parameters_m"), [(11, 9.2), (13, 9.4), (16, 14.7), (19, 20.0)])
def test_vgg_has_the_published_convolutions(depth: int, parameters_m: float) -> None:
    """Convolutions of the published family: 9.2, 9.4, 14.7 and 20.0 million weights, by their table; depth - 3 of them."""
    with torch.device("meta"):
        network = VGG(depth).build(inputs_of((3, 32, 32)), TensorSpec((10,)))
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == depth - 3
    assert sum(module.weight.numel() for module in convolutions) / 1e6 == pytest.approx(parameters_m, rel=0.01)


def test_strided_networks_by_hand() -> None:
    """24-48-96-48 with strides 2, 2, 2, 1 on 32x32 pixels: maps of 16, 8, 4 and 4."""
    network = StridedCNN().build(inputs_of((3, 32, 32)), TensorSpec((100,)))
    assert parameters(network) == 9 * (3 * 24 + 24 * 48 + 48 * 96 + 96 * 48) + 2 * (24 + 48 + 96 + 48) + 48 * 100 + 100
    work = 9 * (256 * 3 * 24 + 64 * 24 * 48 + 16 * 48 * 96 + 16 * 96 * 48) + 48 * 100
    assert multiply_adds(network) == work


def test_strides_and_channels_must_match() -> None:
    """The message counts both."""
    with pytest.raises(ScenarioError, match="2 channels but 4 strides"):
        StridedCNN(channels=(4, 8))


@pytest.mark.parametrize(
    "model", [SmallCNN(), StridedCNN(), WideResNet(10, 1), VGG(11, 8)], ids=lambda model: type(model).__name__
)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8)])
def test_every_model_takes_every_image(model: ModelBuilder, shape: tuple[int, int, int]) -> None:
    """Logits of the wanted shape; filters are never negative, and are the input of the classifier when averaged."""
    network = model.build(inputs_of(shape), TensorSpec((7,))).eval()
    inputs = torch.rand(2, *shape)
    answers = network(inputs)
    assert answers.shape == (2, 7)
    maps = up_to(network, inputs_of(shape), model.filter_layer())(inputs)
    assert maps.ndim == 4
    assert maps.min() >= 0


MODULE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, n_filters, input_shape, n_classes):
        super().__init__()
        self.last = nn.Conv2d(input_shape[0], n_filters, 3)
        self.head = nn.Linear(n_filters, n_classes)

    def forward(self, x):
        return self.head(self.last(x).relu().mean((2, 3)))

def number():
    return 3
"""


def test_a_module_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found in the working directory, made with the options; a changed file is another network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_networks.py").write_text(MODULE)
    importlib.invalidate_caches()
    model = Imported(target="my_networks:Mine", filters="last", options={"n_filters": 5})
    assert model.build(inputs_of((1, 8, 8)), TensorSpec((3,)))(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    assert model.filter_layer() == "last"
    before = content_key(provenance("teacher", model=model))
    (tmp_path / "my_networks.py").write_text(MODULE + "\n# changed\n")
    assert content_key(provenance("teacher", model=model)) != before
    with pytest.raises(DataError, match=r"cannot be made: .*n_filters"):
        Imported(target="my_networks:Mine", filters="last").build(inputs_of((1, 8, 8)), TensorSpec((3,)))
    with pytest.raises(DataError, match=r"'my_networks:number' is no subclass of torch\.nn\.Module"):
        Imported(target="my_networks:number", filters="last").build(inputs_of((1, 8, 8)), TensorSpec((3,)))
    with pytest.raises(DataError, match="cannot be imported"):
        Imported(target="my_networks:Other", filters="last").build(inputs_of((1, 8, 8)), TensorSpec((3,)))
