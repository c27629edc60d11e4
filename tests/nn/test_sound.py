"""Odd networks and data sets are refused before anything is trained, each with what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.networks.samples import Dataset, Inputs, Samples
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError, PlanError
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train.sound import check_dataset, check_networks
from edgesim.tasks.classification import Classification


def noise(shape: tuple[int, ...] = (1, 8, 8), n_classes: int = 3, n: int = 6) -> Dataset:
    """Three splits of random images."""
    rng = np.random.default_rng(0)
    split = Samples({"images": rng.standard_normal((n, *shape)).astype(np.float32)}, np.arange(n) % n_classes)
    return Dataset("noise", split, split, split, Classification(n_classes), "none", "drawn")


class Plain(nn.Module):
    """Two convolutions with functions between them; others vary it."""

    n_outputs = 3

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, self.n_outputs)

    def forward(self, inputs: torch.Tensor) -> Any:
        return self.fc(torch.relu(self.norm(self.conv(inputs))).mean(dim=(2, 3)))


class Longer(Plain):
    n_outputs = 5


class TwoInputs(Plain):
    def forward(self, inputs: torch.Tensor, others: torch.Tensor) -> Any:
        return super().forward(inputs + others)


class Named(Plain):
    def forward(self, inputs: torch.Tensor) -> Any:
        return {"logits": super().forward(inputs)}


class Doubled(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.double()

    def forward(self, inputs: torch.Tensor) -> Any:
        return super().forward(inputs.double())


class AlwaysTraining(Plain):
    def train(self, mode: bool = True) -> AlwaysTraining:  # noqa: FBT001, FBT002 - torch's form
        return super().train(True)


class AlwaysDropping(Plain):
    def forward(self, inputs: torch.Tensor) -> Any:
        return super().forward(nn.functional.dropout(inputs, 0.5, training=True))


class OverTheBatch(Plain):
    def forward(self, inputs: torch.Tensor) -> Any:
        return super().forward(inputs - inputs.mean(dim=0, keepdim=True))


class Frozen(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class NotFinite(Plain):
    def forward(self, inputs: torch.Tensor) -> Any:
        return super().forward(inputs) / 0.0 * 0.0


class Labels(Plain):
    def forward(self, inputs: torch.Tensor) -> Any:
        return super().forward(inputs).argmax(dim=1)


class Recurrent(nn.Module):
    """No convolution anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.LSTM(8, 4, batch_first=True)
        self.fc = nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(inputs.squeeze(1))[0][:, -1])


@dataclass(frozen=True)
class Made:
    """Builds one of the networks above."""

    kind: type[nn.Module]
    layer: str | None = "conv"

    def build(self, inputs: Inputs, output: TensorSpec) -> nn.Module:
        return self.kind()

    def filter_layer(self) -> str | None:
        return self.layer


@dataclass(frozen=True)
class Divides:
    """A strategy that trains students on parts of the filters."""

    student: Any
    n_parts: int = 2


@dataclass(frozen=True)
class Teaches:
    """A strategy that trains students that answer the whole question."""

    student: Any


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Longer, r"gives a tensor of shape \(2, 5\) for 2 samples; the task of noise wants \(2, 3\)"),
        (TwoInputs, "takes 2 inputs .inputs, others., but the data set gives 1"),
        (Named, "gives a dict of logits; its forward method must give one tensor, or `output` of type: import name"),
        (Doubled, "gives torch.float64; its parameters must be torch.float32"),
        (AlwaysTraining, "answers a sample differently beside another one"),
        (AlwaysDropping, "answers differently when it is asked again"),
        (OverTheBatch, "answers a sample differently beside another one"),
        (Frozen, "has no parameter that can be trained"),
        (NotFinite, "answers with what is not finite before it is trained"),
        (Labels, "gives torch.int64"),
    ],
)
def test_odd_networks_are_refused(kind: type[nn.Module], message: str) -> None:
    """As the network of the workload and as a student."""
    with pytest.raises(DataError, match=f"the network of the workload .*{message}|^{kind.__name__}.*{message}"):
        check_networks(Made(kind), {}, noise())
    with pytest.raises(DataError, match=message):
        check_networks(SmallCNN(), {"nonn": Divides(Made(kind))}, noise())


