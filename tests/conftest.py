"""What tests of several packages share: the real digits, and a real teacher that is trained once per session."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from edgesim.domain.networks.training import Training
from edgesim.engine.events import simulation
from edgesim.engine.state.invariants import Checker
from edgesim.nn.data.datasets import Digits
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train.cache import FOLDER_VARIABLE, NetworkCache
from edgesim.study import completion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgesim.domain.networks.samples import Dataset
    from edgesim.nn.train.training import TrainedNetwork


# CI draws the same examples every time; elsewhere each run looks at new ones
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("default-without-deadline", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default-without-deadline")


def _check_every_trial() -> None:
    """Let every trial of every test check the invariants: those of this process, and those of studies in whatever process."""
    world, prepare = simulation.World, completion.prepare
    simulation.World = lambda *options: world(*options[:-1], Checker())  # type: ignore[misc, assignment]
    completion.prepare = lambda *options: replace(prepare(*options), is_checked=True)


_check_every_trial()


class Silent:
    """Progress that shows nothing and remembers its notes."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.notes: list[str] = []

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Silent]:
        self.labels.append(label)
        yield self

    def advance(self, n_done: int = 1, note: str = "") -> None:
        self.notes.append(note)


@pytest.fixture
def silent() -> Silent:
    """A progress that shows nothing."""
    return Silent()


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of trained networks for this session, so that no test reads or writes the user's own."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The real digits."""
    return Digits().load()


@pytest.fixture(scope="session")
def teacher_model() -> SmallCNN:
    """The architecture of the `teacher` fixture."""
    return SmallCNN()


@pytest.fixture(scope="session")
def teacher(digits: Dataset, teacher_model: SmallCNN, cache_folder: Path) -> TrainedNetwork:
    """A real teacher, trained for a few epochs (1 to 2 s)."""
    from edgesim.nn.train.training import train_teacher

    return train_teacher(
        teacher_model, digits, Training(epochs=8), seed=1, progress=Silent(), cache=NetworkCache.default()
    )
