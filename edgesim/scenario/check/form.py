"""Whether a scenario has the right form, whether its names find something, and whether its plug-ins can do with its topology."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from edgesim.domain.load import uncounted
from edgesim.errors import PlanError
from edgesim.interfaces import (
    Attackable,
    Checkable,
    FilterDividing,
    Generating,
    OfOneKind,
    OfSomeKinds,
    Replacing,
    detector_of,
    needs_training,
)
from edgesim.nn.models.brought.decoder import Decoder
from edgesim.nn.models.untrained import ShapeOnly
from edgesim.registry import DATASETS, MODELS
from edgesim.scenario.build import failure_models
from edgesim.scenario.form.problems import Problem, problems_of
from edgesim.scenario.schema import ScenarioSpec
from edgesim.scenario.topology.references import reference_problems
from edgesim.units import plain_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from edgesim.domain.system.topology import Topology

F = TypeVar("F", bound=ScenarioSpec)


def form_problems(data: dict[str, Any], form: type[F]) -> tuple[F | None, list[Problem]]:
    """Return the scenario if its form is right, and what is wrong with it apart from the sweep's targets."""
    result: F | None = None
    problems: list[Problem] = []
    try:
        result = form.model_validate_json(json.dumps(data))
    except ValidationError as error:
        problems += problems_of(error, form, data)
    except (TypeError, ValueError) as error:
        problems.append(Problem((), f"not plain data: {error}", "texts, numbers, true, false, lists and mappings"))
    problems += reference_problems(data)
    if result is not None and not problems:
        problems += plugin_problems(result)
    return result, problems


