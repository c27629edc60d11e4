"""Makes the deployments of a study: trains, distributes and compiles, each distinct one once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from edgesim.domain.networks.learning import Learnt
from edgesim.engine.program.compiled import compile_plans
from edgesim.errors import EdgesimError, InfeasiblePlanError, PlanError
from edgesim.interfaces import (
    AttackableDeployment,
    Deployment,
    DeploymentContext,
    FailureModel,
    LearningForLosses,
    Progress,
    Recovery,
    Replacing,
    Strategy,
    detector_of,
    needs_training,
)
from edgesim.study.cases.design import Case, Deployments, Prepared, Unfit, show_point
from edgesim.study.cases.evaluation import asked, asked_scores
from edgesim.study.cases.shared import Shared
from edgesim.study.preparation.deploy import deployed, plan_of_sample, plans_of
from edgesim.study.preparation.stand_ins import WithStandIns, with_stand_ins
from edgesim.study.trials.batch import why_not
from edgesim.study.trials.deliveries import is_used
from edgesim.study.work.executor import clear_error

if TYPE_CHECKING:
    from edgesim.domain.networks.costs import ModelGraph
    from edgesim.domain.networks.samples import Dataset
    from edgesim.domain.plan import Plan
    from edgesim.domain.system.topology import Topology
    from edgesim.nn.train.training import TrainedNetwork
    from edgesim.scenario.build import System

Made = TypeVar("Made")

# What a plug-in's code can raise; not broader, so that an interrupt or exhausted memory still ends the program.
PLUGIN_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)


class OncePerKey:
    """Makes a thing once for equal keys; only keys that cannot be hashed, as some plug-ins with mappings, are compared one by one."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, Any]] = []
        self._places: dict[Any, int] = {}

    def get(self, key: object, make: Callable[[], Made]) -> tuple[int, Made]:
        """Return the position and the thing made for `key`."""
        position = self._place_of(key)
        if position is None:
            position = len(self.made)
            self.made.append((key, make()))
            if _is_hashable(key):
                self._places[key] = position
        return position, self.made[position][1]

    def _place_of(self, key: object) -> int | None:
        if _is_hashable(key):
            return self._places.get(key)
        return next((position for position, (known, _) in enumerate(self.made) if known == key), None)


def _is_hashable(key: object) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


class _Topologies:
    """Numbers equal topologies alike; each is hashed once, since points that differ in failures only share one."""

    def __init__(self) -> None:
        self._equal = OncePerKey()
        self._places: dict[int, tuple[int, Topology]] = {}  # which keeps them, so that no other has the same id

    def place_of(self, topology: Topology) -> int:
        """Return the number of a topology."""
        if id(topology) not in self._places:
            self._places[id(topology)] = self._equal.get(topology, lambda: topology)[0], topology
        return self._places[id(topology)][0]


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained network, the samples it was trained on, and what it reached; None for one that is not trained."""

    dataset: Dataset
    trained: TrainedNetwork
    learnt: Learnt | None = None


def load_teacher(system: System, progress: Progress) -> Teacher:
    """Load the data set and train the network, or take it from the cache."""
    from edgesim.nn.attacks.projected_gradient import check_attackable
    from edgesim.nn.models.untrained import untrained
    from edgesim.nn.train.cache import NetworkCache
    from edgesim.nn.train.sound import check_dataset, check_networks
    from edgesim.nn.train.training import train_teacher

    dataset = system.dataset.load()
    if not len(dataset.train):
        return Teacher(dataset, untrained(system.model, dataset))
    check_dataset(dataset)
    if system.evaluation.attack is not None or system.training.attack is not None:
        check_attackable(dataset)
    asked_scores(dataset.task, system.evaluation, system.escalate)
    check_networks(system.model, system.strategies, dataset)
    cache = NetworkCache.default()
    trained = train_teacher(system.model, dataset, system.training, seed=system.seed, progress=progress, cache=cache)
    reached = trained.metrics[f"test_{dataset.task.scores[0].name}"]
    learnt = _learnt("the network of the workload", reached, dataset)
    if system.training.interpolation is not None:
        dataset = _as_known(dataset, trained, system)
    return Teacher(replace(dataset, test=asked(dataset.test, system.evaluation, system.seed)), trained, learnt)


def _as_known(dataset: Dataset, trained: TrainedNetwork, system: System) -> Dataset:
    """Return the data set as students see it where few labels are known: with the network's answers in place of the others."""
    from edgesim.nn.train.interpolation import labelled_samples, with_answers_for_labels
    from edgesim.nn.train.training import forward

    n_labels = system.training.interpolation.labels_per_class if system.training.interpolation else 0
    known = labelled_samples(dataset, n_labels, system.seed)
    return with_answers_for_labels(dataset, forward(trained.network, dataset.train.inputs), known)


