"""All failure models of a scenario together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import inf, prod
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Topology
from edgesim.interfaces import (
    BatchLossModel,
    BatchOutageModel,
    BatchPacketLossModel,
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
        if is_kind(model, RenewalModel):
            return f"failure model {label!r} takes its targets down again and again"
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
) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.bool_]]:
    """Draw what is down in many replications.

    Returns
    -------
    down : by device or link: in which replications it is down from beginning to end, shape (n,).
    is_whole : False where some outage begins later or ends, shape (n,).
    """
    down: dict[str, NDArray[np.bool_]] = {}
    is_whole = np.ones(streams.n, dtype=np.bool_)
    for label, model in models_of(failures, OutageModel).items():
        if isinstance(model, BatchOutageModel):
            found = model.are_down(topology, streams.scope(label))
        else:
            drawn = [model.outages(topology, one.scope(label)) for one in streams.replications()]
            found, is_kept = down_of(drawn)
            is_whole &= is_kept
        for name, is_down in found.items():
            down[name] = down[name] | is_down if name in down else is_down
    return down, is_whole


def down_of(drawn: Sequence[Sequence[Outage]]) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.bool_]]:
    """Return outages of many replications in the form of `draw_down`."""
    down: dict[str, NDArray[np.bool_]] = {}
    is_whole = np.ones(len(drawn), dtype=np.bool_)
    for index, outages in enumerate(drawn):
        for outage in outages:
            if outage.start_s > 0.0 or outage.end_s < inf:
                is_whole[index] = False
            down.setdefault(outage.target_id, np.zeros(len(drawn), dtype=np.bool_))[index] = True
    return down, is_whole


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
