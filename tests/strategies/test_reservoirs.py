"""A reservoir on each device: one read-out for all, or one for every set of survivors."""

from __future__ import annotations

import itertools
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from rings import drawn

from edgesim.domain.delivery import Delivery
from edgesim.errors import PlanError
from edgesim.nn.models.reservoirs import FDGNN
from edgesim.strategies.graphs.reservoirs import Reservoirs
from edgesim.testing import check_bundle, check_strategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.interfaces import DeploymentContext

N = 3
ALL = Reservoirs(devices="w*", merger="hub", deadline_s=0.1)
MEAN = Reservoirs(devices="w*", merger="hub", deadline_s=0.1, missing="mean")
SURVIVORS = Reservoirs(devices="w*", merger="hub", deadline_s=0.1, readout="per-survivors")


@pytest.fixture(scope="module")
def context(make_context: Callable[..., DeploymentContext]) -> DeploymentContext:
    dataset = drawn(48)
    torch.manual_seed(0)
    model = FDGNN(reservoirs=N, units=8, features=4, rho=0.6, penalties=(0.5,))
    network = model.build(dataset.inputs, dataset.task.output).eval()
    network.solve(dataset)
    return make_context(network=network, dataset=dataset)


def without(*lost: int) -> Delivery:
    return Delivery(frozenset(f"features w{number + 1}->hub" for number in lost))


@pytest.mark.parametrize("strategy", [ALL, MEAN, SURVIVORS], ids=["all", "mean", "per-survivors"])
def test_it_keeps_the_promises_of_strategies(strategy: Reservoirs, context: DeploymentContext) -> None:
    """With everything delivered it is the whole network."""
    check_strategy(strategy, context, tolerance=1e-5)
    check_bundle(strategy.deploy(context), context.dataset.test)


def test_each_set_of_survivors_has_the_ridge_regression_of_scikit_learn(context: DeploymentContext) -> None:
    """All eight sets, that of nobody too."""
    from sklearn.linear_model import Ridge

    deployment = SURVIVORS.deploy(context)
    train, test = context.dataset.train, context.dataset.test
    features = [[context.network.features_of(number, split) for number in range(N)] for split in (train, test)]
    for lost in itertools.chain.from_iterable(itertools.combinations(range(N), k) for k in range(N)):
        known, asked = (np.concatenate([of for n, of in enumerate(one) if n not in lost], axis=1) for one in features)
        wanted = Ridge(alpha=0.5).fit(known.astype(float), np.eye(2)[train.targets]).predict(asked.astype(float))
        np.testing.assert_allclose(deployment.predict(without(*lost)), wanted, rtol=0, atol=1e-5)
    nobody = deployment.predict(without(*range(N)))
    np.testing.assert_allclose(nobody, np.broadcast_to(np.eye(2)[train.targets].mean(axis=0), nobody.shape), rtol=1e-6)


def test_no_other_way_to_merge_has_a_smaller_penalised_error_on_the_training_split(context: DeploymentContext) -> None:
    """Columns of the read-out of all, with the bias as it is or moved by the mean, for every set of survivors."""
    from edgesim.nn.models.ridge import best_ridge

    network, train = context.network, context.dataset.train
    features = [network.features_of(number, train).astype(float) for number in range(N)]
    wanted = np.eye(2)[train.targets]
    weight, bias = network.head.weight.detach().numpy().astype(float), network.head.bias.detach().numpy().astype(float)

    def error(known: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> float:
        return float(((known @ weights.T + bias - wanted) ** 2).sum() + 0.5 * (weights**2).sum())

    for left in itertools.product((False, True), repeat=N):
        if not any(left):
            continue
        columns = np.repeat(left, network.n_features)
        whole = np.concatenate(features, axis=1)
        known = whole[:, columns]
        pair = (known, train.targets)
        best = error(known, *best_ridge(context.dataset.task, pair, pair, (0.5,)))
        moved = bias + weight[:, ~columns] @ whole[:, ~columns].mean(axis=0)
        assert best <= error(known, weight[:, columns], bias) + 1e-6
        assert best <= error(known, weight[:, columns], moved) + 1e-6


def test_the_mean_stands_in_for_what_is_lost(context: DeploymentContext) -> None:
    """By the network itself, with the features of the lost one at their mean over the training split."""
    deployment, network = MEAN.deploy(context), context.network
    features = [network.features_of(number, context.dataset.test) for number in range(N)]
    features[1] = np.broadcast_to(network.features_of(1, context.dataset.train).mean(axis=0), features[1].shape)
    wanted = network.head(torch.from_numpy(np.concatenate(features, axis=1))).detach().numpy()
    np.testing.assert_allclose(deployment.predict(without(1)), wanted, rtol=0, atol=1e-5)


def test_bytes_are_those_of_graphs_and_of_classes_or_features(context: DeploymentContext) -> None:
    """9 x 2 features of 4 byte and 9 x 9 entries of 1 byte there; 2 classes or 4 features back."""
    found = {}
    for name, strategy in (("all", ALL), ("mean", MEAN), ("per-survivors", SURVIVORS)):
        plan = strategy.deploy(context).plan
        inputs = {step.size_byte for step in plan.transfers if step.kind == "input"}
        (results,) = {step.size_byte for step in plan.transfers if step.kind == "result"}
        assert inputs == {9 * 2 * 4 + 9 * 9}
        found[name] = (results, plan.weight_byte["hub"])
    n_weights = sum(len(left) * 4 + 1 for k in range(N + 1) for left in itertools.combinations(range(N), k))
    assert found == {"all": (8, 8), "mean": (8, 8 * (1 + N)), "per-survivors": (16, 4 * 2 * n_weights)}


def test_answers_do_not_depend_on_what_was_asked_before_or_on_the_process(context: DeploymentContext) -> None:
    first, second = SURVIVORS.deploy(context), pickle.loads(pickle.dumps(SURVIVORS.deploy(context)))  # noqa: S301
    for lost in ((), (0,), (1, 2)):
        assert np.array_equal(first.predict(without(*lost)), second.predict(without(*lost)))


def test_another_network_is_refused(make_context: Callable[..., DeploymentContext]) -> None:
    with pytest.raises(PlanError, match="Sequential; take the model fdgnn"):
        SURVIVORS.deploy(make_context())
    with pytest.raises(PlanError, match="Sequential; take the model fdgnn"):
        ALL.deploy(make_context())
