"""From what a simulation lost to what the networks are asked with.

A trial keeps what it lost in two columns: the number `lost`, whose bit i says that the i-th transfer of the plan is not whole, and, where
a deployment uses messages that are not whole, the text `partial`, which says what arrived of them. `deliveries_of` makes of them the
`Delivery` that `predict` takes; the result folder holds the same two columns, so the way from there is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.delivery import Arrived, Delivery
from edgesim.domain.plan import Plan, Transfer
from edgesim.failures.sampling.draw import models_of
from edgesim.interfaces import PacketLossModel, PartialDeployment
from edgesim.study.trials.trials import bits_of, patterns_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgesim.engine.program.compiled import Program
    from edgesim.engine.program.ways import Hop
    from edgesim.interfaces import Deployment
    from edgesim.study.cases.design import Case


def is_used(deployment: Deployment) -> bool:
    """Return whether a deployment uses messages of which only some packets arrived."""
    return isinstance(deployment, PartialDeployment) and deployment.uses_partial


def note(program: Program, case: Case, partial: tuple[tuple[int, float], ...]) -> str:
    """Return the column `partial` of a trial, given `RequestRecord.partial`.

    ``"3:2 5:1-4"`` says that any two packets of transfer 3 arrived, and packets 1 to 4 of transfer 5: the first ones, since no
    packets are lost at random on its way.
    """
    words = []
    for index, share in partial:
        hops = _hops(program, index)
        n_packets = _narrowest(hops).n_packets
        n_arrived = min(max(1, round(share * n_packets)), n_packets - 1)
        words.append(f"{index}:{n_arrived}" if _is_random(case, hops) else f"{index}:1-{n_arrived}")
    return " ".join(words)


def _hops(program: Program, transfer: int) -> Sequence[Hop]:
    return program.steps.hops[program.steps.transfer_index.index(transfer)]


def _narrowest(hops: Sequence[Hop]) -> Hop:
    """Return the link on which a message has most packets."""
    return max(hops, key=lambda hop: hop.n_packets)


def _is_random(case: Case, hops: Sequence[Hop]) -> bool:
    """Return whether a model loses packets of the message at random somewhere."""
    models = models_of(case.failures, PacketLossModel).values()
    return any(model.applies_to(hop.link) for model in models for hop in hops)


Met = tuple[int, str, int]
"""What a request met: the columns `lost` and `partial`, and which plan of the program it followed."""


def deliveries_of(program: Program, met: Sequence[Met], seed: int) -> tuple[Delivery, ...]:
    """Return for each request what the networks are asked with.

    That is not all that was lost: see `without_effect`, for messages as if those that arrived in part were whole. Requests with the same
    answer have one `Delivery`.
    """
    found: dict[Met, Delivery] = {}
    for number in {number for *_, number in met}:
        own = [one for one in met if one[2] == number]
        found.update(zip(own, _deliveries_of(program, number, own, seed), strict=True))
    return tuple(found[one] for one in met)


def _deliveries_of(program: Program, number: int, met: Sequence[Met], seed: int) -> list[Delivery]:
    """Return the same of requests that follow one plan."""
    plan, span = program.plans[number], program.spans[number]
    partial = [_read(text) for _, text, _ in met]
    as_whole = [
        span.own(lost & ~sum(1 << index for index in some)) for (lost, *_), some in zip(met, partial, strict=True)
    ]
    known: dict[tuple[int, tuple[tuple[int, str], ...]], Delivery] = {}
    found = []
    for pattern, some in zip(without_effect(plan, as_whole), partial, strict=True):
        kept = tuple((index, packets) for index, packets in some.items() if not pattern >> index - span.n_before & 1)
        if (pattern, kept) not in known:
            arrived = tuple(_arrived(program, number, index, packets, seed) for index, packets in kept)
            known[pattern, kept] = Delivery(lost_in(plan, pattern), arrived, number)
        found.append(known[pattern, kept])
    return found


def lost_in(plan: Plan, pattern: int) -> frozenset[str]:
    """Return the transfers of which a bit is set in a number: bit i stands for the i-th transfer of the plan."""
    return frozenset(transfer.step_id for index, transfer in enumerate(plan.transfers) if pattern >> index & 1)


def in_order(plans: Sequence[Plan], deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Return deliveries in an order that does not depend on how sets are ordered: that of the plans and of their transfers."""
    places = [{transfer.step_id: 1 << index for index, transfer in enumerate(plan.transfers)} for plan in plans]

    def rank(delivery: Delivery) -> tuple[int, int, list[tuple[int, int, bool]]]:
        place = places[delivery.plan]
        partial = [(place[some.name], some.n_arrived, some.is_first) for some in delivery.partial]
        return delivery.plan, sum(map(place.__getitem__, delivery.incomplete)), partial

    return sorted(deliveries, key=rank)


def _read(text: str) -> dict[int, str]:
    """Return by transfer what the column `partial` says of it.

    >>> _read("3:2 5:1-4")
    {3: '2', 5: '1-4'}
    """
    pairs = (word.split(":") for word in text.split())
    return {int(index): packets for index, packets in pairs}


def _arrived(program: Program, number: int, index: int, packets: str, seed: int) -> Arrived:
    step = program.plans[number].transfers[index - program.spans[number].n_before]
    packet_byte = _narrowest(_hops(program, index)).link.mtu_byte
    is_first, _, n_arrived = packets.rpartition("-")
    return Arrived(step.step_id, step.size_byte, packet_byte, int(n_arrived), bool(is_first), seed)


def without_effect(plan: Plan, patterns: Sequence[int]) -> tuple[int, ...]:
    """Return for each pattern of lost transfers one with the same answer: it adds those that were delivered but reach the answer nowhere.

    What a transfer carries can change the answer only along delivered transfers, so patterns that differ in others are one.
    A student whose features are lost, e.g., does not count, whether or not it had its input.
    """
    n_transfers = len(plan.transfers)
    is_lost = bits_of(patterns, n_transfers)
    is_needed = {plan.answer_id: np.ones(len(patterns), dtype=np.bool_)}
    nowhere = np.zeros(len(patterns), dtype=np.bool_)
    position = n_transfers
    for step in reversed(plan.steps):
        counts = is_needed.get(step.step_id, nowhere)
        if isinstance(step, Transfer):
            position -= 1
            counts = counts & ~is_lost[position]
            is_lost[position] = ~counts
        for name in step.inputs:
            is_needed[name] = is_needed[name] | counts if name in is_needed else counts
    return patterns_of(is_lost)
