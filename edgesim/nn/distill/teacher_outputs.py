"""What a teacher says about the training samples: its answers and the activities of its filters, once for each view."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from edgesim.errors import DataError
from edgesim.nn.cost.surgery import has_activation_behind
from edgesim.nn.data.views import Views
from edgesim.nn.parts.activations import answers_and_activities
from edgesim.nn.tensors import on
from edgesim.nn.train.cache import fingerprint, write_atomically
from edgesim.nn.train.device import training_device
from edgesim.nn.train.training import EVALUATION_BATCH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from edgesim.domain.networks.samples import Dataset, Inputs
    from edgesim.domain.networks.training import Training
    from edgesim.nn.train.cache import NetworkCache


@dataclass(frozen=True, slots=True)
class Teacher:
    """What students learn from.

    Parameters
    ----------
    network : in evaluation mode.
    key : hash of everything that determined its weights.
    layer : submodule whose units are its filters; None when nobody asks for their activities.
    """

    network: nn.Module
    key: str
    layer: str | None

    def reading(self, inputs: Inputs) -> dict[str, str]:
        """Return what, besides the layer, determines what its filters say of such inputs; empty where they are the layer's own output."""
        is_behind = self.layer and has_activation_behind(self.network, inputs, self.layer)
        return {"filters": "behind activation"} if is_behind else {}


@dataclass(frozen=True, slots=True)
class TaughtBatch:
    """What is taught about some samples.

    Parameters
    ----------
    inputs, targets : of the samples.
    answers : of the teacher, shape (n, *output).
    activities : of its filters, shape (n, filters); of no filters when the teacher has no layer of them.
    """

    inputs: Mapping[str, torch.Tensor]
    targets: torch.Tensor
    answers: torch.Tensor
    activities: torch.Tensor


class TeacherOutputs:
    """Samples, targets, and the teacher's answers to them, batch by batch.

    The teacher looks at each view once; with augmentation its answers are kept in the cache folder, where all students of this
    teacher find them.

    Parameters
    ----------
    teacher : what is learnt from.
    dataset : its training split is taught.
    training : which views there are, and on which device batches are wanted.
    seed : of the views.
    cache : keeps the answers.
    has_filters : whether the activities of filters are taught, too; else the teacher needs none.
    """

    def __init__(
        self,
        teacher: Teacher,
        dataset: Dataset,
        training: Training,
        seed: int,
        cache: NetworkCache,
        *,
        has_filters: bool = True,
    ) -> None:
        if training.interpolation is not None:
            raise DataError(
                "training.interpolation is for the network of the workload; students learn from its answers, so leave it out of theirs"
            )
        self.views = Views(dataset, training, seed)
        self.targets = torch.from_numpy(dataset.train.targets)
        self._network, self._layer = teacher.network, teacher.layer if has_filters else None
        self._device = training_device(training.device)
        self._known: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._stem = ""
        if self.views.n_views > 1:
            where = (
                " ".join((self._layer, *teacher.reading(dataset.inputs).values())) if self._layer else "answers only"
            )
            text = f"{teacher.key} {where} {fingerprint(dataset)} {training.augmentation} {seed}"
            self._stem = f"teacher-outputs-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
        self._folder = cache.folder

    def batch(self, indices: torch.Tensor, epoch: int) -> TaughtBatch:
        """Return what is taught about some samples in an epoch's view."""
        view, device = self.views.of_epoch(epoch), self._device
        answers, activities = self.answers(view)
        return TaughtBatch(
            on(device, self.views.batch(indices, view)),
            self.targets[indices].to(device),
            answers[indices].to(device),
            activities[indices].to(device),
        )

    def answers(self, view: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the teacher's answers and activities for all samples in a view."""
        if view not in self._known:
            self._known[view] = self._loaded(view) or self._asked(view)
        return self._known[view]

    def _asked(self, view: int) -> tuple[torch.Tensor, torch.Tensor]:
        batches = (
            self.views.batch(indices, view) for indices in torch.split(torch.arange(len(self.views)), EVALUATION_BATCH)
        )
        answers, activities = answers_and_activities(self._network, self._layer, batches)
        if self._stem:
            buffer = io.BytesIO()
            np.savez(buffer, answers=answers, activities=activities)
            write_atomically(self._path(view), buffer.getvalue())
        return torch.from_numpy(answers), torch.from_numpy(activities)

    def _loaded(self, view: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        if not self._stem or not self._path(view).is_file():
            return None
        try:
            with np.load(io.BytesIO(self._path(view).read_bytes())) as stored:
                return torch.from_numpy(stored["answers"]), torch.from_numpy(stored["activities"])
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
            return None  # damaged: the teacher is asked again

    def _path(self, view: int) -> Path:
        return self._folder / f"{self._stem}-{view}.npz"
