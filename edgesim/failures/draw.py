"""All failure models of a scenario together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import cast

from edgesim.domain.records import Outage
from edgesim.domain.topology import Topology
from edgesim.interfaces import (
    FailureModel,
    LossModel,
    OutageModel,
    PacketLossModel,
    RenewalModel,
    SlowdownModel,
)
from edgesim.rng import ReplicationStreams


def outage_models(failures: Mapping[str, FailureModel]) -> dict[str, OutageModel]:
    """Return the models that take devices or links down, by label."""
    return {label: cast("OutageModel", model) for label, model in failures.items() if hasattr(model, "outages")}


def loss_models(failures: Mapping[str, FailureModel], topology: Topology) -> dict[str, LossModel | PacketLossModel]:
    """Return the models that lose messages or packets on some link of the topology, by label."""
    losses = {
        label: cast("LossModel | PacketLossModel", model)
        for label, model in failures.items()
        if hasattr(model, "is_lost") or hasattr(model, "losses")
    }
    return {label: model for label, model in losses.items() if any(map(model.applies_to, topology.links))}


def slowdown_models(failures: Mapping[str, FailureModel], topology: Topology) -> dict[str, SlowdownModel]:
    """Return the models that slow some device of the topology, by label."""
    slowdowns = {label: cast("SlowdownModel", model) for label, model in failures.items() if hasattr(model, "factor")}
    return {label: model for label, model in slowdowns.items() if any(map(model.slows, topology.devices))}


def draw_renewals(
    failures: Mapping[str, FailureModel], topology: Topology, streams: ReplicationStreams
) -> list[Mapping[str, Iterator[Outage]]]:
    """Return the outages that come again and again in one replication; each model has streams of its own."""
    return [
        cast("RenewalModel", model).renewals(topology, streams.scope(label))
        for label, model in failures.items()
        if hasattr(model, "renewals")
    ]


def draw_outages(failures: Mapping[str, FailureModel], topology: Topology, streams: ReplicationStreams) -> list[Outage]:
    """Draw the outages of one replication; each model has streams of its own, named by its label."""
    return [
        outage
        for label, model in outage_models(failures).items()
        for outage in model.outages(topology, streams.scope(label))
    ]


def enumerate_outages(
    failures: Mapping[str, FailureModel], topology: Topology, n_most: int
) -> list[tuple[float, list[Outage]]] | None:
    """Return every combination of outages with its probability.

    Returns
    -------
    outcomes
        None when there are more than `n_most`, when a model's outcomes cannot be listed, or when something else is drawn:
        losses, slowdowns, renewals.
    """
    if loss_models(failures, topology) or slowdown_models(failures, topology):
        return None
    if any(hasattr(model, "renewals") for model in failures.values()):
        return None
    per_model: list[list[tuple[float, Sequence[Outage]]]] = []
    n_outcomes = 1
    for model in outage_models(failures).values():
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
