"""What a task promises."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.columns import RESERVED
from edgesim.domain.networks.task import Score, Task, TensorSpec
from edgesim.testing.expect import expect

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_ROUNDING = 1e-4
_N_STEPS = 300


def check_task(task: Task, targets: NDArray[Any], *, seed: int = 0) -> None:
    """Check what `edgesim.domain.networks.task.Task` promises.

    The task survives pickling; `fault` says nothing of the targets, and something of texts; `guess` is one finite answer; scores have
    names of their own, lie in their bounds, do not depend on the order of samples, and are means over samples where they say so; what
    a request without an answer is worth lies in the bounds, too; `loss` and `imitation` are finite numbers with a gradient; nothing is
    imitated better than by itself; and answers with less loss are worth as much as the guess, or more.

    Parameters
    ----------
    task : an instance, with its options.
    targets : of some samples, as a data set gives them, different ones among them.
    seed : of the answers that are tried.

    Raises
    ------
    AssertionError
        When one of these does not hold.

    Examples
    --------
    >>> from edgesim.tasks.classification import Classification
    >>> check_task(Classification(3), np.array([0, 1, 2, 2, 1, 0]))
    """
    copied: Task = pickle.loads(pickle.dumps(task))  # noqa: S301 - just pickled here
    expect(copied == task, "a pickled copy is not equal to the task; make it a frozen dataclass")
    expect(task.fault(targets) == "", f"fault says of these targets: {task.fault(targets)!r}")
    expect(task.fault(np.full(targets.shape, "x")) != "", "fault says nothing of texts, which are no targets")
    expect(isinstance(task.output, TensorSpec), f"output must be a TensorSpec, but is a {type(task.output).__name__}")
    guess = task.guess(targets)
    is_one = guess.shape == task.output.shape and guess.dtype == np.float32 and bool(np.isfinite(guess).all())
    expect(
        is_one,
        f"guess gives {guess.dtype} of shape {guess.shape}; it must be one finite answer, float32 of {task.output.shape}",
    )
    answers = np.random.default_rng(seed).normal(size=(len(targets), *task.output.shape)).astype(np.float32)
    _check_names(task.scores)
    for score in task.scores:
        _check_score(score, answers, targets, seed)
    _check_losses(task, answers, targets, seed)
    _check_learning(task, answers, targets)


def _check_names(scores: tuple[Score, ...]) -> None:
    names = [score.name for score in scores]
    expect(names, "a task needs a score")
    expect(len(set(names)) == len(names), f"scores have the same name: {', '.join(names)}")
    reserved = [name for name in names if name in RESERVED - {"accuracy"}]
    expect(not reserved, f"a score is called {', '.join(reserved)}, as another column of the result tables")


def _check_score(score: Score, answers: NDArray[np.float32], targets: NDArray[Any], seed: int) -> None:
    """Check one score on some answers."""
    value, name = score.of(answers, targets), score.name
    expect(isinstance(value, float), f"{name} gives a {type(value).__name__}; it must give a float")
    for what, one in ((f"{name} of some answers", value), (f"{name} without an answer", score.without_answer)):
        expect(
            np.isnan(one) or score.low <= one <= score.high,
            f"{what} is {one}; it must be from {score.low} to {score.high}",
        )
    order = np.random.default_rng(seed).permutation(len(targets))
    _check_same(f"{name} of the same samples in another order", score.of(answers[order], targets[order]), value)
    if score.is_mean_of_samples:
        alone = [score.of(answers[i : i + 1], targets[i : i + 1]) for i in range(len(targets))]
        _check_same(f"the mean of {name} over single samples", float(np.mean(alone)), value)


def _check_same(what: str, found: float, wanted: float) -> None:
    is_same = np.isclose(found, wanted, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True)
    expect(is_same, f"{what} is {found}, but of all together it is {wanted}")


def _check_losses(task: Task, answers: NDArray[np.float32], targets: NDArray[Any], seed: int) -> None:
    import torch

    wanted = torch.from_numpy(np.random.default_rng(seed + 1).normal(size=answers.shape).astype(np.float32))
    given = torch.from_numpy(answers).requires_grad_()
    imitation = task.imitation(given, wanted, 2.0)
    for what, loss in (("loss", task.loss(given, torch.from_numpy(targets))), ("imitation", imitation)):
        is_number = loss.shape == () and bool(torch.isfinite(loss))
        expect(is_number, f"{what} must give a tensor of one finite number")
        (gradient,) = torch.autograd.grad(loss, given)
        expect(
            torch.isfinite(gradient).all() and gradient.any(),
            f"the gradient of {what} must be finite, and not 0 everywhere",
        )
    itself = float(task.imitation(wanted, wanted, 2.0))
    expect(
        itself <= float(imitation.detach()),
        f"a network imitates itself with {itself}, another one better, with {float(imitation.detach())}",
    )


def _check_learning(task: Task, answers: NDArray[np.float32], targets: NDArray[Any]) -> None:
    """Make the loss of answers small, and compare what they are worth with the guess."""
    import torch

    given, wanted = torch.from_numpy(answers.copy()).requires_grad_(), torch.from_numpy(targets)
    optimizer = torch.optim.Adam([given], lr=0.1)
    losses = [_step(task, optimizer, given, wanted) for _ in range(_N_STEPS)]
    expect(
        losses[-1] < losses[0], f"the loss of answers that follow its gradient goes from {losses[0]} to {losses[-1]}"
    )
    score, guess = task.scores[0], np.broadcast_to(task.guess(targets), answers.shape)
    learnt, guessed = score.of(given.detach().numpy(), targets), score.of(guess, targets)
    is_better = np.isnan(guessed) or score.worth(learnt) >= score.worth(guessed)
    expect(
        is_better,
        f"answers of little loss have {score.name} {learnt}, worse than guessing ({guessed}); is larger better?",
    )


def _step(task: Task, optimizer: torch.optim.Optimizer, given: torch.Tensor, targets: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss = task.loss(given, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())