def _learnt(network: str, reached: float, dataset: Dataset, teacher: float | None = None) -> Learnt:
    """Return what a network learnt, beside what the best answer reaches that does not look at the samples."""
    import numpy as np

    test, score = dataset.test, dataset.task.scores[0]
    guess = dataset.task.guess(test.targets)
    chance = score.of(np.broadcast_to(guess, (len(test), *guess.shape)), test.targets)
    return Learnt(network, score, reached, chance, len(test), teacher)


def context_of(
    system: System, teacher: Teacher, progress: Progress, graph: ModelGraph | None = None
) -> DeploymentContext:
    """Return what a strategy may use; `graph` is what the network costs, measured here when it is not given."""
    from edgesim.nn.cost.layers import measure

    return DeploymentContext(
        topology=system.topology,
        source_id=system.source_id,
        sink_id=system.sink_id,
        network=teacher.trained.network,
        network_key=teacher.trained.key,
        filter_layer=system.model.filter_layer(),
        dataset=teacher.dataset,
        graph=measure(teacher.trained.network, teacher.dataset.inputs) if graph is None else graph,
        compute=system.compute,
        seed=system.seed,
        progress=progress,
        attack=system.evaluation.attack,
    )


class Contexts:
    """What strategies may use in each of several systems; equal systems share it, and with it the trained network."""

    def __init__(self) -> None:
        self._teachers = OncePerKey()
        self._contexts = OncePerKey()
        self._graphs: dict[int, ModelGraph] = {}  # by number of the teacher
        self._topologies = _Topologies()

    def of(self, system: System, progress: Progress) -> tuple[int, DeploymentContext]:
        """Return what strategies may use in a system, and its number."""
        taught_by = (system.dataset, system.model, system.training, system.seed, system.evaluation, system.escalate)
        taught, teacher = self._teachers.get(taught_by, lambda: load_teacher(system, progress))
        place = self._topologies.place_of(system.topology)
        where = (taught, place, system.source_id, system.sink_id, system.compute)
        position, context = self._contexts.get(
            where, lambda: context_of(system, teacher, progress, self._graphs.get(taught))
        )
        self._graphs[taught] = context.graph
        return position, context

    def learnt(self) -> list[Learnt]:
        """Return what the networks reached that strategies distribute."""
        return [teacher.learnt for _, teacher in self._teachers.made if teacher.learnt is not None]


def prepare(
    points: Sequence[tuple[Mapping[str, Any], System]], progress: Progress, contexts: Contexts | None = None
) -> Shared:
    """Make all cases of a study, and the deployments they use.

    A strategy that does not fit the memory at a factor point is no case, but is told of.

    Parameters
    ----------
    points : each factor point and the system there.
    progress : where training reports.
    contexts : of systems that were prepared before; by default none were.

    Raises
    ------
    PlanError
        When a strategy does not fit the topology; a note says which, and at which point. When none fits the memory anywhere.
    DataError
        When the data set cannot be loaded.
    """
    contexts = Contexts() if contexts is None else contexts
    prepared = OncePerKey()
    cases: list[Case] = []
    unfit: list[Unfit] = []
    fit: list[tuple[Deployment, Prepared]] = []
    places: dict[int, int] = {}  # in `fit`, by position in `prepared`
    for point, system in points:
        place, context = contexts.of(system, progress)
        for label, strategy in system.strategies.items():
            own = context_for(strategy, context, system.failures)
            recovery = system.recovery_of(label)
            position, made = prepared.get(
                (place, strategy, tuple(own.failures.items()), _made_for(recovery, system, context)),
                lambda c=own, k=label, e=system, p=point: _deploy(c, k, e, p),  # type: ignore[misc]
            )
            if isinstance(made, InfeasiblePlanError):
                unfit.append(Unfit(point, label, len(cases), made.device_id, made.needed_byte, made.available_byte))
                continue
            if places.setdefault(position, len(fit)) == len(fit):
                fit.append(made)
            asked_of = (len(made[1].targets), system.evaluation, system.load)
            topology, failures, deadline_s = system.topology, system.failures, system.deadline_s
            how = (system.engine, system.exact_up_to, None if system.escalate is None else system.escalate.people)
            cases.append(
                Case(
                    point,
                    label,
                    places[position],
                    topology,
                    failures,
                    deadline_s,
                    system.seed,
                    *asked_of,
                    *how,
                    recovery=recovery,
                )
            )
    if not cases:
        raise next(one for _, one in prepared.made)
    learnt = (*contexts.learnt(), *(one for _, ready in fit for one in ready.learnt))
    ready, deployments = tuple(ready for _, ready in fit), Deployments([one for one, _ in fit])
    shared = Shared(ready, tuple(cases), deployments, learnt, unfit=tuple(unfit))
    if len({tuple(score.name for score in ready.scores) for ready in shared.prepared}) > 1:
        raise PlanError("factor points ask for different scores; a study compares by one task, make a study for each")
    for case in shared.cases:
        reason = why_not(case, shared)
        if case.engine == "array" and reason:
            raise PlanError(f"{case}: the array engine cannot simulate it: {reason}; write `engine: auto`")
    return shared


