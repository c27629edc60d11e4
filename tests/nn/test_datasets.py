from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgesim.errors import DataError
from edgesim.nn.data.datasets import Digits
from edgesim.nn.data.splits import divided, some_of

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Dataset


def test_the_splits_are_disjoint_and_hold_every_sample_once(digits: Dataset) -> None:
    """60, 20 and 20 percent of the 1,797 digits; the sum over all splits is that of scikit-learn's array."""
    from sklearn.datasets import load_digits

    splits = (digits.train, digits.validation, digits.test)
    assert [len(split) for split in splits] == [1077, 360, 360]
    rows = np.concatenate([split.only.reshape(len(split), -1) * 16 for split in splits]).astype(int)
    original = load_digits().data.astype(int)
    assert sorted(map(tuple, rows)) == sorted(map(tuple, original))


def test_values_and_shapes(digits: Dataset) -> None:
    """One grey channel of 8x8 pixels in [0, 1], float32; labels are int64."""
    assert digits.inputs["images"].shape == (1, 8, 8)
    assert digits.train.only.dtype == np.float32
    assert digits.train.targets.dtype == np.int64
    assert digits.train.only.min() == 0.0
    assert digits.train.only.max() == 1.0


def test_every_class_has_its_share_in_every_split(digits: Dataset) -> None:
    """Stratified: a class differs from its expected count by at most one sample."""
    everything = np.concatenate([digits.train.targets, digits.validation.targets, digits.test.targets])
    for split in (digits.train, digits.validation, digits.test):
        expected = np.bincount(everything) * len(split) / len(everything)
        assert np.all(np.abs(np.bincount(split.targets) - expected) <= 1)


def test_loading_twice_gives_the_same(digits: Dataset) -> None:
    """The splits are fixed."""
    again = Digits().load()
    assert np.array_equal(again.test.only, digits.test.only)
    assert np.array_equal(again.train.targets, digits.train.targets)


def test_the_digits_come_in_the_order_of_scikit_learn(digits: Dataset) -> None:
    """The file is read without scikit-learn, and divided as its functions would: the same samples at the same places."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    inputs, labels = load_digits(return_X_y=True)
    rest, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    train, validation = train_test_split(rest, test_size=0.25, stratify=labels[rest], random_state=0)
    for split, places in ((digits.train, train), (digits.validation, validation), (digits.test, test)):
        assert np.array_equal(split.only.reshape(len(split), -1) * 16, inputs[places])
        assert np.array_equal(split.targets, labels[places])


@pytest.mark.parametrize("seed", range(60))
def test_splits_are_those_of_scikit_learn(seed: int) -> None:
    """Parts of 4 to 199 samples of 1 to 11 classes: the same indices in the same order, and refused where scikit-learn refuses."""
    from sklearn.model_selection import train_test_split

    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, 12), rng.integers(4, 200))
    samples = rng.permutation(len(labels))[: rng.integers(2, len(labels) + 1)]
    share, n_wanted = float(rng.choice([0.1, 0.2, 0.25, 0.5, 0.8])), int(rng.integers(1, len(samples)))
    for own, size in (
        (lambda: divided("drawn", samples, labels, share), {"test_size": share}),
        (lambda: [some_of("drawn", samples, labels, n_wanted)], {"train_size": n_wanted}),
    ):
        try:
            theirs = train_test_split(samples, **size, stratify=labels[samples], random_state=0)
        except ValueError:
            with pytest.raises(DataError, match="drawn: "):
                own()
            continue
        for part, expected in zip(own(), theirs, strict=False):
            assert np.array_equal(part, expected)


def test_digits_are_loaded_without_scikit_learn() -> None:
    """Importing it takes longer than a small study."""
    code = (
        "import sys\nfrom edgesim.nn.data.datasets import Digits\nDigits(train_size=100).load()\n"
        "print(sorted({'sklearn', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_plug_ins_loads_nothing_heavy() -> None:
    """`edgesim validate` reads the options of these classes without torch, numpy or networkx."""
    code = (
        "import sys, edgesim.nn.data.datasets, edgesim.nn.models.zoo, edgesim.nn.parts.partition, edgesim.strategies.nonn\n"
        "print(sorted({'torch', 'numpy', 'networkx', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
