"""Which candidates are looked at: all of them where they are few, else those that an optimiser asks for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, Protocol

from edgesim.errors import EdgesimError
from edgesim.scenario.form.sweep import as_number
from edgesim.study.search.space import Candidate

if TYPE_CHECKING:
    import optuna

    from edgesim.study.search.race import Judge, Runner
    from edgesim.study.search.space import Space

BATCH = 8
"""Candidates that an optimiser chooses before it learns what they are worth."""
N_VAIN = 50
"""So often in a row an optimiser may choose what is known already, before one at random takes its place."""
_BEYOND = 1e9
"""How far a candidate that is not feasible passes its goals, for the optimiser."""


class Chooser(Protocol):
    """What chooses candidates, batch by batch, and learns what they are worth."""

    def batch(self) -> Sequence[Candidate]:
        """Return the next candidates; none at the end."""

    def learn(self, runners: Sequence[Runner], judge: Judge) -> None:
        """Take note of what the candidates of the last batch are worth."""


class Everything:
    """All candidates of a space, in one batch."""

    def __init__(self, space: Space) -> None:
        self._left = list(space)

    def batch(self) -> Sequence[Candidate]:
        """Return all, once."""
        found, self._left = self._left, []
        return found

    def learn(self, runners: Sequence[Runner], judge: Judge) -> None:
        """Need nothing."""


class Optimiser:
    """Optuna's tree-structured Parzen estimators over the choices; choices of a strategy are asked for where it is chosen.

    What is ordered (numbers, quantities in ascending order) is searched along its order. Goals are constraints, and a candidate that is
    not feasible passes them by far. The same seed asks for the same candidates, so that a search that was killed goes on from the
    trials that were kept.

    Parameters
    ----------
    space : of candidates.
    n_most : so many different ones are chosen.
    seed : of the draws.

    References
    ----------
    J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl, Algorithms for Hyper-Parameter Optimization, NIPS 2011. T. Akiba, S. Sano, T. Yanase,
    T. Ohta, M. Koyama, Optuna: A Next-generation Hyperparameter Optimization Framework, KDD 2019, doi 10.1145/3292500.3330701.

    Raises
    ------
    EdgesimError
        When Optuna is not installed.
    """

    def __init__(self, space: Space, n_most: int, judge: Judge, seed: int) -> None:
        try:
            import optuna
        except ModuleNotFoundError as error:
            raise EdgesimError(
                f"a search of {len(space)} candidates with {n_most} evaluations needs the package optuna: "
                "pip install 'edgesim[search]', or raise `search.evaluations`"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._n_left, self._optuna = space, n_most, optuna
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # groups are called so
            sampler = optuna.samplers.TPESampler(
                seed=seed % 2**32, multivariate=True, group=True, constant_liar=True,
                n_startup_trials=max(2 * BATCH, n_most // 5),
            )  # fmt: skip
        directions: list[Literal["maximize", "minimize"]] = [
            "maximize" if judge.is_highest(metric) else "minimize" for metric in judge.by
        ]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._known: dict[str, tuple[tuple[float, ...], float]] = {}
        self._asked: list[optuna.trial.Trial] = []
        self._batch: list[Candidate] = []

    def batch(self) -> Sequence[Candidate]:
        """Return the next candidates that nobody has asked for before."""
        self._asked, self._batch = [], []
        n_vain = 0
        while len(self._batch) < min(BATCH, self._n_left) and n_vain < N_VAIN:
            trial = self._study.ask()
            candidate = self._candidate(trial)
            if candidate.key in self._known:
                self._tell(trial, *self._known[candidate.key])
                n_vain += 1
            elif candidate.key in {one.key for one in self._batch}:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                n_vain += 1
            else:
                self._asked.append(trial)
                self._batch.append(candidate)
        if not self._batch and self._n_left:
            unknown = (one for one in self._space if one.key not in self._known)
            self._batch = list(islice(unknown, min(BATCH, self._n_left)))
        self._n_left -= len(self._batch)
        return self._batch

    def learn(self, runners: Sequence[Runner], judge: Judge) -> None:
        """Tell what the candidates are worth."""
        told = [(self._values(runner, judge), min(judge.violation(runner), _BEYOND)) for runner in runners]
        for runner, one in zip(runners, told, strict=True):
            self._known[runner.candidate.key] = one
        for trial, one in zip(self._asked, told, strict=False):
            self._tell(trial, *one)

    def _values(self, runner: Runner, judge: Judge) -> tuple[float, ...]:
        """Return the metrics of a candidate; the worst so far where there is none."""
        found = []
        for position, metric in enumerate(judge.by):
            value = runner.mean(metric)
            known = [values[position] for values, _ in self._known.values()] or [0.0]
            found.append(value if isfinite(value) else min(known) if judge.is_highest(metric) else max(known))
        return tuple(found)

    def _tell(self, trial: optuna.trial.Trial, values: Sequence[float], violation: float) -> None:
        trial.set_constraint("goals", violation)
        self._study.tell(trial, list(values))

    def _candidate(self, trial: optuna.trial.Trial) -> Candidate:
        """Return what a trial asks for."""
        labels = self._space.strategies
        label = labels[trial.suggest_categorical("strategy", range(len(labels)))] if len(labels) > 1 else labels[0]
        chosen: dict[str, Any] = {}
        for name in self._space.of_strategy[label]:
            values = self._space.choices[name].values
            if _is_ordered(values):
                place = trial.suggest_int(f"{name} of it", 0, len(values) - 1)
            else:
                place = trial.suggest_categorical(f"{name} of it", range(len(values)))
            chosen[name] = values[place]
        return Candidate(label, chosen)


def _is_ordered(values: Sequence[Any]) -> bool:
    """Return whether values are numbers, or quantities of one kind, in ascending order.

    Examples
    --------
    >>> _is_ordered([2, 4, 8]), _is_ordered(["1 ms", "1 s"]), _is_ordered([4, 2]), _is_ordered(["a", "b"])
    (True, True, False, False)
    """
    found = [as_number(value) for value in values]
    numbers = [one[0] for one in found if one is not None]
    units = {one[1] for one in found if one is not None}
    return len(numbers) == len(values) and len(units) == 1 and numbers == sorted(numbers)


def chooser_for(space: Space, n_most: int, judge: Judge, seed: int) -> Chooser:
    """Return what chooses: everything where that is no more than may be evaluated."""
    return Everything(space) if len(space) <= n_most else Optimiser(space, n_most, judge, seed)
