"""What the failures of a scenario can do to a plan, and how often: known from the models before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from math import expm1, fsum, log1p, prod
from typing import TYPE_CHECKING

from edgesim.domain.strike import Strike
from edgesim.failures.sampling.draw import loss_models, models_of, slowdown_models
from edgesim.interfaces import (
    BurstLossModel,
    IndependentLossModel,
    OutageModel,
    RenewalModel,
    StrikingModel,
    WeightedLossModel,
    is_kind,
)

if TYPE_CHECKING:
    from edgesim.domain.system.topology import Link, Topology
    from edgesim.interfaces import FailureModel, LinkModel

_MOST_LISTED = 2**10
Crossing = tuple["Link", int]
"""A link that a message of a plan crosses, and its packets there."""


def strikes_of(
    failures: Mapping[str, FailureModel],
    topology: Topology,
    used: frozenset[str],
    crossings: Iterable[Crossing],
    duration_s: float,
    *,
    n_requests: int = 1,
) -> dict[str, list[Strike]]:
    """Return by label what each model can do in a trial; a model that draws nothing that matters is left out.

    A model of others that neither says it nor lists few outcomes counts as one that strikes in every trial.

    Parameters
    ----------
    used : devices and links of the plan.
    crossings : every link that a message crosses, with its packets, for one request.
    duration_s : of a request without failures.
    n_requests : of a trial.
    """
    found: dict[str, list[Strike]] = {}
    crossed = list(crossings)
    outages: dict[str, OutageModel | RenewalModel] = models_of(failures, OutageModel, RenewalModel)
    for label, outage in outages.items():
        found[label] = (
            list(outage.strikes(topology, used, duration_s))
            if isinstance(outage, StrikingModel)
            else _listed(outage, topology, used)
        )
    for label, model in loss_models(failures, topology).items():
        here = [(link, n_packets) for link, n_packets in crossed if model.applies_to(link)]
        found.setdefault(label, []).extend([_loss(model, here, n_requests)] if here else [])
    for label in slowdown_models(failures, topology):
        found.setdefault(label, []).append(_unknown())
    possible = {label: [strike for strike in strikes if strike.probability > 0] for label, strikes in found.items()}
    return {label: strikes for label, strikes in possible.items() if strikes}


def _listed(model: OutageModel | RenewalModel, topology: Topology, used: frozenset[str]) -> list[Strike]:
    """Return that something used is lost, from the outcomes of a model; nothing when there is only one."""
    outcomes = model.outcomes(topology) if is_kind(model, OutageModel) else None
    listed = [] if outcomes is None else list(islice(outcomes, _MOST_LISTED + 1))
    if not 0 < len(listed) <= _MOST_LISTED:
        return [_unknown()]
    some = fsum(probability for probability, outages in listed if any(one.target_id in used for one in outages))
    return [Strike("anything that the plan uses", some, some)] if len(listed) > 1 else []


def _unknown() -> Strike:
    return Strike("something", 1.0, 1.0)


def _loss(model: LinkModel, here: list[Crossing], n_requests: int) -> Strike:
    """Return that any message or packet of a trial is lost."""
    what = "any message or packet lost"
    if isinstance(model, WeightedLossModel):
        drawn = _of_any(model.sampled_probability, here, n_requests)
        return Strike(what, _of_any(model.loss_probability, here, n_requests), drawn)
    if isinstance(model, IndependentLossModel):
        probability = _of_any(model.loss_probability, here, n_requests)
        return Strike(what, probability, probability)
    if isinstance(model, BurstLossModel):
        n_packets: dict[str, int] = {}
        for link, n in here:
            n_packets[link.link_id] = n_packets.get(link.link_id, 0) + n * n_requests
        link_of = {link.link_id: link for link, _ in here}
        kept = prod(1.0 - model.strike_probability(link_of[name], n) for name, n in n_packets.items())
        return Strike(what, 1.0 - kept, 1.0 - kept)
    return _unknown()


def _of_any(probability: Callable[[Link, int], float], here: list[Crossing], n_requests: int) -> float:
    """Return the probability of any loss; exact where it is tiny."""
    losses = [probability(link, n_packets) for link, n_packets in here]
    if max(losses) >= 1.0:
        return 1.0
    return -expm1(n_requests * fsum(log1p(-loss) for loss in losses))
