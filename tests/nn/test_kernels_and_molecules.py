"""Networks that are solved for, against their formulas; tables and molecules, divided without a look at the test."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError
from edgesim.nn.data.packages.molecules import MEMBER, SDIST, TARGETS, Bace, Tox21Sample
from edgesim.nn.data.packages.tables import DIAGNOSIS, KINDS, NUMBERS, HeartDisease
from edgesim.nn.models.tabular.kernel_networks import WIDTHS, Basis, GeneralRegression, best_width
from edgesim.nn.models.tabular.kernels import GRNN, RBF, Logistic
from edgesim.nn.models.tabular.target_networks import activations
from edgesim.nn.models.tabular.targets import TargetNetworks
from edgesim.nn.train.training import forward
from edgesim.tasks.classification import Classification
from edgesim.tasks.regression import Regression


def clouds(n: int = 60, n_classes: int = 3, seed: int = 0) -> Dataset:
    """Points around one corner per class."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % n_classes
    points = (rng.standard_normal((n, 4)) + 2 * np.eye(n_classes, 4)[targets]).astype(np.float32)
    parts = [Samples({"features": points[first::3]}, targets[first::3].astype(np.int64)) for first in range(3)]
    rng.shuffle(targets)
    return Dataset(
        "clouds",
        *[Samples(one.inputs, np.arange(len(one)) % n_classes) for one in parts],
        Classification(n_classes),
        "none",
        "drawn",
    )


def solved(builder: GRNN | RBF | Logistic, dataset: Dataset) -> torch.nn.Module:
    torch.manual_seed(0)
    network = builder.build(dataset.inputs, dataset.task.output)
    network.solve(dataset)  # type: ignore[operator]
    return network


def test_general_regression_is_the_ratio_of_its_sums() -> None:
    """The softmax of its answers, against the formula in numpy, and the width by leaving each sample out in a loop."""
    data = clouds()
    network = solved(GRNN(), data)
    samples, targets = data.train.only.astype(float), data.train.targets
    errors = []
    for width in WIDTHS:
        error = 0.0
        for one in range(len(samples)):
            others = np.arange(len(samples)) != one
            squares = ((samples[others] - samples[one]) ** 2).sum(1)
            weights = np.exp(-(squares - squares.min()) / (2 * width**2))
            shares = weights @ np.eye(3)[targets[others]] / weights.sum()
            error += ((shares - np.eye(3)[targets[one]]) ** 2).sum()
        errors.append(error)
    width = WIDTHS[int(np.argmin(errors))]
    assert best_width(data.train.only, targets, 3) == width
    weights = np.exp(-((data.test.only[:, None].astype(float) - samples) ** 2).sum(2) / (2 * width**2))
    wanted = weights @ np.eye(3)[targets] / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(
        torch.softmax(torch.from_numpy(forward(network, data.test.inputs)), 1).numpy(), wanted, atol=1e-5
    )


def test_general_regression_comes_back_from_its_state() -> None:
    """Its size follows from the samples, which a new one does not know."""
    data = clouds()
    network = solved(GRNN(), data)
    again = GRNN().build(data.inputs, data.task.output)
    again.load_state_dict(network.state_dict())
    assert np.array_equal(forward(again, data.test.inputs), forward(network, data.test.inputs))


def test_a_class_without_samples_is_never_answered() -> None:
    """A shard can lack a class: what it sends for it is the logarithm of nothing, and finite."""
    network = GeneralRegression(2, 2)
    network.keep(np.array([[0.0, 0.0], [1.0, 1.0]], np.float32), np.array([0, 1]), 1.0)
    answer = network.shard([0])(torch.zeros(1, 2)).detach()
    assert answer[0, 0] == 0
    assert -1e31 < float(answer[0, 1]) < -1e29


