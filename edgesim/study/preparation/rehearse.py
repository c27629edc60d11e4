"""A rehearsal of a study: every strategy is distributed with untrained networks, to see whether it fits and is fast enough.

Latency and memory depend on the shapes of networks, not on their weights, so a few samples and one epoch are enough. Parts of
student networks may come out a little different from those of a real training.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Any

from edgesim.domain.networks.training import Training
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plans
from edgesim.errors import EdgesimError, InfeasiblePlanError
from edgesim.interfaces import Learning, Silent
from edgesim.scenario.build import build
from edgesim.study.preparation.deploy import deployed, plans_of
from edgesim.study.preparation.prepare import PLUGIN_ERRORS, Teacher, context_of
from edgesim.study.work.executor import clear_error
from edgesim.units import show

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Dataset
    from edgesim.scenario.build import System
    from edgesim.scenario.scenario import Scenario

N_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is odd or wrong about a strategy.

    Parameters
    ----------
    strategy : its label.
    message : what would happen.
    remedy : what to do about it.
    is_wrong : whether the strategy cannot be run.
    """

    strategy: str
    message: str
    remedy: str
    is_wrong: bool = False


def rehearse(scenario: Scenario) -> list[Doubt]:
    """Return what is odd or wrong about the strategies of a scenario at its first factor point, when nothing is lost.

    Raises
    ------
    PlanError
        When students cannot learn, or filters not be divided, as a strategy asks.
    DataError
        When the data set cannot be loaded, or a network does not fit it.
    """
    from edgesim.nn.models.untrained import untrained
    from edgesim.nn.train.cache import NetworkCache
    from edgesim.nn.train.sound import check_dataset, check_networks
    from edgesim.nn.train.training import train_teacher

    system = build(scenario.at(scenario.points()[0]))
    whole = system.dataset.load()
    dataset = _few(whole)
    with _cache_elsewhere():
        if len(dataset.train):
            check_dataset(whole)
            check_networks(system.model, system.strategies, dataset)
            training, cache = replace(system.training, epochs=1), NetworkCache.default()
            trained = train_teacher(system.model, dataset, training, seed=system.seed, progress=Silent(), cache=cache)
        else:
            trained = untrained(system.model, dataset)
        context = context_of(system, Teacher(dataset, trained), Silent())
        return [
            doubt
            for label, strategy in system.strategies.items()
            for doubt in _doubts(label, _hurried(strategy), context, system)
        ]


def _doubts(label: str, strategy: Any, context: Any, system: System) -> Iterator[Doubt]:
    try:
        deployment = deployed(strategy, context)
    except (EdgesimError, *PLUGIN_ERRORS) as error:
        told = error if isinstance(error, EdgesimError) else clear_error(error, f"strategy {label!r}")
        message, _, remedy = str(told).partition("; ")
        yield Doubt(label, message, remedy, is_wrong=True)
        return
    try:
        program = compile_plans(plans_of(deployment), context.topology, context.compute)
    except InfeasiblePlanError as error:
        message, _, remedy = str(error).partition("; ")
        yield Doubt(label, f"it does not fit: {message}", remedy)
        return
    (record,) = simulate(program)
    if record.outcome == "degraded":
        yield Doubt(
            label, "it goes on without inputs that come after its own deadline, although nothing is lost", "lengthen it"
        )
    elif isnan(record.latency_s):
        yield Doubt(
            label, f"it gives no answer ({record.outcome}), although nothing is lost", "look at its devices and links"
        )
    if system.deadline_s is not None and record.latency_s > system.deadline_s:
        yield Doubt(
            label,
            f"it needs {show(record.latency_s, 's')} when nothing is lost, but the deadline is {show(system.deadline_s, 's')}",
            "lengthen `workload.deadline`, or take faster devices and links",
        )


def _few(dataset: Dataset) -> Dataset:
    some = slice(N_SAMPLES)
    return replace(dataset, train=dataset.train[some], validation=dataset.validation[some], test=dataset.test[some])


def _hurried(strategy: Any) -> Any:
    """Return the strategy with one epoch of training, if it trains."""
    if isinstance(strategy, Learning) and isinstance(strategy.training, Training):
        return replace(strategy, training=replace(strategy.training, epochs=1))  # type: ignore[type-var]
    return strategy


@contextmanager
def _cache_elsewhere() -> Iterator[None]:
    """Keep networks of the rehearsal out of the cache."""
    from edgesim.nn.train.cache import FOLDER_VARIABLE

    before = os.environ.get(FOLDER_VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]
            if before is not None:
                os.environ[FOLDER_VARIABLE] = before
