"""Partitioners with equal sizes: what each promises for any graph, and graphs whose parts are known."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.domain.networks.partition import Partition
from edgesim.errors import PlanError
from edgesim.interfaces import Partitioner
from edgesim.nn.parts.balance import balanced_k_means, equal_sizes
from edgesim.nn.parts.baselines import BalancedKMeans, IndexOrder, RandomParts
from edgesim.nn.parts.cuts import cut_ratio, modularity
from edgesim.nn.parts.partition import Louvain
from edgesim.nn.parts.spectral import Bisection, Fiedler, ModularityEigenvector, MultiEigenvector
from edgesim.rng import generator

SPECTRAL = [
    Fiedler(), Fiedler(is_normalised=True), Bisection(), Bisection(is_normalised=True), MultiEigenvector(),
    MultiEigenvector(is_normalised=False), MultiEigenvector(has_unit_rows=True), ModularityEigenvector(),
]  # fmt: skip
BALANCED = [*SPECTRAL, RandomParts(), IndexOrder(), BalancedKMeans(), BalancedKMeans(has_unit_rows=False)]


def noisy(n: int, seed: int, density: float = 1.0) -> np.ndarray:
    rng = generator(seed, "noise")
    affinity = np.triu(rng.random((n, n)) * (rng.random((n, n)) < density), 1)
    return affinity + affinity.T


def planted(sizes: list[int], seed: int, between: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Strong links inside communities, weak ones between, both noisy; filters shuffled. Returns affinity and community."""
    rng = generator(seed, "planted")
    community = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    inside = community[:, None] == community[None, :]
    weights = np.where(inside, 1.0, between) * (0.8 + 0.4 * rng.random(inside.shape))
    weights = np.triu(weights, 1)
    return weights + weights.T, community


def as_sets(partition: Partition) -> set[frozenset[int]]:
    return {frozenset(part) for part in partition.parts}


def communities(community: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(community == label).tolist()) for label in set(community.tolist())}


@pytest.mark.parametrize("partitioner", BALANCED, ids=repr)
@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 24), seed=st.integers(0, 1000), density=st.floats(0, 1), data=st.data())
def test_every_filter_once_and_sizes_that_differ_by_at_most_one(
    partitioner: Partitioner, n: int, seed: int, density: float, data: st.DataObject
) -> None:
    """For any graph, also one without links, and any number of parts; twice the same. `Partition` refuses overlaps."""
    n_parts = data.draw(st.integers(1, n))
    affinity = noisy(n, seed, density)
    activities = generator(seed, "activities").random((7, n)).astype(np.float32)
    found = partitioner.partition(affinity, n_parts, generator(1, "test"), activities)
    assert len(found.parts) == n_parts
    assert found.dropped == ()
    assert max(found.sizes) - min(found.sizes) <= 1
    assert partitioner.partition(affinity, n_parts, generator(1, "test"), activities) == found


@pytest.mark.parametrize("partitioner", SPECTRAL, ids=repr)
@pytest.mark.parametrize("n", [2, 12, 64])
def test_graph_without_structure_is_divided_too(partitioner: Partitioner, n: int) -> None:
    """No links, or all alike: every direction is an eigenvector, and the parts are still of equal size."""
    for affinity in (np.zeros((n, n)), np.ones((n, n)) - np.eye(n)):
        for n_parts in range(1, min(n, 12) + 1):
            found = partitioner.partition(affinity, n_parts, generator(1, "test"))
            assert max(found.sizes) - min(found.sizes) <= 1
            assert sum(found.sizes) == n


@pytest.mark.parametrize("partitioner", [*SPECTRAL, BalancedKMeans()], ids=repr)
@settings(deadline=None, max_examples=15)
@given(n=st.integers(2, 24), seed=st.integers(0, 1000), data=st.data())
def test_renumbering_filters_renumbers_the_parts(
    partitioner: Partitioner, n: int, seed: int, data: st.DataObject
) -> None:
    """Permutation equivariance, on graphs without symmetries: the parts of P A P^T are those of A, renumbered."""
    n_parts = data.draw(st.integers(1, n))
    order = generator(seed, "order").permutation(n)
    affinity = noisy(n, seed)
    activities = generator(seed, "activities").random((9, n)).astype(np.float32)
    found = partitioner.partition(affinity, n_parts, generator(1, "test"), activities)
    moved = partitioner.partition(
        affinity[np.ix_(order, order)], n_parts, generator(1, "test"), np.ascontiguousarray(activities[:, order])
    )
    assert {frozenset(int(order[index]) for index in part) for part in moved.parts} == as_sets(found)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(3, 9), min_size=3, max_size=5, unique=True))
