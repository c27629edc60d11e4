from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from torch import nn

from edgesim.errors import DataError
from edgesim.nn.parts.activations import answers_and_activities, filter_activities
from edgesim.nn.parts.filters import ActivationHubs, ActivationHubsCode, CoActivation, SimilarActivation
from edgesim.nn.tensors import tensors_of
from edgesim.nn.train.training import forward
from edgesim.rng import generator

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Dataset
    from edgesim.interfaces import FilterGraph
    from edgesim.nn.train.training import TrainedNetwork

PAIRS = {
    ActivationHubs(): lambda a, b: a * b * abs(a - b),
    CoActivation(): lambda a, b: a * b,
    SimilarActivation(): lambda a, b: a * b / (abs(a - b) + 1),
}
GRAPHS = [*PAIRS, ActivationHubsCode(top_k=3), ActivationHubsCode(top_k=None, percentile=50, is_scaled=False)]


@pytest.mark.parametrize("graph", PAIRS, ids=repr)
@settings(deadline=None, max_examples=30)
@given(
    activities=st_numpy.arrays(
        np.float32, st.tuples(st.integers(1, 6), st.integers(2, 7)), elements=st.floats(0, 4, width=16)
    )
)
def test_weights_are_the_sum_of_their_formula(graph: FilterGraph, activities: np.ndarray) -> None:
    """Pair by pair and sample by sample, zero on the diagonal."""
    n = activities.shape[1]
    wanted = [
        [0.0 if i == j else sum(PAIRS[graph](float(row[i]), float(row[j])) for row in activities) for j in range(n)]
        for i in range(n)
    ]
    np.testing.assert_allclose(graph.affinity(activities), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("graph", GRAPHS, ids=repr)
def test_samples_are_looked_at_in_blocks_without_a_trace(graph: FilterGraph) -> None:
    """1,000 samples are four times 250: the sums of their parts (without scaling and cut)."""
    activities = generator(1, "activities").random((1000, 9)).astype(np.float32)
    affinity = graph.affinity(activities)
    assert np.array_equal(affinity, affinity.T)
    assert not affinity.diagonal().any()
    if not isinstance(graph, ActivationHubsCode):
        parts = sum(graph.affinity(part) for part in np.split(activities, 4))
        np.testing.assert_allclose(affinity, parts, rtol=1e-5)


def test_the_code_form_by_hand() -> None:
    """One sample (4, 2, 1, 3), scaled to (1, 1/2, 1/4, 3/4); of the three strongest: 1/4 for (1, 1/2), 3/16 for (1, 3/4),
    3/32 for (1/2, 3/4); the largest weight becomes 1.
    """
    activities = np.array([[4.0, 2.0, 1.0, 3.0]], np.float32)
    affinity = ActivationHubsCode(top_k=3, percentile=0).affinity(activities)
    assert affinity[0, 1] == pytest.approx(1.0)
    assert affinity[0, 3] == pytest.approx(3 / 4)
    assert affinity[1, 3] == pytest.approx(3 / 8)
    assert not affinity[2].any()
    cut = ActivationHubsCode(top_k=3, percentile=60).affinity(activities)
    assert np.count_nonzero(np.triu(cut)) == 2
    assert cut[1, 3] == 0


def test_the_code_form_keeps_one_percent_of_the_links() -> None:
    """Its own defaults: 50 filters of each sample, links above the 99th percentile of those above zero."""
    activities = np.abs(generator(2, "activities").standard_normal((300, 100))).astype(np.float32)
    affinity = ActivationHubsCode().affinity(activities)
    everything = ActivationHubsCode(percentile=0).affinity(activities)
    assert np.count_nonzero(affinity) == pytest.approx(0.01 * np.count_nonzero(everything), rel=0.1)
    assert affinity.max() == 1.0


def test_silent_filters_and_samples_are_not_linked() -> None:
    """Nothing is divided by zero."""
    for graph in GRAPHS:
        assert not graph.affinity(np.zeros((3, 5), np.float32)).any()


def test_activities_are_means_over_space(teacher: TrainedNetwork, digits: Dataset) -> None:
    """Shape (samples, filters), never negative; samples do not influence each other."""
    inputs = digits.validation.inputs
    activities = filter_activities(teacher.network, "relu3", inputs)
    assert activities.shape == (360, 64)
    assert activities.min() >= 0
    np.testing.assert_allclose(
        filter_activities(teacher.network, "relu3", digits.validation[5:8].inputs), activities[5:8], atol=1e-5
    )


def test_activities_of_the_last_layer_make_the_logits(teacher: TrainedNetwork, digits: Dataset) -> None:
    """For the small CNN they are the input of its classifier: times its weights they give the logits, in the same pass too."""
    inputs = digits.validation[:20].inputs
    batches = [tensors_of(digits.validation[some].inputs) for some in (slice(7), slice(7, 20))]
    answers, activities = answers_and_activities(teacher.network, "relu3", batches)
    head = teacher.network.classifier
    wanted = activities @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    np.testing.assert_allclose(forward(teacher.network, inputs), wanted, atol=1e-5)
    np.testing.assert_allclose(answers, wanted, atol=1e-5)


def test_negative_activity_counts_as_none(teacher: TrainedNetwork, digits: Dataset) -> None:
    """Read before the ReLU, some means are below zero; they become 0."""
    assert filter_activities(teacher.network, "bn3", digits.validation.inputs).min() == 0


def test_units_of_a_linear_layer_are_filters_too(teacher: TrainedNetwork, digits: Dataset) -> None:
    """Ten logits, negative ones as 0."""
    found = filter_activities(teacher.network, "classifier", digits.validation.inputs)
    np.testing.assert_allclose(found, forward(teacher.network, digits.validation.inputs).clip(0), atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "layer", "axis"),
    [
        ([nn.Conv1d(4, 6, 1), nn.ReLU()], "1", 1),
        ([nn.Linear(8, 6), nn.GELU()], "1", 2),
        ([nn.LayerNorm(8)], "0", 2),
        ([nn.Conv1d(4, 6, 1), nn.Linear(8, 6), nn.Dropout()], "2", 2),
        ([nn.Linear(8, 6), nn.AvgPool1d(2)], "1", 1),
    ],
)
def test_activities_are_means_over_all_axes_but_units(layers: list[nn.Module], layer: str, axis: int) -> None:
    """Of tensors of shape (n, 4, 8): the axis of the nearest layer that has one."""
    network = nn.Sequential(*layers).eval()
    inputs = {"tokens": np.random.default_rng(0).random((5, 4, 8)).astype(np.float32)}
    wanted = network[: int(layer) + 1](torch.from_numpy(inputs["tokens"])).mean(dim=3 - axis).clamp_min(0)
    np.testing.assert_allclose(filter_activities(network, layer, inputs), wanted.detach(), rtol=1e-5)


def test_a_layer_without_known_units() -> None:
    """No layer before it says what counts them, or axes were moved: the message names the remedy."""
    inputs = {"tokens": np.zeros((5, 4, 8), np.float32)}
    for layers in ([nn.ReLU()], [nn.Linear(8, 6), nn.Unflatten(2, (2, 3))]):
        with pytest.raises(DataError, match="which axis counts its filters; name one of those"):
            filter_activities(nn.Sequential(*layers), str(len(layers) - 1), inputs)
