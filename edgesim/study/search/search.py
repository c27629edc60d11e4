"""Finds the best candidate of a scenario's search, and what it can be traded for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.metrics import UNITS
from edgesim.errors import EdgesimError, PlanError, ScenarioError
from edgesim.scenario.build import build
from edgesim.scenario.form.goals import read_goal
from edgesim.study.cases.evaluation import asked_scores
from edgesim.study.folder.manifest_file import digest_of
from edgesim.study.folder.parts import Parts
from edgesim.study.preparation.prepare import Contexts, prepare
from edgesim.study.search.certificate import Worst, certificate
from edgesim.study.search.choosing import chooser_for
from edgesim.study.search.race import Judge, Runner, race, rungs
from edgesim.study.search.sample import Sample
from edgesim.study.search.space import Candidate, Space
from edgesim.study.trials.load import METRICS as LOAD
from edgesim.study.work.identity import identity

if TYPE_CHECKING:
    from edgesim.domain.metrics import Metric
    from edgesim.interfaces import DeploymentContext, Progress
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.cases.shared import Shared
    from edgesim.study.search.choosing import Chooser

N_MOST_CERTIFIED = 10
"""So many of the Pareto front, the best first, have every loss of up to two devices simulated."""
CANDIDATES = "candidates"
"""Folder of the trials of each candidate, in the folder of a search."""


@dataclass(frozen=True)
class Searched:
    """What a search has found.

    Parameters
    ----------
    runners : every candidate that was looked at, the best first; those that were stopped or are not feasible at the end.
    front : those of them on the Pareto front, and with it the best.
    certificates : of each on the front, what the worst loss of up to two devices does.
    n_candidates : how many there are.
    judge : what is better.
    """

    runners: tuple[Runner, ...]
    front: tuple[Runner, ...]
    certificates: Mapping[str, Sequence[Worst]]
    n_candidates: int
    judge: Judge

    @property
    def is_exhaustive(self) -> bool:
        """Whether all candidates were looked at."""
        return len(self.runners) == self.n_candidates

    @property
    def best(self) -> Runner | None:
        """The best; None where nothing is feasible."""
        first = next(iter(self.runners), None)
        return first if first is not None and first.state == "finished" else None


def search(
    scenario: Scenario,
    point: Mapping[str, Any],
    folder: Path | None,
    progress: Progress,
    contexts: Contexts | None = None,
) -> Searched:
    """Find the strategy and the choices that are best for the goals of a scenario.

    Those that meet the goals come first, then the metrics of ``search.by`` in their order. All candidates are looked at where there
    are no more than ``search.evaluations``, else those that Optuna chooses (`edgesim.study.search.choosing.Optimiser`). They meet the
    same failures and arrivals, and stop as soon as they are surely beaten (`edgesim.study.search.race.race`). Where the outcomes of
    the failures can be enumerated, candidates are compared by exact expectations, without replications.

    Parameters
    ----------
    scenario : with a search.
    point : value by factor of a sweep; those that are left out have their first.
    folder : where trials are kept, so that a search that is killed or extended goes on; None: nowhere.
    progress : where training and candidates report.
    contexts : of searches before this one, which may have loaded the same data and networks.

    Raises
    ------
    PlanError
        When the scenario has no search, or `by` or a goal names a metric that the study has not.
    """
    asked = scenario.search
    if asked is None:
        raise PlanError("search: the scenario does not say what to look for; add e.g. `search: {by: [latency]}`")
    factors = {**scenario.points()[0], **point}
    at = (
        scenario.changed({scenario.sweep[name].path: value for name, value in factors.items()}) if factors else scenario
    )
    space = Space(tuple(scenario.strategies), asked.choices)
    entering = Entering(at, space, scenario.n_most, folder, progress, contexts or Contexts())
    goals = tuple(read_goal(metric, text) for metric, text in scenario.goals.items())
    entering.check([*asked.by, *scenario.goals])
    n_evaluated = min(len(entering.space), asked.evaluations)
    judge = Judge(asked.by, entering.scores, goals, n_evaluated * rungs(scenario.n_most) * len(asked.by))
    runners = _looked_at(
        entering, chooser_for(entering.space, asked.evaluations, judge, scenario.seed), judge, n_evaluated
    )
    runners.sort(key=lambda one: (_ORDER[one.state], judge.rank(one)))
    front = judge.front([one for one in runners if one.state == "finished"])
    ends = (at.workload.source, at.workload.sink)
    certificates = {
        one.candidate.key: certificate(one.sample.shared, ends, one.sample.answers)
        for one in front[:N_MOST_CERTIFIED]
        if one.sample is not None
    }
    return Searched(tuple(runners), tuple(front), certificates, len(entering.space), judge)


_ORDER = {"finished": 0, "stopped": 1, "infeasible": 2}


def _looked_at(entering: Entering, chooser: Chooser, judge: Judge, n_evaluated: int) -> list[Runner]:
    """Return the candidates that were chosen, simulated as far as is needed."""
    runners: list[Runner] = []
    with entering.progress.task("candidates", n_evaluated) as bar:
        while batch := chooser.batch():
            new = []
            for candidate in batch:
                new.append(entering.runner(candidate))
                bar.advance()
            race(new, [one for one in runners if one.state == "finished"], judge, entering.n_most)
            runners += new
            chooser.learn(new, judge)
    return runners


@dataclass
class Entering:
    """Brings candidates into the race: distributes and compiles them.

    Parameters
    ----------
    scenario : without its sweep.
    space : of candidates.
    n_most : replications at the end.
    folder : where their trials are kept; None: nowhere.
    progress : where training reports.
    contexts : what was loaded and trained so far.
    """

    scenario: Scenario
    space: Space
    n_most: int
    folder: Path | None
    progress: Progress
    contexts: Contexts

    @cached_property
    def _context(self) -> DeploymentContext:
        return self.contexts.of(build(self.scenario), self.progress)[1]

    @cached_property
    def scores(self) -> dict[str, Metric]:
        """The scores of the task that are computed; none where there are no samples."""
        data, evaluation = self._context.dataset, self.scenario.workload.evaluation
        return {score.name: score.metric() for score in asked_scores(data.task, evaluation)} if len(data.test) else {}

    def check(self, metrics: Sequence[str]) -> None:
        """Raise `PlanError` when a metric is none of the study's."""
        load = LOAD if self.scenario.workload.load is not None else ()
        known = tuple(dict.fromkeys((*self.scores, *UNITS, *load)))
        for metric in metrics:
            if metric not in known:
                raise PlanError(
                    f"search: the study has no metric {metric!r}; it has {', '.join(known)}; further scores of a task are computed where "
                    "`evaluation.scores` names them, and metrics of many requests with `workload.load`"
                )

    def runner(self, candidate: Candidate) -> Runner:
        """Return a candidate that is ready, or one that says why it is not feasible."""
        try:
            scenario = self.space.at(self.scenario, candidate)
            system = build(scenario)
            own = {candidate.strategy: system.strategies[candidate.strategy]}
            shared = prepare([({}, replace(system, strategies=own))], self.progress, self.contexts)
        except EdgesimError as error:
            return Runner(candidate, why_not=_in_a_line(error), state="infeasible")
        return Runner(candidate, Sample(shared, self.n_most, self._parts(scenario, candidate, shared)))

    def _parts(self, scenario: Scenario, candidate: Candidate, shared: Shared) -> Parts | None:
        """Return where the trials of a candidate are kept: in a folder called after all that determines them."""
        if self.folder is None:
            return None
        alone = {
            "strategies": {candidate.strategy: scenario.strategies[candidate.strategy]},
            "replications": self.n_most,
        }
        rest: dict[str, Any] = {"name": "search", "question": "", "goals": {}, "search": None, "sweep": {}, "skip": ()}
        digest = digest_of(identity(scenario.model_copy(update=alone | rest)))
        parts = Parts(
            self.folder / CANDIDATES / digest[:16], shared.cases, digest, scores=[score.name for score in shared.scores]
        )
        parts.begin()
        return parts


def _in_a_line(error: EdgesimError) -> str:
    """Return why a candidate is not feasible."""
    if isinstance(error, ScenarioError) and error.findings:
        first = error.findings[0]
        return first.message + (f"; expected {first.expected}" if first.expected else "")
    return " ".join(str(error).split())
