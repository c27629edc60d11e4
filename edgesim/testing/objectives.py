"""What an objective promises."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING

from edgesim.domain.networks.objective import Objective, Survivors
from edgesim.interfaces import LossAware
from edgesim.testing.expect import expect

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.partition import Missing
    from edgesim.nn.distill.lessons import BatchLesson, GivenFeatures

_N_STEPS = 30


def check_objective(objective: Objective, *, seed: int = 0) -> None:
    """Check what `edgesim.domain.networks.objective.Objective` promises.

    The objective survives pickling and compares equal to its copy, since it stands in keys of networks; the loss of a batch is one finite
    number, the same for the same draws, with a gradient for every student; students who follow it answer better than before; and
    what it says of failures and stand-ins is of the right kind.

    Parameters
    ----------
    objective : an instance, with its options.
    seed : of the samples, the students and the draws.

    Raises
    ------
    AssertionError
        When one of these does not hold.

    Examples
    --------
    >>> from edgesim.nn.objectives.mel import MEL
    >>> check_objective(MEL(sampled=4))
    """
    import torch

    copied = pickle.loads(pickle.dumps(objective))  # noqa: S301 - just pickled here
    expect(copied == objective, "a pickled copy is not equal to the objective; make it a frozen dataclass")
    if isinstance(objective, LossAware):
        _check_losses(objective)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        students = _Students()
        first, again = (students.lesson(seed) for _ in range(2))
        loss = objective.loss(first)
        expect(
            loss.ndim == 0 and bool(loss.isfinite()), f"the loss must be one finite number, but is {loss.detach()!r}"
        )
        expect(loss.requires_grad, "the loss has no gradient; compute it from what the lesson gives, in torch")
        repeated = objective.loss(again)
        expect(
            torch.equal(loss, repeated),
            "two losses of the same batch with the same draws differ; draw from lesson.draws only",
        )
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [one.weight.grad for one in students.networks]
        is_reached = all(one is not None and 0 < float(one.abs().sum()) < inf for one in gradients)
        expect(
            is_reached, "some student gets no gradient, or one that is not finite; the loss must depend on all of them"
        )
        _check_learning(objective, students, seed)


class _Students:
    """Four linear students on two parts, and labels that they can learn."""

    n_students = 4

    def __init__(self) -> None:
        from torch import nn

        from edgesim.nn.distill.modules import StudentEnsemble
        from edgesim.tasks.classification import Classification

        self.task = Classification(3)
        self.networks = [nn.Linear(5, 3) for _ in range(self.n_students)]
        self.ensemble = StudentEnsemble(self.networks, (0, 1, 0, 1), (3, 3), (3,))

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the answers of all students."""
        return self.ensemble.answers(self.ensemble.features(inputs))

    def taught(self, inputs: Mapping[str, torch.Tensor], activities: torch.Tensor) -> GivenFeatures:
        """Return what the students give, beside activities of a teacher."""
        from edgesim.nn.distill.lessons import GivenFeatures

        features = self.ensemble.features(inputs)
        transfer = sum(((own - activities).square().mean() for own in features), activities.new_zeros(()))
        return GivenFeatures(self.ensemble, features, 0.01 * transfer)

    def lesson(self, seed: int) -> BatchLesson:
        """Return 64 samples of which the largest of three inputs is asked; their draws depend on the seed alone."""
        import torch

        from edgesim.domain.networks.training import Distillation
        from edgesim.nn.distill.lessons import BatchLesson
        from edgesim.nn.distill.teacher_outputs import TaughtBatch

        x = torch.rand(64, 5, generator=torch.Generator().manual_seed(1))
        targets = x[:, :3].argmax(dim=1)
        batch = TaughtBatch({"x": x}, targets, 6 * _sure(targets), torch.zeros(64, 3))
        sets = ((True,) * 4, (True, False, True, False), (False, True, False, False), (False,) * 4)
        survivors = Survivors(sets, (0.5, 0.2, 0.2, 0.1))
        return BatchLesson(self, batch, Distillation(), torch.Generator().manual_seed(seed), survivors)


def _sure(targets: torch.Tensor) -> torch.Tensor:
    """Return classes as answers of a teacher who is sure."""
    from torch.nn.functional import one_hot

    return one_hot(targets, 3).float()


def _check_losses(objective: LossAware) -> None:
    asked = objective.learns_for({})
    expect(
        asked is None or isinstance(asked, Mapping),
        f"learns_for gives {type(asked).__name__}; it must give failure models by label, or None",
    )
    known: tuple[Missing, ...] = ("zeros", "mean")
    stands = {objective.stand_in(missing) for missing in known}
    expect(stands <= {*known}, f"stand_in gives {', '.join(sorted(map(str, stands)))}; it must give zeros or mean")


def _check_learning(objective: Objective, students: _Students, seed: int) -> None:
    """Expect that students who follow the objective know more of the labels than before."""
    import torch

    lesson = students.lesson(seed)
    before = students.task.loss(students.answers(lesson.inputs), lesson.targets).item()
    optimizer = torch.optim.SGD(students.ensemble.parameters(), lr=0.1)
    for step in range(_N_STEPS):
        optimizer.zero_grad()
        objective.loss(students.lesson(seed + step)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = students.task.loss(students.answers(lesson.inputs), lesson.targets).item()
    expect(
        after < before,
        f"the loss of the task is {before:.4f} before {_N_STEPS} steps down the objective and {after:.4f} behind them; it must fall",
    )
