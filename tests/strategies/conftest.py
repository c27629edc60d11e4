"""A star of devices and a small network with everything that strategies have to deal with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.interfaces import DeploymentContext
from edgesim.tasks.classification import Classification
from edgesim.testing import deployment_context

RATE = 1e9


def profile(speed: float) -> DeviceProfile:
    rates = dict.fromkeys(("conv", "depthwise", "linear", "other"), speed * RATE)
    return DeviceProfile(f"x{speed}", rates, speed * 1e10, 0.0, 2**30, 1, 2, 2, 2, "assumed")


def star(speeds: Sequence[float]) -> Topology:
    """A hub and workers w1, w2, ... of the given speeds, linked both ways."""
    ids = [f"w{number}" for number in range(1, len(speeds) + 1)]
    devices = [Device("hub", profile(1.0)), *(Device(i, profile(s)) for i, s in zip(ids, speeds, strict=True))]
    links = [Link(f"{a}->{b}", a, b, 1e7) for i in ids for a, b in (("hub", i), (i, "hub"))]
    return Topology(tuple(devices), tuple(links))


def noise_dataset(shape: tuple[int, int, int], n_classes: int = 3, n: int = 12) -> Dataset:
    rng = np.random.default_rng(0)
    splits = [
        Samples({"images": rng.standard_normal((n, *shape)).astype(np.float32)}, rng.integers(n_classes, size=n))
        for _ in range(3)
    ]
    return Dataset("noise", *splits, Classification(n_classes), "none", "drawn")


def small_network() -> nn.Sequential:
    """conv, norm, ReLU | pool | conv, ReLU | flatten | linear, ReLU | linear: (1, 8, 8) to 3 classes."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10), nn.ReLU(), nn.Linear(10, 3),
    ).eval()  # fmt: skip


@pytest.fixture(scope="session")
def make_context() -> Callable[..., DeploymentContext]:
    """Make a context: the small network on noise of its shape, in a star whose workers have the given speeds."""

    def make(
        speeds: Sequence[float] = (1.0, 1.0, 2.0),
        *,
        source_id: str = "hub",
        sink_id: str = "hub",
        network: nn.Module | None = None,
        dataset: Dataset | None = None,
    ) -> DeploymentContext:
        return deployment_context(
            network or small_network(),
            dataset or noise_dataset((1, 8, 8)),
            star(speeds),
            source_id=source_id,
            sink_id=sink_id,
        )

    return make


@pytest.fixture(scope="session")
def make_noise() -> Callable[..., Dataset]:
    """Make a data set of noise of a given shape."""
    return noise_dataset