def test_basis_functions_on_four_points_by_hand() -> None:
    """Centres 0 and 4, d = 4, s = 4 / sqrt(4) = 2: exp(-x^2 / 8) and exp(-(x - 4)^2 / 8)."""
    basis = Basis(1, 2)
    basis.place(np.array([[0.0], [4.0]]))
    found = basis(torch.tensor([[0.0], [1.0], [2.0], [4.0]])).detach().numpy()
    wanted = [[1, np.exp(-2)], [np.exp(-1 / 8), np.exp(-9 / 8)], [np.exp(-0.5), np.exp(-0.5)], [np.exp(-2), 1]]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_logistic_regression_is_that_of_scikit_learn() -> None:
    """With one of its penalties, of two and of three classes."""
    for n_classes in (2, 3):
        data = clouds(n_classes=n_classes)
        found = torch.softmax(torch.from_numpy(forward(solved(Logistic(), data), data.test.inputs)), 1).numpy()
        differences = [
            np.abs(
                LogisticRegression(C=1 / penalty, max_iter=5000)
                .fit(data.train.only, data.train.targets)
                .predict_proba(data.test.only)
                - found
            ).max()
            for penalty in np.logspace(-5, 3, 17)
        ]
        assert min(differences) < 1e-4


@pytest.mark.parametrize("builder", [Logistic(), RBF(4), GRNN()])
def test_other_tasks_are_refused(builder: GRNN | RBF | Logistic) -> None:
    """Numbers are no classes."""
    data = clouds()
    numbers = [
        Samples(one.inputs, np.zeros((len(one), 1), np.float32)) for one in (data.train, data.validation, data.test)
    ]
    other = Dataset("numbers", *numbers, Regression(1), "none", "drawn")
    with pytest.raises(DataError, match="solved for classes"):
        solved(builder, other)


def test_more_centres_than_samples_are_refused() -> None:
    """K-means would have empty clusters."""
    with pytest.raises(DataError, match="21 centres need as many different training samples, but there are 20"):
        solved(RBF(21), clouds())


