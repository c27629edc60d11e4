from __future__ import annotations

import pytest
import torch
from torch import nn

from edgesim.domain.samples import inputs_of
from edgesim.domain.task import TensorSpec
from edgesim.errors import DataError, ScenarioError
from edgesim.nn.modules import StudentEnsemble, student, up_to, with_layer
from edgesim.nn.zoo import SmallCNN, WideResNet


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
    part = up_to(network, model.filter_layer())
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
        up_to(SmallCNN().build(inputs_of((1, 8, 8)), TensorSpec((10,))), "relu9")


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
    network = WideResNet(depth=10).build(inputs_of((3, 16, 16)), TensorSpec((5,))).eval()
    inputs = torch.rand(2, 3, 16, 16)
    answers, maps = with_layer(network, "stage2_block1")(inputs)
    assert torch.equal(answers, network(inputs))
    assert maps.shape == (2, 32, 8, 8)
    assert torch.equal(up_to(network, "stage2_block1")(inputs), maps)


def test_a_lost_replica_counts_or_does_not() -> None:
    """Divided by all replicas of the part, what is left shrinks; by those that arrived, it does not."""
    students = [constant(2.0), constant(4.0), constant(6.0)]
    for denominator, wanted in (("arrived", 3.0), ("all", 2.0)):
        ensemble = StudentEnsemble(students, (0, 0, 0), (1,), (2,), denominator)
        features = ensemble.features({"images": torch.zeros(1, 1, 2, 2)})
        assert ensemble.merge(features, [True, True, False]).item() == pytest.approx(wanted)
        assert ensemble.merge(features).item() == pytest.approx(4.0)