def test_louvain_finds_planted_communities_whatever_their_numbers(seed: int, sizes: list[int]) -> None:
    """Where communities are clear they are found whole, so renumbering filters renumbers the parts; the largest is dropped by its rule."""
    affinity, community = planted(sizes, seed, between=0.01)
    order = generator(seed, "order").permutation(len(affinity))
    drop = Louvain()
    found = drop.partition(affinity, len(sizes) - 1, generator(1, "test"))
    moved = drop.partition(affinity[np.ix_(order, order)], len(sizes) - 1, generator(1, "test"))
    largest = frozenset(np.flatnonzero(community == int(np.argmax(sizes))).tolist())
    assert as_sets(found) == communities(community) - {largest}
    assert {frozenset(int(order[index]) for index in part) for part in moved.parts} == as_sets(found)
    assert frozenset(found.dropped) == largest


@pytest.mark.parametrize("partitioner", SPECTRAL, ids=repr)
@pytest.mark.parametrize("seed", range(5))
def test_two_planted_communities_are_found(partitioner: Partitioner, seed: int) -> None:
    """Equal and strong: the parts are the communities, whatever the order of filters."""
    affinity, community = planted([12, 12], seed)
    assert as_sets(partitioner.partition(affinity, 2, generator(1, "test"))) == communities(community)


@pytest.mark.parametrize("partitioner", [MultiEigenvector(), MultiEigenvector(has_unit_rows=True)], ids=repr)
@pytest.mark.parametrize("n_parts", [3, 4, 5, 8])
def test_several_planted_communities_are_found_by_several_eigenvectors(partitioner: Partitioner, n_parts: int) -> None:
    """Also where sizes differ by one."""
    affinity, community = planted([9] * (n_parts - 1) + [8], 3)
    assert as_sets(partitioner.partition(affinity, n_parts, generator(1, "test"))) == communities(community)


def test_a_hierarchy_is_found_by_bisection() -> None:
    """Four communities, two and two closer to each other."""
    affinity, community = planted([8] * 4, 2, between=0.02)
    closer = (community[:, None] // 2 == community[None, :] // 2) & (community[:, None] != community[None, :])
    affinity = affinity + 0.2 * closer
    assert as_sets(Bisection().partition(affinity, 4, generator(1, "test"))) == communities(community)


@pytest.mark.parametrize("partitioner", [Fiedler(), ModularityEigenvector()], ids=repr)
@pytest.mark.parametrize("n_parts", [3, 4, 8])
@pytest.mark.parametrize("seed", [1, 2])
def test_communities_in_a_row_are_found_by_one_eigenvector(partitioner: Partitioner, n_parts: int, seed: int) -> None:
    """Each closer to its neighbours than to the others: one number per filter is enough to order them, and slices are communities."""
    affinity, community = planted([8] * n_parts, seed, between=0.001)
    is_next = np.abs(community[:, None] - community[None, :]) == 1
    found = partitioner.partition(affinity + 0.3 * is_next, n_parts, generator(1, "test"))
    assert as_sets(found) == communities(community)


def test_a_path_is_cut_in_order() -> None:
    """The Fiedler vector of a path is monotone: consecutive parts, in either direction, also for a number that divides nothing."""
    affinity = np.diag(np.ones(9), 1)
    affinity = affinity + affinity.T
    for partitioner in (Fiedler(), Bisection()):
        found = partitioner.partition(affinity, 3, generator(1, "test"))
        assert sorted(found.sizes) == [3, 3, 4]
        assert all(part == tuple(range(part[0], part[0] + len(part))) for part in found.parts)


def test_k_means_finds_what_is_active_together() -> None:
    """Three groups of filters, each active for samples of its own."""
    rng = generator(1, "activities")
    group = rng.permutation(np.repeat(np.arange(3), 5))
    activities = (np.eye(3)[rng.integers(3, size=60)][:, group] + 0.1 * rng.random((60, 15))).astype(np.float32)
    found = BalancedKMeans().partition(np.zeros((15, 15)), 3, generator(1, "test"), activities)
    assert as_sets(found) == communities(group)


def test_k_means_needs_activities() -> None:
    """A graph alone does not say them."""
    with pytest.raises(PlanError, match="pass them"):
        BalancedKMeans().partition(np.zeros((4, 4)), 2, generator(1, "test"))


def test_equal_sizes_are_forced_on_unequal_groups() -> None:
    """Six points here, two there, two parts: four each, and the pair stays together."""
    points = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [0.5], [9.0], [9.1]])
    assert as_sets(balanced_k_means(points, 2)) == {frozenset({0, 1, 2, 3}), frozenset({4, 5, 6, 7})}


