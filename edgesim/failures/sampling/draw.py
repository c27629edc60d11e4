"""All failure models of a scenario together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from math import inf, prod
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Topology
from edgesim.interfaces import (
    BatchLossModel,
    BatchOutageModel,
    BatchPacketLossModel,
    BatchRenewalModel,
    BatchSlowdownModel,
    DelayModel,
    FailureModel,
    LinkModel,
    LossModel,
    OutageModel,
    PacketLossModel,
    RenewalModel,
    SlowdownModel,
    SpeedModel,
    is_kind,
)
from edgesim.rng import BatchStreams, ReplicationStreams

if TYPE_CHECKING:
    from numpy.typing import NDArray

K = TypeVar("K")
_Beginning = tuple["NDArray[np.bool_]", "NDArray[np.float64] | None"]
"""In which replications a target is down at the beginning, and until when that stays so, in s; None: for ever."""


def models_of(failures: Mapping[str, FailureModel], *kinds: type[K]) -> dict[str, K]:
    """Return the models of some kinds, by label."""
    return {label: model for label, model in failures.items() for kind in kinds if is_kind(model, kind)}


def loss_models(failures: Mapping[str, FailureModel], topology: Topology) -> dict[str, LinkModel]:
    """Return the models that lose or delay messages, or lose packets, on some link of the topology, by label."""
    losses: dict[str, LinkModel] = models_of(failures, LossModel, PacketLossModel, DelayModel)
    return {label: model for label, model in losses.items() if any(map(model.applies_to, topology.links))}


def slowdown_models(failures: Mapping[str, FailureModel], topology: Topology) -> dict[str, SlowdownModel]:
    """Return the models that slow some device of the topology, by label."""
    slowdowns = models_of(failures, SlowdownModel)
    return {label: model for label, model in slowdowns.items() if any(map(model.slows, topology.devices))}


def device_speeds(failures: Mapping[str, FailureModel], topology: Topology) -> dict[str, list[tuple[float, float]]]:
    """Return by device when its speed changes, and to what; of several models the product."""
    models = list(models_of(failures, SpeedModel).values())
    changes: dict[str, list[tuple[float, int, float]]] = {}
    for number, model in enumerate(models):
        for name, of in model.speeds(topology).items():
            changes.setdefault(name, []).extend((time_s, number, speed) for time_s, speed in of)
    found: dict[str, list[tuple[float, float]]] = {}
    for name, own in changes.items():
        speeds = [1.0] * len(models)
        for time_s, number, speed in sorted(own):
            speeds[number] = speed
            found.setdefault(name, []).append((time_s, prod(speeds)))
    return found


def draw_renewals(
    failures: Mapping[str, FailureModel], topology: Topology, streams: ReplicationStreams
) -> list[Mapping[str, Iterator[Outage]]]:
    """Return the outages that come again and again in one replication; each model has streams of its own."""
    return [
        model.renewals(topology, streams.scope(label)) for label, model in models_of(failures, RenewalModel).items()
    ]


def draw_outages(failures: Mapping[str, FailureModel], topology: Topology, streams: ReplicationStreams) -> list[Outage]:
    """Draw the outages of one replication; each model has streams of its own, named by its label."""
    return [
        outage
        for label, model in models_of(failures, OutageModel).items()
        for outage in model.outages(topology, streams.scope(label))
    ]


def batch_obstacle(failures: Mapping[str, FailureModel], topology: Topology) -> str:
    """Return what keeps failure models from being drawn for many replications at once, in words; empty when nothing does."""
    for label, model in failures.items():
        if is_kind(model, RenewalModel) and not is_kind(model, BatchRenewalModel):
            return f"failure model {label!r} has no array form"
        if is_kind(model, SpeedModel):
            return f"failure model {label!r} changes the speed of devices with time"
    for label, loss in loss_models(failures, topology).items():
        if not isinstance(loss, (BatchLossModel, BatchPacketLossModel)):
            return f"failure model {label!r} has no array form"
    for label, slowdown in slowdown_models(failures, topology).items():
        if not isinstance(slowdown, BatchSlowdownModel):
            return f"failure model {label!r} has no array form"
    return ""


def draw_down(
    failures: Mapping[str, FailureModel], topology: Topology, streams: BatchStreams
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.float64]]]:
    """Draw what is down at the beginning of many replications.

    Returns
    -------
    down : by device or link: in which replications it is down, shape (n,).
    until_s : by device or link of which that can change: until when it stays so at least, in s; inf where it does not change, shape (n,).
    """
    found: dict[str, list[_Beginning]] = {}
    for label, model in models_of(failures, OutageModel, RenewalModel).items():
        for name, beginning in _beginnings(model, topology, streams, label).items():
            found.setdefault(name, []).append(beginning)
    down = {name: np.logical_or.reduce([is_down for is_down, _ in some]) for name, some in found.items()}
    until_s = {name: _until_s(some) for name, some in found.items() if any(until_s is not None for _, until_s in some)}
    return down, until_s


def _beginnings(model: object, topology: Topology, streams: BatchStreams, label: str) -> Mapping[str, _Beginning]:
    """Return by target what a model does to it at the beginning."""
    if is_kind(model, BatchRenewalModel):
        return model.first_changes(topology, streams.scope(label))
    if is_kind(model, BatchOutageModel):
        return {name: (is_down, None) for name, is_down in model.are_down(topology, streams.scope(label)).items()}
    if not is_kind(model, OutageModel):
        return {}
    outcomes = model.outcomes(topology)
    listed = [] if outcomes is None else list(islice(outcomes, 2))
    is_certain = len(listed) == 1
    drawn = (
        [listed[0][1]] if is_certain else [model.outages(topology, one.scope(label)) for one in streams.replications()]
    )
    down, until_s = down_of(drawn)
    n = streams.n
    return {name: (np.resize(down[name], n), np.resize(until_s[name], n)) for name in down}


def _until_s(some: Sequence[_Beginning]) -> NDArray[np.float64]:
    """Return until when a target surely stays as it begins, given what several models do to it."""
    own_s = [np.full(len(is_down), inf) if until_s is None else until_s for is_down, until_s in some]
    down_until_s: NDArray[np.float64] = np.maximum.reduce(
        [np.where(is_down, own, -inf) for (is_down, _), own in zip(some, own_s, strict=True)]
    )
    return np.where(down_until_s > -inf, down_until_s, np.minimum.reduce(own_s))


def down_of(
    drawn: Sequence[Sequence[Outage]],
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.float64]]]:
    """Return outages of many replications in the form of `draw_down`.

    Examples
    --------
    One is down until 2 s, then down from 3 s on, then always up.

    >>> down, until_s = down_of([[Outage("a", 0.0, 2.0)], [Outage("a", 3.0)], []])
    >>> down["a"].tolist(), until_s["a"].tolist()
    ([True, False, False], [2.0, 3.0, inf])
    """
    down: dict[str, NDArray[np.bool_]] = {}
    until_s: dict[str, NDArray[np.float64]] = {}
    for index, outages in enumerate(drawn):
        for outage in sorted(outages, key=_start_s):
            if outage.end_s <= outage.start_s:
                continue
            is_down = down.setdefault(outage.target_id, np.zeros(len(drawn), dtype=np.bool_))
            until = until_s.setdefault(outage.target_id, np.full(len(drawn), inf))
            if outage.start_s == 0.0:
                until[index] = max(outage.end_s, until[index] if is_down[index] else 0.0)
                is_down[index] = True
            elif not is_down[index]:
                until[index] = min(until[index], outage.start_s)
    return down, until_s


def _start_s(outage: Outage) -> float:
    return outage.start_s


def enumerate_outages(
    failures: Mapping[str, FailureModel], topology: Topology, n_most: int
) -> list[tuple[float, list[Outage]]] | None:
    """Return every combination of outages with its probability.

    Returns
    -------
    outcomes
        None when there are more than `n_most`, or when a model's outcomes cannot be listed. Losses are left aside.
    """
    if slowdown_models(failures, topology) or models_of(failures, RenewalModel):
        return None
    per_model: list[list[tuple[float, Sequence[Outage]]]] = []
    n_outcomes = 1
    for model in models_of(failures, OutageModel).values():
        outcomes = model.outcomes(topology)
        if outcomes is None:
            return None
        listed = []
        for outcome in outcomes:
            listed.append(outcome)
            if n_outcomes * len(listed) > n_most:
                return None
        per_model.append(listed)
        n_outcomes *= len(listed)
    return [
        (
            prod(probability for probability, _ in combination),
            [outage for _, outages in combination for outage in outages],
        )
        for combination in product(*per_model)
    ]
