"""What all student networks of one study have in common, and how a trained one is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from edgesim.interfaces import attack_of
from edgesim.nn.distill.lessons import BatchLesson
from edgesim.nn.distill.teacher_outputs import Teacher, TeacherOutputs
from edgesim.nn.objectives.distillation import JointDistillation
from edgesim.nn.train.cache import NetworkCache, fingerprint
from edgesim.nn.train.cards import content_key, provenance
from edgesim.nn.train.training import about, fit, measured, reproducible, validated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgesim.domain.networks.objective import Objective, Survivors
    from edgesim.domain.networks.partition import Missing
    from edgesim.domain.networks.samples import Dataset
    from edgesim.domain.networks.training import Distillation, Training
    from edgesim.interfaces import ModelBuilder, Progress
    from edgesim.nn.distill.lessons import Learner
    from edgesim.nn.distill.teacher_outputs import TaughtBatch

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class StudentTraining:
    """Who teaches whom what, and how: all that students have in common.

    Parameters
    ----------
    builder : architecture of one student.
    teacher : what they learn from.
    dataset : trains on ``train``, selects the epoch on ``validation``; ``test`` is only measured, at the end.
    distillation : options of the loss.
    training : options.
    seed : of the initialisation, the order of samples and their views.
    progress : one unit per epoch; nothing is shown when the networks come from the cache.
    cache : where networks are looked up and kept; an unfinished training goes on from its last epoch.
    objective : what they learn from a batch.
    survivors : the sets of students that an objective learns for which asks for failures.
    missing : what stands in for a part of which nothing is left while students learn for losses.
    n_at_once : students that are trained at the same time, in threads or, each for itself, in processes; by default as many as torch
        would use threads (OMP_NUM_THREADS). The weights do not depend on it.
    """

    builder: ModelBuilder
    teacher: Teacher
    dataset: Dataset
    distillation: Distillation
    training: Training
    seed: int
    progress: Progress
    cache: NetworkCache
    n_at_once: int = field(default_factory=torch.get_num_threads)
    objective: Objective = JointDistillation()  # noqa: RUF009 - frozen
    survivors: Survivors | None = None
    missing: Missing = "zeros"

    def determinants(self, kind: str, **more: object) -> dict[str, Any]:
        """Return what determines the weights of a network that is trained here."""
        if self.objective != JointDistillation():
            more["objective"] = self.objective
        if self.survivors is not None:
            sets = ["".join("x" if left else "-" for left in one) for one in self.survivors.sets]
            more["survivors"] = [sets, self.survivors.probabilities]
        if self.missing != "zeros":
            more["missing"] = self.missing
        return provenance(
            kind,
            dataset=fingerprint(self.dataset),
            teacher=self.teacher.key,
            layer=self.teacher.layer,
            model=self.builder,
            distillation=self.distillation,
            training=self.training,
            seed=self.seed,
            **more,
        )

    def outputs(self, *, has_filters: bool = True) -> TeacherOutputs:
        """Return what the teacher says about the training split, with or without the activities of its filters."""
        return TeacherOutputs(self.teacher, self.dataset, self.training, self.seed, self.cache, has_filters=has_filters)

    def lesson(self, learner: Learner, batch: TaughtBatch, draws: torch.Generator) -> BatchLesson:
        """Return a batch as the objective sees it."""
        return BatchLesson(learner, batch, self.distillation, draws, self.survivors, self.missing)

    def fit(
        self,
        network: nn.Module,
        batch_loss: Callable[[torch.Tensor, int], torch.Tensor],
        *,
        draws: torch.Generator,
        label: str,
        key: str,
        whole: nn.Module | None = None,
    ) -> int:
        """Train a network on the training split, select its epoch on the validation split, and return that.

        Parameters
        ----------
        network, batch_loss, draws, label : as in `edgesim.nn.train.training.fit`.
        key : names the checkpoint.
        whole : what is asked on the validation split, if it is not the network itself.
        """
        judged = network if whole is None else whole
        return fit(
            network,
            batch_loss,
            self.training,
            n_samples=len(self.dataset.train),
            validate=lambda: validated(judged, self.dataset, attack_of(self.objective)),
            draws=draws,
            label=f"{label} on {self.dataset.name}",
            progress=self.progress,
            checkpoint=self.cache.checkpoint_path(key),
        )


def trained(
    setup: StudentTraining,
    determinants: Mapping[str, Any],
    name: str,
    build: Callable[[], Network],
    train: Callable[[Network, torch.Generator, str], int],
) -> tuple[Network, str, dict[str, float]]:
    """Return a network, its key and metrics from the cache, or build and train it reproducibly and keep it.

    Parameters
    ----------
    setup : data set, seed and cache.
    determinants : what determines its weights.
    name : of the random stream.
    build : makes it, untrained.
    train : trains it, given the network, a generator and the key; returns the selected epoch.
    """
    key = content_key(determinants)
    with reproducible(setup.seed, name) as draws:
        network = build()
        found = setup.cache.restore(key, network, setup.dataset.task.scores[0].name)
        if found is not None:
            return network.eval(), key, found
        epoch = train(network, draws, key)
        metrics = measured(network, setup.dataset, epoch)
    setup.cache.store(key, network.state_dict(), determinants, metrics, about(setup.dataset, network))
    return network, key, metrics
