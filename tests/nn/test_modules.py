from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from edgesim.domain.networks.samples import inputs_of
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError, ScenarioError
from edgesim.nn.cost.surgery import has_activation_behind, up_to, with_filters
from edgesim.nn.distill.modules import StudentEnsemble, student
from edgesim.nn.models.zoo import VGG, SmallCNN, StridedCNN, WideResNet

if TYPE_CHECKING:
    from pathlib import Path


def test_small_cnn_has_the_layers_it_promises() -> None:
    """Two convolutions, pooling behind the first: shapes and parameters as counted by hand."""
    network = SmallCNN(channels=(4, 6), pool_after=1).build(inputs_of((3, 8, 8)), TensorSpec((5,))).eval()
    names = [name for name, _ in network.named_children()]
    assert names == [
        "conv1", "bn1", "relu1", "pool", "conv2", "bn2", "relu2", "average", "flatten", "classifier",
    ]  # fmt: skip
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    assert n_parameters == (3 * 4 * 9 + 2 * 4) + (4 * 6 * 9 + 2 * 6) + (6 * 5 + 5)


def test_small_cnn_refuses_a_pooling_that_is_not_there() -> None:
    """The message names the option and the choices."""
    with pytest.raises(ScenarioError, match="pool_after is 3, but small-cnn has 2 convolutions; choose 0 to 2"):
        SmallCNN(channels=(4, 6), pool_after=3)


def test_small_cnn_refuses_an_image_that_cannot_be_pooled() -> None:
    """One row of pixels."""
    with pytest.raises(DataError, match="1x8 pixels cannot be pooled; set pool_after: 0"):
        SmallCNN().build(inputs_of((1, 1, 8)), TensorSpec((10,)))


def test_a_network_is_cut_behind_a_layer() -> None:
    """The part gives what the layer gives, shares its weights, and holds nothing of what follows."""
    model = SmallCNN(channels=(4, 6), pool_after=1)
    network = model.build(inputs_of((1, 8, 8)), TensorSpec((10,))).eval()
    part = up_to(network, inputs_of((1, 8, 8)), model.filter_layer())
    inputs = torch.rand(3, 1, 8, 8)
    wanted = inputs
    for name, layer in network.named_children():
        wanted = layer(wanted)
        if name == "relu2":
            break
    assert torch.equal(part(inputs), wanted)
    assert {name for name, _ in part.named_parameters()} == {
        "conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias",
    }  # fmt: skip
    assert next(part.parameters()) is next(network.parameters())


def test_cutting_at_an_unknown_layer_lists_the_layers() -> None:
    """The message says what there is."""
    with pytest.raises(DataError, match="no layer 'relu9'; its layers are conv1, bn1"):
        up_to(SmallCNN().build(inputs_of((1, 8, 8)), TensorSpec((10,))), inputs_of((1, 8, 8)), "relu9")


def test_a_student_gives_one_number_per_filter() -> None:
    """Any body, any part: shape (n, features), never negative."""
    network = student(nn.Sequential(nn.Conv2d(1, 5, 3)), "0", inputs_of((1, 8, 8)), 3).eval()
    output = network(torch.rand(4, 1, 8, 8))
    assert output.shape == (4, 3)
    assert output.min() >= 0