def context_for(
    strategy: Strategy, context: DeploymentContext, failures: Mapping[str, FailureModel]
) -> DeploymentContext:
    """Return the context with the failure models that the strategy learns for; points that differ in others share a deployment."""
    learnt_for = strategy.learns_for(failures) if isinstance(strategy, LearningForLosses) else {}
    return replace(context, failures=learnt_for) if learnt_for else context


def _made_for(recovery: Recovery | None, system: System, context: DeploymentContext) -> object:
    """Return what of a recovery a deployment is made for; those that differ in the rest share it. Any other strategy may take over."""
    detector = detector_of(recovery)
    if detector is None:
        return None
    if not isinstance(recovery, Replacing):
        return detector.size_byte, detector.monitor
    learnt_for = (context_for(one, context, system.failures).failures for one in system.strategies.values())
    return recovery, tuple(system.strategies.items()), tuple(tuple(models.items()) for models in learnt_for)


def _deploy(
    context: DeploymentContext, label: str, system: System, point: Mapping[str, Any]
) -> tuple[Deployment, Prepared] | InfeasiblePlanError:
    """Return a deployment, ready to be simulated, or why it does not fit."""
    place, subject = show_point(point), f"strategy {label!r}"
    strategy, recovery = system.strategies[label], system.recovery_of(label)
    try:
        if not len(context.dataset.train) and needs_training(strategy):
            raise PlanError("it learns from samples, but the workload has none; give the workload a data set")
        deployment, plans = _deployed(context, label, system)
        if context.attack is not None and not isinstance(deployment, AttackableDeployment):
            raise PlanError("its answers cannot be attacked; leave it out, or leave out evaluation.attack")
        is_same_network = isinstance(deployment, WithStandIns) and deployment.is_same_network
        program = compile_plans(plans, context.topology, context.compute, recovery, is_same_network=is_same_network)
    except (EdgesimError, *PLUGIN_ERRORS) as error:
        clear = clear_error(error, subject + (f" at {place}" if place else ""))
        if isinstance(error, InfeasiblePlanError):
            return error
        if clear is error:
            raise
        raise clear from error
    dataset = context.dataset
    learnt = _learnt_by(deployment.describe(), subject, dataset)
    return deployment, Prepared(
        program,
        dataset.test.targets,
        asked_scores(dataset.task, system.evaluation, system.escalate),
        is_used(deployment),
        learnt,
        plan_of_sample(deployment),
    )


def _deployed(context: DeploymentContext, label: str, system: System) -> tuple[Deployment, Sequence[Plan]]:
    """Return the deployment of a strategy, with what may take over from it, and all plans."""
    recovery = system.recovery_of(label)
    if not isinstance(recovery, Replacing):
        deployment = deployed(system.strategies[label], context)
        return deployment, plans_of(deployment)

    def own(strategy: Strategy) -> DeploymentContext:
        return context_for(strategy, replace(context, failures={}), system.failures)

    made = with_stand_ins(label, system.strategies, context, recovery, own)
    return made, made.all_plans


def _learnt_by(facts: Mapping[str, Any], subject: str, dataset: Dataset) -> tuple[Learnt, ...]:
    """Return what the networks of a deployment learnt: all together, and each that was trained for itself."""
    reached_in = f"test_{dataset.task.scores[0].name}"
    if reached_in not in facts:
        return ()
    teacher = facts.get(f"teacher_{reached_in}")
    members = [
        (f"student {number} of {subject}", student[reached_in])
        for number, student in enumerate(facts.get("students", ()), start=1)
        if reached_in in student
    ]
    reached = [(f"what {subject} trains", facts[reached_in]), *members]
    return tuple(_learnt(name, value, dataset, teacher) for name, value in reached)
