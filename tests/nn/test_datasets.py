from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from edgesim.nn.data.datasets import Digits

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


def test_importing_plug_ins_loads_nothing_heavy() -> None:
    """`edgesim validate` reads the options of these classes without torch, numpy or networkx."""
    code = (
        "import sys, edgesim.nn.data.datasets, edgesim.nn.models.zoo, edgesim.nn.parts.partition, edgesim.strategies.nonn\n"
        "print(sorted({'torch', 'numpy', 'networkx', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