def write_heart(folder: Path, n: int = 30) -> None:
    """Patients whose findings are numbered; the diagnosis alternates, and one finding of the first patient is missing."""
    names = [*NUMBERS, *KINDS, DIAGNOSIS]
    lines = ["\t".join(names), "\t".join("c" * len(names)), ""]
    for number in range(n):
        kinds = [kinds[number % len(kinds)] for kinds in KINDS.values()]
        lines.append("\t".join([*(str(number + place) for place in range(len(NUMBERS))), *kinds, str(number % 2)]))
    lines[3] = (
        lines[3].replace("\t", "\t\t", 1).replace("\t\t1\t", "\t\t", 1)
    )  # the first patient's second finding is missing
    (folder / "heart_disease.tab").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_every_patient_is_tested_once_and_scaled_by_others(tmp_path: Path) -> None:
    """The folds of a division; numbers have mean 0 and variance 1 over the training split, whatever the test holds."""
    write_heart(tmp_path)
    splits = [HeartDisease(fold, folds=5, folder=str(tmp_path)).load() for fold in range(5)]
    assert sum(len(one.test) for one in splits) == 30
    for one in splits:
        assert (len(one.train), len(one.validation), len(one.test)) == (18, 6, 6)
        assert np.isfinite(one.train.only).all()
        np.testing.assert_allclose(one.train.only[:, : len(NUMBERS)].mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(one.train.only[:, : len(NUMBERS)].std(0), 1, atol=1e-6)
        assert one.test.targets.mean() == 0.5


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    """A strange name, a text for a number, other columns, a fold too many."""
    write_heart(tmp_path)
    path = tmp_path / "heart_disease.tab"
    text = path.read_text(encoding="utf-8")
    for change, message in (
        (("female", "other"), "'gender' is 'other'"),
        (("29\t", "old\t"), "'age' is 'old', which is no number"),
        (("thal", "thalassaemia"), "its columns are not"),
    ):
        path.write_text(text.replace(*change), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            HeartDisease(folds=5, folder=str(tmp_path)).load()
    with pytest.raises(DataError, match="no fold 5"):
        HeartDisease(5, folds=5).find()
    with pytest.raises(DataError, match=r"heart_disease\.tab; get it with: pip install --no-deps orange3"):
        HeartDisease(folder=str(tmp_path / "nowhere")).load()


SMILES = [
    "c1ccccc1O",
    "c1ccccc1N",
    "c1ccccc1C",
    "C1CCCCC1O",
    "C1CCCCC1N",
    "CCO",
    "CCN",
    "CCC",
    "c1ccncc1O",
    "c1ccncc1N",
] * 3


def write_bace(folder: Path, smiles: list[str]) -> None:
    rows = [f"{one},{number % 2}" for number, one in enumerate(smiles)]
    (folder / "bace.csv").write_text("\n".join(["mol,Class", *rows]) + "\n", encoding="utf-8")


def test_molecules_of_one_scaffold_stay_together(tmp_path: Path) -> None:
    """Rings with rings: no scaffold stands in two folds; drawn folds have equal sizes; fingerprints are bits."""
    pytest.importorskip("rdkit")
    from edgesim.nn.data.packages.molecules import folds_of_molecules, scaffolds

    write_bace(tmp_path, SMILES)
    data = Bace(folds=3, folder=str(tmp_path)).load()
    assert len(data.train) + len(data.validation) + len(data.test) == len(SMILES)
    assert set(np.unique(data.train.only)) <= {0, 1}
    assert data.inputs == {"fingerprint": TensorSpec((2048,), "uint8")}
    fold = folds_of_molecules(SMILES, 3, "scaffold", 0)
    for scaffold in set(scaffolds(SMILES)):
        assert len({int(one) for one, own in zip(fold, scaffolds(SMILES), strict=True) if own == scaffold}) == 1
    assert np.bincount(folds_of_molecules(SMILES, 3, "random", 0)).tolist() == [10, 10, 10]
    write_bace(tmp_path, [*SMILES, "no molecule"])
    with pytest.raises(DataError, match="'no molecule' is no molecule"):
        Bace(folds=3, folder=str(tmp_path)).load()


def test_gaps_stay_gaps(tmp_path: Path) -> None:
    """A test that was not made is NaN; yes weighs as many times as there are no for each."""
    pytest.importorskip("rdkit")
    rows = ["smiles," + ",".join(TARGETS)]
    rows += [
        f"{one}," + ",".join(["1" if number % 3 == 0 else "0", "", *["0"] * 10]) for number, one in enumerate(SMILES)
    ]
    content = "\n".join(rows).encode()
    with tarfile.open(tmp_path / SDIST, "w:gz") as archive:
        entry = tarfile.TarInfo(MEMBER)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    data = Tox21Sample(folds=3, split="random", folder=str(tmp_path)).load()
    assert np.isnan(data.train.targets[:, 1]).all()
    targets = data.train.targets[:, 0]
    assert data.task.weight_of_yes[0] == pytest.approx((targets == 0).sum() / (targets == 1).sum())  # type: ignore[attr-defined]
    assert data.task.weight_of_yes[1:3] == (1.0, 1.0)  # type: ignore[attr-defined]
    (tmp_path / SDIST).write_bytes(b"no archive")
    with pytest.raises(DataError, match="is damaged: it has no"):
        Tox21Sample(folder=str(tmp_path)).load()


def test_networks_of_questions_share_nothing() -> None:
    """The gradient of one answer reaches its own network only; the distance of equal molecules is 0."""
    torch.manual_seed(0)
    network = TargetNetworks((3, 2)).build({"bits": TensorSpec((5,), "uint8")}, TensorSpec((2,)))
    bits = torch.tensor([[0, 1, 1, 0, 1], [0, 1, 1, 0, 1]], dtype=torch.uint8)
    network(bits)[:, 0].sum().backward()
    assert [any(bool(p.grad.any()) for p in one.parameters()) for one in network.networks] == [True, False]  # type: ignore[union-attr]
    found = activations(network.networks[0], bits.float())  # type: ignore[index]
    assert found.shape == (2, 5)
    assert torch.equal(found[0], found[1])