def plugin_problems(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Let the plug-ins that can say so check whether the topology allows them."""
    if scenario.topology.file is not None:  # it could not be read as a whole
        return
    topology = scenario.built
    labelled = {"strategies": scenario.strategies, "failures": scenario.failures}
    named: dict[tuple[str, ...], object] = {("compute",): scenario.compute}
    named |= {(seam, label): one for seam, plugins in labelled.items() for label, one in plugins.items()}
    for place, plugin in named.items():
        if isinstance(plugin, Checkable):
            try:
                plugin.check(topology)
            except PlanError as error:
                message, _, remedy = str(error).partition("; ")
                yield Problem(place, message, remedy=remedy)
    yield from _deaf(scenario, topology)
    yield from _irreplaceable(scenario, topology)
    yield from _unfit(scenario)
    yield from _undivided(scenario)
    yield from _untaught(scenario)
    yield from _unattackable(scenario)
    yield from _silent(scenario)
    if scenario.engine == "array":
        from edgesim.failures.sampling.draw import batch_obstacle  # needs numpy

        reason = "what is lost is recovered by single events" if scenario.recoveries else ""
        reason = reason or batch_obstacle(failure_models(scenario), topology)
        rates = (*(link.rate_at for link in topology.links), *(medium.rate_at for medium in topology.media))
        if any(rate is not None for rate in rates):
            reason = reason or "the rates of links change with time"
        if scenario.workload.load is not None:
            reason = reason or uncounted(scenario.workload.load)
        if reason:
            yield Problem(
                ("engine",), f"the array engine cannot simulate this: {reason}", remedy="write `engine: auto`"
            )


def _deaf(scenario: ScenarioSpec, topology: Topology) -> Iterator[Problem]:
    """Report monitors that are no device."""
    for label, recovery in scenario.recoveries.items():
        detector = detector_of(recovery)
        if detector is not None and detector.monitor is not None and detector.monitor not in topology.device_of:
            yield Problem(
                ("recoveries", label, "detector", "monitor"), f"there is no device {detector.monitor!r}",
                f"one of {', '.join(sorted(topology.device_of))}", "leave it out, and the device that answers listens",
            )  # fmt: skip


def _irreplaceable(scenario: ScenarioSpec, topology: Topology) -> Iterator[Problem]:
    """Report recoveries that let something take over that is not there."""
    for label, recovery in scenario.recoveries.items():
        if isinstance(recovery, Replacing):
            try:
                recovery.stand_ins(label, scenario.strategies, topology, ())
            except PlanError as error:
                message, _, remedy = str(error).partition("; ")
                yield Problem(("recoveries", label), message, remedy=remedy)


def _unfit(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Report networks of other samples than the data set has, and strategies for other networks."""
    dataset, model = scenario.workload.dataset, scenario.workload.model
    if isinstance(model, OfOneKind):
        yield from _differing(("workload", "model"), model, dataset)
        name = MODELS.name_of(type(model))
        for label, strategy in scenario.strategies.items():
            if isinstance(strategy, OfSomeKinds) and model.kind_of_samples not in strategy.kinds_of_samples:
                kinds = strategy.kinds_of_samples
                yield Problem(
                    ("strategies", label), f"it is for {' or '.join(sorted(kinds))}, but {name} is for {model.kind_of_samples}",
                    remedy=f"take another strategy, or a model of these: {', '.join(_models_for(kinds))}",
                )  # fmt: skip
    for label, strategy in scenario.strategies.items():
        for place, builder in _models_in(strategy):
            yield from _differing(("strategies", label, *place), builder, dataset)


def _models_in(strategy: Any) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Yield the options of a strategy that are models, or lists of them, with their places."""
    for option in fields(strategy):
        value = getattr(strategy, option.name)
        place = (plain_name(option.name),)
        yield place, value
        if isinstance(value, tuple):
            yield from (((*place, position), one) for position, one in enumerate(value))


def _differing(place: tuple[str | int, ...], model: object, dataset: object) -> Iterator[Problem]:
    if isinstance(model, OfOneKind) and isinstance(dataset, OfOneKind):
        kind = dataset.kind_of_samples
        if model.kind_of_samples != kind:
            names = MODELS.name_of(type(model)), DATASETS.name_of(type(dataset))
            yield Problem(
                place, f"{names[0]} is for {model.kind_of_samples}, but {names[1]} has {kind}",
                remedy=f"take one of {', '.join(_models_for({kind}))}, a model of your own, or another data set",
            )  # fmt: skip


def _models_for(kinds: Collection[str]) -> list[str]:
    """Return the names of the models for some kinds of samples."""
    return [name for name in MODELS.names() if vars(MODELS.get(name)).get("kind_of_samples") in kinds]


def _undivided(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Report strategies that divide the filters of a network that names none."""
    if scenario.workload.model.filter_layer() is not None:
        return
    for label, strategy in scenario.strategies.items():
        if isinstance(strategy, FilterDividing):
            yield Problem(
                ("strategies", label), "its students divide the filters of a layer of the network, but the model names none",
                remedy="name one (type: import takes `filters`), or take a strategy that needs none (single, modnn, ensemble)",
            )  # fmt: skip


def _untaught(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Report strategies that learn from samples where there are none."""
    if not isinstance(scenario.workload.dataset, ShapeOnly):
        return
    for label, strategy in scenario.strategies.items():
        if needs_training(strategy):
            yield Problem(
                ("strategies", label), "it learns from samples, but the workload has none, only their shape",
                remedy="give the workload a `dataset`, or take a strategy that only divides the network: single, modnn",
            )  # fmt: skip


def _unattackable(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Report strategies whose answers cannot be attacked where they are."""
    if scenario.workload.evaluation.attack is None:
        return
    for label, strategy in scenario.strategies.items():
        try:
            if not isinstance(strategy, Attackable):
                raise PlanError("its answers cannot be attacked; leave it out, or leave out workload.evaluation.attack")
            strategy.check_attack()
        except PlanError as error:
            message, _, remedy = str(error).partition("; ")
            yield Problem(("strategies", label), message, remedy=remedy)


def _silent(scenario: ScenarioSpec) -> Iterator[Problem]:
    """Report strategies that give one token where several are asked for."""
    model = scenario.workload.model
    if not isinstance(model, Decoder) or model.tokens == 1:
        return
    for label, strategy in scenario.strategies.items():
        if not (isinstance(strategy, Generating) and strategy.is_generating):
            yield Problem(
                ("strategies", label), f"it gives one token, but the model asks for {model.tokens}",
                remedy="take tensor-parallel, which gives several, or leave out `tokens` of the model",
            )  # fmt: skip