@pytest.mark.parametrize("partitioner", BALANCED, ids=repr)
def test_more_parts_than_filters_is_an_error(partitioner: Partitioner) -> None:
    """The message says what to do."""
    with pytest.raises(PlanError, match="3 filters cannot be divided into 4 parts; use fewer parts"):
        partitioner.partition(noisy(3, 1), 4, generator(1, "test"), np.ones((5, 3), np.float32))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(1, 60))
def test_sizes_sum_to_all(n_filters: int, n_parts: int) -> None:
    """Each is the floor or the ceiling of the mean."""
    if n_parts > n_filters:
        return
    sizes = equal_sizes(n_filters, n_parts)
    assert sum(sizes) == n_filters
    assert set(sizes) <= {n_filters // n_parts, -(-n_filters // n_parts)}


def test_cut_ratio_and_modularity_agree_with_networkx() -> None:
    """Modularity of networkx on a weighted graph, at two resolutions; a cut of everything loses everything."""
    import networkx as nx

    affinity = noisy(12, 4, 0.5)
    partition = Partition(((0, 1, 2, 3), (4, 5, 6), (7, 8, 9, 10, 11)), 12)
    graph = nx.from_numpy_array(affinity)
    for gamma in (1.0, 1.7):
        wanted = nx.community.modularity(graph, partition.parts, resolution=gamma)
        assert modularity(partition, affinity, gamma) == pytest.approx(wanted)
    cut = sum(
        weight for a, b, weight in graph.edges.data("weight") if not any(a in p and b in p for p in partition.parts)
    )
    assert cut_ratio(partition, affinity) == pytest.approx(cut / graph.size("weight"))
    alone = Partition(tuple((index,) for index in range(12)), 12)
    assert cut_ratio(alone, affinity) == 1.0
    assert cut_ratio(Partition((tuple(range(12)),), 12), affinity) == pytest.approx(0.0)


def test_a_spectral_cut_loses_less_than_a_random_one() -> None:
    """On a planted graph, by the measure that it is about."""
    affinity, _ = planted([10] * 4, 5, between=0.3)
    ratios = {
        name: cut_ratio(partitioner.partition(affinity, 4, generator(2, "test")), affinity)
        for name, partitioner in (("several", MultiEigenvector()), ("random", RandomParts()))
    }
    assert ratios["several"] < 0.75 * ratios["random"]


def test_communities_of_equal_size_are_merged_when_told_so() -> None:
    """The quirk of NoNN's code: 6, 4, 4 and 2 filters become 8, 6 and 2."""
    block = np.repeat(np.arange(4), [6, 4, 4, 2])
    affinity = np.where(block[:, None] == block[None, :], 1.0, 0.01)
    np.fill_diagonal(affinity, 0.0)
    found = Louvain(is_largest_dropped=False, is_equal_merged=True).partition(affinity, 3, generator(1, "test"))
    assert sorted(found.sizes) == [2, 6, 8]
    assert (6, 7, 8, 9, 10, 11, 12, 13) in found.parts


@pytest.mark.parametrize("is_nearly_complete", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_modularity_eigenvector_is_that_of_newmans_matrix(seed: int, *, is_nearly_complete: bool) -> None:
    """B = A - k k^T / 2m as networkx makes it, on graphs without structure: slices by its leading vector, the constant one left out.

    Degrees differ, so that A alone, or with the null term added, gives other slices. In a graph that is nearly complete every
    eigenvalue but the constant vector's is negative.
    """
    rng = np.random.default_rng(seed)
    affinity = rng.uniform(size=(12, 12)) * rng.uniform(0.1, 1.0, size=12)
    affinity = 10.0 + affinity if is_nearly_complete else affinity
    affinity = affinity + affinity.T
    np.fill_diagonal(affinity, 0.0)
    graph = nx.from_numpy_array(affinity)
    matrix = np.asarray(nx.modularity_matrix(graph, nodelist=range(12), weight="weight"))
    _, vectors = np.linalg.eigh(matrix)
    leading = next(vector for vector in vectors.T[::-1] if abs(vector.sum()) < 1e-6)
    order = np.argsort(leading)
    parts = ModularityEigenvector().partition(affinity, 3, rng).parts
    assert {frozenset(part) for part in parts} == {frozenset(part.tolist()) for part in np.split(order, 3)}


def test_larger_parts_come_first() -> None:
    """7 in 3: three, two and two."""
    assert equal_sizes(7, 3) == (3, 2, 2)


@pytest.mark.parametrize(
    ("points", "parts"),
    [
        ([0, 5, 7, 8, 14], ((2, 3, 4), (0, 1))),  # the mean is 6.8: 14 is farther than 0, and the first part is its own
        ([4, 9, 12, 18, 20], ((0, 1, 2), (3, 4))),  # the mean is 12.6: 4
        ([3, 6, 11, 18], ((3,), (0, 1), (2,))),  # 18, then 3, then 11, which is 7 from both, and not 6, which is near 3
        ([3, 10, 12, 15], ((0,), (3,), (1, 2))),  # 3, then 15, then 10, 5 from 15
        ([5, 8, 10, 18, 20], ((3, 4), (0,), (1, 2))),  # 20, then 5, then 10, 5 from 5: 18 is near 20
    ],
    ids=str,
)
def test_first_centres_are_the_farthest_points(points: list[int], parts: tuple[tuple[int, ...], ...]) -> None:
    """From the mean, and from all centres so far; parts come in the order of their centres."""
    assert balanced_k_means(np.array(points, dtype=float)[:, None], len(parts)).parts == parts


def test_centres_move_until_nothing_changes() -> None:
    """Centres 3, 20 and 6 take 3 | 18, 20 | 6, 17 first, since 20 has place for one more only; with 3, 19 and 11.5, 6 goes to 3."""
    found = balanced_k_means(np.array([[3.0], [6.0], [17.0], [18.0], [20.0]]), 3)
    assert found.parts == ((0, 1), (3, 4), (2,))


def test_equal_points_are_divided_too() -> None:
    """All centres are one point, also where the square of a length is rounded."""
    assert balanced_k_means(np.full((5, 3), 0.1), 2).sizes == (3, 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_the_normalised_fiedler_vector_is_that_of_the_generalised_problem(seed: int, scale: float) -> None:
    """(D - A) f = lambda D f as scipy solves it, on graphs whose strengths differ; the unit of the affinities plays no part."""
    rng = np.random.default_rng(seed)
    affinity = rng.uniform(size=(12, 12)) * rng.uniform(0.02, 1.0, size=12)
    affinity = affinity + affinity.T
    np.fill_diagonal(affinity, 0.0)
    strength = np.diag(affinity.sum(axis=1))
    _, vectors = scipy.linalg.eigh(strength - affinity, strength)
    slices = np.split(np.argsort(vectors[:, 1]), 4)
    found = Fiedler(is_normalised=True).partition(scale * affinity, 4, rng)
    assert as_sets(found) == {frozenset(part.tolist()) for part in slices}


def test_an_odd_number_of_parts_is_halved_with_more_on_the_side_of_the_smaller_values() -> None:
    """Two strong pairs hang together by 1 and 3, which are near the third pair: the four are one side, cut into their pairs.

    With one part on that side it would be 0 and 2, which lie farthest out.
    """
    links = {(0, 1): 1.0, (2, 3): 1.1, (1, 3): 0.5, (1, 4): 0.1, (3, 4): 0.11, (4, 5): 1.0}
    affinity = np.zeros((6, 6))
    for (one, other), weight in links.items():
        affinity[one, other] = affinity[other, one] = weight
    found = Bisection().partition(affinity, 3, generator(1, "test"))
    assert as_sets(found) == {frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5})}


@pytest.mark.parametrize("seed", range(3))
def test_one_axis_is_not_scaled_to_unit_length(seed: int) -> None:
    """Eight against four: which two of the eight go with the four is said by their values, not by their signs."""
    affinity, _ = planted([8, 4], seed)
    wanted = MultiEigenvector().partition(affinity, 2, generator(1, "test"))
    assert MultiEigenvector(has_unit_rows=True).partition(affinity, 2, generator(1, "test")) == wanted


def test_points_of_unit_length_are_divided_by_their_directions() -> None:
    """Three parts of 15 filters: k-means on the rows of two eigenvectors, scaled to length 1 or not; they differ somewhere."""
    n_different = 0
    for seed in range(10):
        affinity = noisy(15, seed, 0.5)
        strength = affinity.sum(axis=1)
        _, vectors = scipy.linalg.eigh(np.diag(strength) - affinity, np.diag(strength))
        points = vectors[:, 1:3] * np.where((vectors[:, 1:3] ** 3).sum(0) < 0, -1, 1)
        rows = points / np.linalg.norm(points, axis=1, keepdims=True)
        found = MultiEigenvector(has_unit_rows=True).partition(affinity, 3, generator(1, "test"))
        assert set(found.parts) == set(balanced_k_means(rows, 3).parts)
        n_different += set(found.parts) != set(MultiEigenvector().partition(affinity, 3, generator(1, "test")).parts)
    assert n_different > 0
