"""Samples with one and with several inputs."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.domain.networks.samples import Dataset, Samples, inputs_of
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError
from edgesim.tasks.classification import Classification

GRAPHS = Samples(
    {"nodes": np.arange(24.0, dtype=np.float32).reshape(4, 3, 2), "adjacency": np.zeros((4, 3, 3), np.int64)},
    np.array([0, 1, 0, 1]),
)


def test_samples_are_taken_with_all_their_inputs() -> None:
    """By slice, by positions, by a mask."""
    for which in (slice(1, 3), np.array([1, 2]), np.array([False, True, True, False])):
        some = GRAPHS[which]
        assert len(some) == 2
        assert some.inputs["nodes"].tolist() == GRAPHS.inputs["nodes"][1:3].tolist()
        assert some.inputs["adjacency"].shape == (2, 3, 3)
        assert some.targets.tolist() == [1, 0]


def test_a_data_set_tells_shape_and_type_of_its_inputs() -> None:
    """Without the axis of samples; a plain shape stands for one float32 tensor."""
    data = Dataset("graphs", GRAPHS, GRAPHS, GRAPHS, Classification(2), "", "")
    assert data.inputs == {"nodes": TensorSpec((3, 2)), "adjacency": TensorSpec((3, 3), "int64")}
    assert inputs_of((1, 8, 8)) == {"inputs": TensorSpec((1, 8, 8))}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": np.zeros((3, 1))}, "there are 3 samples of 'x', but 2 targets"),
        ({}, "samples have no inputs; give at least one array"),
    ],
)
def test_samples_that_do_not_belong_together(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Samples(inputs, np.zeros(2))


def test_the_only_input_is_asked_where_there_is_one() -> None:
    with pytest.raises(DataError, match=r"samples have 2 inputs \(nodes, adjacency\); one was expected"):
        _ = GRAPHS.only
