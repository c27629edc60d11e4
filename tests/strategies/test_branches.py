"""A network of parallel branches, one on each device."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.errors import PlanError
from edgesim.nn.models.text import TextCNN
from edgesim.strategies.students.branches import Branches
from edgesim.tasks.classification import Classification
from edgesim.testing import check_strategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.interfaces import DeploymentContext

WIDTHS = (1, 2, 3)
BRANCHES = Branches(devices="w*", merger="hub", deadline_s=0.1)


@pytest.fixture
def context(make_context: Callable[..., DeploymentContext]) -> DeploymentContext:
    rng = np.random.default_rng(0)
    splits = [
        Samples({"tokens": rng.integers(0, 20, (10, 7), dtype=np.int32)}, rng.integers(4, size=10)) for _ in range(3)
    ]
    dataset = Dataset("words", *splits, Classification(4), "none", "drawn", n_values={"tokens": 20})
    torch.manual_seed(0)
    network = TextCNN(WIDTHS, channels=5, embedding=6).build(dataset.inputs, dataset.task.output).eval()
    return make_context(network=network, dataset=dataset)


def test_it_keeps_the_promises_of_strategies(context: DeploymentContext) -> None:
    """With everything delivered it is the whole network."""
    check_strategy(BRANCHES, context, tolerance=1e-6)


def test_every_set_of_branches_is_the_network_with_features_of_the_others_set_to_zero(context) -> None:
    """All eight sets, by the network itself."""
    deployment = BRANCHES.deploy(context)
    tokens = torch.from_numpy(context.dataset.test.only)
    for left in itertools.product((0.0, 1.0), repeat=3):
        network = context.network
        found = torch.cat([network.alone(number)(tokens) * left[number] for number in range(3)], dim=1)
        wanted = network.head(found).detach().numpy()
        lost = {f"features w{number + 1}->hub" for number in range(3) if not left[number]}
        np.testing.assert_allclose(deployment.predict(Delivery(frozenset(lost))), wanted, rtol=0, atol=1e-5)


def test_bytes_are_those_of_texts_and_shares_of_answers(context: DeploymentContext) -> None:
    """Seven tokens of 4 byte there, four logits of 4 byte back."""
    plan = BRANCHES.deploy(context).plan
    assert {(step.kind, step.size_byte) for step in plan.transfers} == {("input", 28), ("result", 16)}
    for number, width in enumerate(WIDTHS, start=1):
        weights = 20 * 6 + 6 * width * 5 + 5 * 4  # vectors of tokens, convolution, columns of the last layer
        assert plan.weight_byte[f"w{number}"] == 4 * weights
    assert plan.weight_byte["hub"] == 16


def test_a_device_for_each_branch_is_asked_for(context: DeploymentContext) -> None:
    with pytest.raises(PlanError, match="3 branches need 3 devices, but 'w\\[12\\]' matches 2"):
        Branches(devices="w[12]").deploy(context)


def test_a_network_without_branches_is_refused(make_context: Callable[..., DeploymentContext]) -> None:
    with pytest.raises(PlanError, match="Sequential has none; take the model text-cnn"):
        BRANCHES.deploy(make_context())


def test_the_mean_over_the_training_split_stands_in_for_a_lost_branch(context: DeploymentContext) -> None:
    """The merger keeps four numbers of each branch."""
    mean = Branches(devices="w*", merger="hub", deadline_s=0.1, missing="mean")
    check_strategy(mean, context, tolerance=1e-6)
    deployment = mean.deploy(context)
    network, split = context.network, context.dataset
    features = [network.alone(number)(torch.from_numpy(split.test.only)) for number in range(3)]
    of_others = network.alone(2)(torch.from_numpy(split.train.only)).mean(dim=0)
    features[2] = of_others.expand_as(features[2])
    wanted = network.head(torch.cat(features, dim=1)).detach().numpy()
    np.testing.assert_allclose(deployment.predict(Delivery(frozenset({"features w3->hub"}))), wanted, rtol=0, atol=1e-5)
    assert deployment.plan.weight_byte["hub"] == 4 * 4 * (1 + 3)
