"""Which sets of students may be left, by the failure models of a scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import inf, prod
from typing import TYPE_CHECKING

from edgesim.domain.networks.objective import Survivors
from edgesim.errors import PlanError
from edgesim.interfaces import FailureModel, OutageModel, is_kind

if TYPE_CHECKING:
    from edgesim.domain.records import Outage
    from edgesim.domain.system.topology import Topology

MOST = 1 << 16
"""Combinations of outages that are listed at most."""


def survivors_of(
    failures: Mapping[str, FailureModel], topology: Topology, device_ids: Sequence[str], source_id: str, merger_id: str
) -> Survivors:
    """Return the sets of students that may be left, and how probable each is.

    A student is left if its device, the merger, the source, and all that lies on the routes from the source to it and from it to the merger
    is up.

    Parameters
    ----------
    failures : by label.
    topology : devices and links.
    device_ids : of each student.
    source_id, merger_id : where its input comes from, and where its features go.

    Raises
    ------
    PlanError
        When there is no failure model, or one whose outcomes cannot be listed.
    """
    if not failures:
        raise PlanError(f"objective expectation: the scenario has no failures to learn for; {_REMEDY}")
    listed = [_outcomes(label, model, topology) for label, model in failures.items()]
    if prod(map(len, listed)) > MOST:
        raise PlanError(f"objective expectation: failures have more than {MOST} outcomes together; {_REMEDY}")
    needed = [_needed(topology, source_id, device_id, merger_id) for device_id in device_ids]
    found: dict[tuple[bool, ...], float] = {}
    for combination in product(*listed):
        probability = prod(one for one, _ in combination)
        down = {outage.target_id for _, outages in combination for outage in outages}
        left = tuple(down.isdisjoint(own) for own in needed)
        found[left] = found.get(left, 0.0) + probability
    kept = {left: probability for left, probability in sorted(found.items(), reverse=True) if probability > 0}
    total = sum(kept.values())
    return Survivors(tuple(kept), tuple(probability / total for probability in kept.values()))


_REMEDY = (
    "give the objective a `failure` of its own, such as {type: common-cause, beta: 0, probability: 0.5}, or take mel"
)


def _outcomes(label: str, model: FailureModel, topology: Topology) -> list[tuple[float, Sequence[Outage]]]:
    """Return what a model may do to the topology, with probabilities."""
    subject = f"objective expectation: failure model {label!r}"
    if not is_kind(model, OutageModel):
        raise PlanError(f"{subject} takes no devices or links down for a whole request; {_REMEDY}")
    outcomes = model.outcomes(topology)
    if outcomes is None:
        raise PlanError(f"{subject} has outcomes that cannot be listed; {_REMEDY}")
    listed: list[tuple[float, Sequence[Outage]]] = []
    for outcome in outcomes:
        listed.append(outcome)
        if len(listed) > MOST:
            raise PlanError(f"{subject} has more than {MOST} outcomes; {_REMEDY}")
        if any(outage.start_s > 0 or outage.end_s < inf for outage in outcome[1]):
            raise PlanError(f"{subject} has outages that begin or end in a request, which sets do not tell; {_REMEDY}")
    return listed


def _needed(topology: Topology, source_id: str, device_id: str, merger_id: str) -> frozenset[str]:
    """Return the devices and links without which a student does not count."""
    links = [*topology.route(source_id, device_id), *topology.route(device_id, merger_id)]
    ends = [end for link in links for end in (link.src_id, link.dst_id)]
    return frozenset([source_id, device_id, merger_id, *ends, *(link.link_id for link in links)])
