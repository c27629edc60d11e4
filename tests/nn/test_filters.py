from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgesim.errors import DataError
from edgesim.nn.activations import filter_activities
from edgesim.nn.filters import hub_affinity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.model import Dataset
    from edgesim.nn.training import TrainedNetwork

ACTIVITIES = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.floats(0, 8, width=32))


@given(ACTIVITIES)
def test_hub_weights_are_the_formula(activities: NDArray[np.float32]) -> None:
    """A_ij = sum over samples of a_i a_j |a_i - a_j|, written as three loops."""
    n_samples, n_filters = activities.shape
    wanted = np.zeros((n_filters, n_filters))
    for sample in range(n_samples):
        for i in range(n_filters):
            for j in range(n_filters):
                a_i, a_j = float(activities[sample, i]), float(activities[sample, j])
                wanted[i, j] += a_i * a_j * abs(a_i - a_j)
    np.testing.assert_allclose(hub_affinity(activities), wanted, rtol=1e-12, atol=1e-12)


def test_activity_is_the_mean_over_space_of_the_layer(teacher: TrainedNetwork, digits: Dataset) -> None:
    """For the small CNN that is the input of its classifier: activities times its weights give the logits."""
    from edgesim.nn.training import logits

    inputs = digits.validation.inputs[:20]
    activities = filter_activities(teacher.network, "relu3", inputs)
    assert activities.shape == (20, 64)
    assert activities.min() >= 0
    head = teacher.network.classifier
    answers = activities @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    np.testing.assert_allclose(answers, logits(teacher.network, inputs), atol=1e-5)


def test_negative_activity_counts_as_none(teacher: TrainedNetwork, digits: Dataset) -> None:
    """Read before the ReLU, some means are below zero; they become 0."""
    activities = filter_activities(teacher.network, "bn3", digits.validation.inputs)
    assert activities.min() == 0


def test_a_layer_without_channels_has_no_filters(teacher: TrainedNetwork, digits: Dataset) -> None:
    """The classifier gives a vector."""
    with pytest.raises(DataError, match="filters are the channels of a convolution"):
        filter_activities(teacher.network, "classifier", digits.validation.inputs[:2])