def test_what_fits_passes_and_draws_nothing() -> None:
    """Torch's generator, from which weights are drawn, stands where it stood."""
    before = torch.get_rng_state()
    check_networks(Made(Plain), {"nonn": Divides(SmallCNN(channels=(4,), pool_after=0)), "single": object()}, noise())
    assert torch.equal(before, torch.get_rng_state())


def test_filters_are_looked_at_where_they_are_divided() -> None:
    """Not for a strategy that needs none: an ensemble of networks without convolution is fine."""
    check_networks(Made(Recurrent), {"ensemble": Teaches(Made(Recurrent))}, noise())
    with pytest.raises(
        DataError, match="the network of the workload: layer 'conv' gives a tuple; filters are the units"
    ):
        check_networks(Made(Recurrent), {"nonn": Divides(Made(Plain))}, noise())
    check_networks(Made(Plain), {"nonn": Divides(Made(Plain, "fc"))}, noise())
    with pytest.raises(DataError, match="the student of strategy 'nonn' names no layer whose units are its filters"):
        check_networks(Made(Plain), {"nonn": Divides(Made(Plain, None))}, noise())
    with pytest.raises(DataError, match="no layer 'conv9'; its layers are conv, norm, fc; or take a strategy"):
        check_networks(Made(Plain, "conv9"), {"nonn": Divides(Made(Plain))}, noise())
    with pytest.raises(PlanError, match="strategy 'nonn': 4 filters cannot be divided into 5 parts"):
        check_networks(Made(Plain), {"nonn": Divides(Made(Plain), 5)}, noise())


def test_a_network_of_another_shape_is_refused() -> None:
    """Three channels in place of one."""
    with pytest.raises(DataError, match=r"Plain does not take an input of shape \(3, 8, 8\)"):
        check_networks(Made(Plain), {}, noise((3, 8, 8)))


NOISE = noise()
LABELS, INPUTS = NOISE.train.targets, NOISE.train.only


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Samples({"images": INPUTS}, LABELS + 1), "noise: validation: labels from 1 to 3, but classes are 0 to 2"),
        (Samples({"images": INPUTS}, LABELS - 1), "labels from -1 to 1"),
        (Samples({"images": INPUTS[:0]}, LABELS[:0]), "noise: validation: there are no samples; each split needs some"),
        (Samples({"images": INPUTS.astype(np.float64)}, LABELS), "float64, in training"),
        (Samples({"images": INPUTS}, LABELS.astype(np.float32)), "targets are float32 of shape .* expected int64"),
        (
            Samples({"images": np.where(INPUTS[3, 0, 2, 2] == INPUTS, np.float32("nan"), INPUTS)}, LABELS),
            "sample 3 holds values",
        ),
        (
            Samples({"images": np.where(INPUTS[4, 0, 1, 1] == INPUTS, np.float32("inf"), INPUTS)}, LABELS),
            "sample 4 holds values",
        ),
        (
            Samples({"images": INPUTS.reshape(6, 64)}, LABELS),
            r"an input of shape \(64,\), in training an input of shape \(1, 8, 8\)",
        ),
    ],
)
def test_data_sets_that_mean_nothing_are_refused(split: Samples, message: str) -> None:
    """What is wrong, where, and what was expected."""
    check_dataset(NOISE)
    with pytest.raises(DataError, match=message):
        check_dataset(replace(NOISE, validation=split))


def test_one_class_is_none() -> None:
    """There is nothing to ask."""
    with pytest.raises(DataError, match="has 1 class; a network is asked which of several it is"):
        check_dataset(noise(n_classes=1))
