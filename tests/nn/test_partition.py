from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.domain.networks.partition import Partition
from edgesim.errors import PlanError
from edgesim.nn.parts.partition import Louvain
from edgesim.rng import generator


def planted(*sizes: int, inside: float = 1.0, between: float = 0.01) -> np.ndarray:
    """Affinity with communities of these sizes, filters in order."""
    block = np.repeat(np.arange(len(sizes)), sizes)
    affinity = np.where(block[:, None] == block[None, :], inside, between)
    np.fill_diagonal(affinity, 0.0)
    return affinity


def test_the_largest_is_dropped_and_leftovers_go_to_the_smallest() -> None:
    """Communities of 9, 6, 4, 3 and 2 filters for three parts: 9 are dropped, the last 2 go to the parts of 3, then of 4."""
    found = Louvain().partition(planted(9, 6, 4, 3, 2), 3, generator(1, "test"))
    assert found.dropped == tuple(range(9))
    assert found.parts == (tuple(range(9, 15)), (15, 16, 17, 18, 23), (19, 20, 21, 22))
    assert found.notes == ()


def test_nothing_is_dropped_when_told_so() -> None:
    """The planted communities themselves are the parts."""
    found = Louvain(is_largest_dropped=False).partition(planted(5, 4, 3), 3, generator(1, "test"))
    assert found.parts == (tuple(range(5)), tuple(range(5, 9)), tuple(range(9, 12)))
    assert found.dropped == ()


def test_silent_filters_are_pooled() -> None:
    """Filters without links stand alone; together they are the largest community here and are dropped."""
    affinity = np.zeros((12, 12))
    affinity[:7, :7] = planted(4, 3, between=0.0)
    found = Louvain().partition(affinity, 2, generator(1, "test"))
    assert found.dropped == (7, 8, 9, 10, 11)
    assert found.parts == ((0, 1, 2, 3), (4, 5, 6))


def test_a_raised_resolution_is_reported() -> None:
    """Two strong communities with structure inside: four parts need a larger gamma, and the note says which."""
    affinity = planted(12, 12, inside=0.3) + np.kron(np.eye(8), np.ones((3, 3)) - np.eye(3))
    found = Louvain().partition(affinity, 4, generator(1, "test"))
    assert len(found.parts) == 4
    assert len(found.notes) == 1
    assert "resolution raised from 1 to 1." in found.notes[0]
    assert "5 communities are needed" in found.notes[0]


def test_too_few_communities_at_any_resolution_is_reported() -> None:
    """Without links there is one pool only; it is halved until there are enough parts, and nothing is dropped."""
    found = Louvain().partition(np.zeros((5, 5)), 3, generator(1, "test"))
    assert sorted(found.sizes) == [1, 2, 2]
    assert found.dropped == ()
    assert "nothing was dropped and the largest were halved" in found.notes[0]


def test_more_parts_than_filters_is_an_error() -> None:
    """The message says what to do."""
    with pytest.raises(PlanError, match="3 filters cannot be divided into 4 parts; use fewer students"):
        Louvain().partition(planted(3), 4, generator(1, "test"))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.data())
def test_always_exactly_as_many_disjoint_parts(n_filters: int, data: st.DataObject) -> None:
    """Any affinity, any number of parts up to the number of filters; `Partition` itself refuses overlaps and empty parts."""
    n_parts = data.draw(st.integers(1, n_filters))
    noise = generator(data.draw(st.integers(0, 1000)), "noise").random((n_filters, n_filters))
    affinity = np.triu(noise * (noise > data.draw(st.floats(0, 1))), 1)
    found = Louvain().partition(affinity + affinity.T, n_parts, generator(1, "test"))
    assert len(found.parts) == n_parts
    again = Louvain().partition(affinity + affinity.T, n_parts, generator(1, "test"))
    assert again == found


def test_partition_reports_sizes_dropped_and_imbalance() -> None:
    """Largest over mean: 3 / 2."""
    partition = Partition(((0, 4), (1, 2, 6), (5,)), 8)
    assert partition.sizes == (2, 3, 1)
    assert partition.dropped == (3, 7)
    assert partition.imbalance == 1.5


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (((0, 1), ()), "a filter in each"),
        ((), "at least one part"),
        (((0, 1), (1,)), "stands twice"),
        (((0, 4),), "outside 0 ... 3"),
    ],
)
def test_partition_refuses_what_is_none(parts: tuple[tuple[int, ...], ...], message: str) -> None:
    """Empty, overlapping, out of range."""
    with pytest.raises(PlanError, match=message):
        Partition(parts, 4)