def constant(*values: float) -> nn.Module:
    """A student that answers always the same."""

    class Constant(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.tensor(values).repeat(len(inputs), 1)

    return Constant()


def test_replicas_are_averaged_and_lost_parts_are_zero() -> None:
    """Students 0 and 2 stand for part 0, student 1 for part 1: mean over those that arrived, zeros for none."""
    ensemble = StudentEnsemble([constant(1.0, 2.0), constant(5.0), constant(3.0, 6.0)], (0, 1, 0), (2, 1), (4,))
    features = ensemble.features({"images": torch.zeros(1, 1, 2, 2)})
    assert ensemble.merge(features).tolist() == [[2, 4, 5]]
    assert ensemble.merge(features, [True, True, False]).tolist() == [[1, 2, 5]]
    assert ensemble.merge(features, [True, False, True]).tolist() == [[2, 4, 0]]
    assert ensemble.merge(features, [False, True, False]).tolist() == [[0, 0, 5]]


def test_a_layer_may_be_built_of_others() -> None:
    """The output of a whole block of a WideResNet, besides the network's own output, which does not change."""
    network = WideResNet(depth=16).build(inputs_of((3, 16, 16)), TensorSpec((5,))).eval()
    inputs = torch.rand(2, 3, 16, 16)
    answers, maps = with_filters(network, inputs_of((3, 16, 16)), "stage2_block1")(inputs)
    assert torch.equal(answers, network(inputs))
    assert maps.shape == (2, 32, 8, 8)
    assert torch.equal(up_to(network, inputs_of((3, 16, 16)), "stage2_block1")(inputs), maps)


def test_a_lost_replica_counts_or_does_not() -> None:
    """Divided by all replicas of the part, what is left shrinks; by those that arrived, it does not."""
    students = [constant(2.0), constant(4.0), constant(6.0)]
    for denominator, wanted in (("arrived", 3.0), ("all", 2.0)):
        ensemble = StudentEnsemble(students, (0, 0, 0), (1,), (2,), denominator)
        features = ensemble.features({"images": torch.zeros(1, 1, 2, 2)})
        assert ensemble.merge(features, [True, True, False]).item() == pytest.approx(wanted)
        assert ensemble.merge(features).item() == pytest.approx(4.0)


class Functional(nn.Module):
    """A convolution, and what follows written as functions, as in most LeNets."""

    def __init__(self, after: str) -> None:
        super().__init__()
        self.after = after
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.rectify = nn.ReLU(inplace=True)
        self.classify = nn.Linear(4, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        maps = self.conv(inputs)
        if self.after == "function":
            maps = torch.relu(maps)
        elif self.after == "method":
            maps = maps.relu_()
        elif self.after == "normalised":
            maps = self.rectify(self.norm(maps))
        elif self.after == "in place":
            maps += 100.0
        elif self.after == "used twice":
            maps = torch.relu(maps) + maps
        return self.classify(maps.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("after", "is_behind"),
    [
        ("function", True),
        ("method", True),
        ("normalised", True),
        ("in place", False),
        ("used twice", False),
        ("", False),
    ],
)
def test_filters_are_read_behind_the_activation_that_follows(after: str, is_behind: int) -> None:
    """Be it a module, a function or a method; where nothing but an activation follows. What works in place changes nothing."""
    network = Functional(after).eval()
    network.norm.running_mean.fill_(0.1)
    inputs = torch.randn(3, 1, 6, 6)
    with torch.no_grad():
        maps = network.conv(inputs)
        wanted = torch.relu(network.norm(maps) if after == "normalised" else maps) if is_behind else maps
        answers, read = with_filters(network, inputs_of((1, 6, 6)), "conv")(inputs)
        assert torch.equal(read, wanted)
        assert torch.equal(answers, network(inputs))
    assert has_activation_behind(network, inputs_of((1, 6, 6)), "conv") == is_behind


@pytest.mark.parametrize("model", [SmallCNN(), StridedCNN(), WideResNet(depth=10), VGG(width=4)], ids=repr)
def test_filters_of_our_networks_are_read_where_they_were(model: SmallCNN | StridedCNN | WideResNet | VGG) -> None:
    """They name an activation themselves, so that nothing that was trained before changes its key."""
    network = model.build(inputs_of((3, 32, 32)), TensorSpec((5,)))
    assert not has_activation_behind(network, inputs_of((3, 32, 32)), model.filter_layer())


def test_a_student_that_drops_by_a_function_answers_alike_when_it_is_asked_again() -> None:
    """It is traced before it is trained, but as it is evaluated."""

    class Dropping(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> Any:
            return nn.functional.dropout(super().forward(inputs), training=self.training)

    network = student(nn.Sequential(Dropping(nn.Linear(4, 4)), nn.ReLU()), "1", inputs_of((4,)), 2).eval()
    some = torch.randn(3, 4)
    assert torch.equal(network(some), network(some))


def test_a_student_survives_pickling_in_another_process(tmp_path: Path) -> None:
    """Its body is a traced graph, which torch makes anew."""
    model = WideResNet(depth=10)
    network = student(
        model.build(inputs_of((1, 8, 8)), TensorSpec((3,))), model.filter_layer(), inputs_of((1, 8, 8)), 2
    ).eval()
    inputs = torch.rand(2, 1, 8, 8)
    path = tmp_path / "student"
    path.write_bytes(pickle.dumps((network, inputs, network(inputs).detach())))
    code = "import pickle, sys, torch; n, x, y = pickle.load(open(sys.argv[1], 'rb')); assert torch.allclose(n(x), y)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
