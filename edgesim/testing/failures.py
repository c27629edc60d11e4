"""What a failure model promises."""

from __future__ import annotations

from itertools import chain, islice, pairwise
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.errors import EdgesimError
from edgesim.forms import check_form
from edgesim.interfaces import (
    BatchLossModel,
    BatchOutageModel,
    BatchPacketLossModel,
    BatchRenewalModel,
    BatchSlowdownModel,
    DelayModel,
    FailureModel,
    LossModel,
    OutageModel,
    PacketLossModel,
    RenewalModel,
    SlowdownModel,
)
from edgesim.registry import FAILURES
from edgesim.rng import ReplicationStreams, Streams
from edgesim.testing.expect import expect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edgesim.domain.records import Outage
    from edgesim.domain.system.topology import Topology
    from edgesim.rng import BatchStreams


def check_failure_model(model: FailureModel, topology: Topology, *, seed: int = 0, n_replications: int = 20) -> None:
    """Check what the protocols behind `FailureModel` in `edgesim.interfaces` promise.

    Draws are the same for the same streams; outages name devices or links of the topology and do not end before they start;
    repeated ones of a target come in order and apart; of n packets 0 to n are lost; computations never take a negative time;
    the forms for many replications, where the model has them, draw the same; the probabilities of all outcomes, where they
    are listed, sum to 1.

    Parameters
    ----------
    model : an instance, with its options.
    topology : what it acts on.
    seed, n_replications : what is drawn to check it.

    Raises
    ------
    AssertionError
        When one of these does not hold.
    """
    try:
        check_form("failure model", type(model), FAILURES.protocols, FAILURES.optional)
    except EdgesimError as error:
        raise AssertionError(str(error)) from error
    for index in range(n_replications):
        first, second = (_draws(model, topology, seed, index) for _ in range(2))
        expect(first == second, f"replication {index}: the same streams gave {first}, then {second}")
        if isinstance(model, OutageModel):
            _check_outages(first[0], topology)
    _check_batch(model, topology, seed, n_replications)
    outcomes = model.outcomes(topology) if isinstance(model, OutageModel) else None
    if outcomes is None:
        return
    total = 0.0
    for probability, outages in outcomes:
        expect(0 <= probability <= 1, f"an outcome has probability {probability}, which is not in 0 to 1")
        _check_outages(outages, topology)
        total += probability
    expect(abs(total - 1) < 1e-9, f"the probabilities of the outcomes sum to {total}, not to 1")


def _draws(model: FailureModel, topology: Topology, seed: int, index: int) -> tuple[list[Outage], list[Any]]:
    """Draw everything once, from fresh streams: outages, and what becomes of messages, packets and computations."""
    streams = Streams(seed).replication(index)
    outages = list(model.outages(topology, streams)) if isinstance(model, OutageModel) else []
    others = [*_draw_renewals(model, topology, streams), *_draw_packets(model, topology, streams)]
    if isinstance(model, SlowdownModel):
        factors = [model.factor(device, streams) for device in topology.devices if model.slows(device)]
        expect(all(factor >= 0 for factor in factors), f"factor must be at least 0, not {factors}")
        others += factors
    if isinstance(model, DelayModel):
        delays_s = [model.delay_s(link, streams) for link in topology.links if model.applies_to(link)]
        expect(
            all(0 <= delay_s < inf for delay_s in delays_s), f"delay_s must be finite and at least 0, not {delays_s}"
        )
        others += delays_s
    losses = _draw_losses(model, topology, streams) if isinstance(model, LossModel) else []
    strange = [loss for loss in losses if not isinstance(loss, (bool, np.bool_))]
    expect(not strange, f"is_lost must give True or False, not {strange[:1]}")
    return outages, [*others, *(bool(loss) for loss in losses)]


def _draw_losses(model: LossModel, topology: Topology, streams: ReplicationStreams) -> list[Any]:
    return [model.is_lost(link, 1, streams) for link in topology.links if model.applies_to(link)]


def _check_batch(model: Any, topology: Topology, seed: int, n: int) -> None:
    """Check that what is drawn for n replications at once is what is drawn for each alone, twice in a row on each link and device."""
    alone, together = list(map(Streams(seed).replication, range(n))), Streams(seed).batch(0, n)
    pairs: list[Iterable[tuple[str, object, list[Any]]]] = [
        _outages_both_ways(model, topology, alone, together) if isinstance(model, BatchOutageModel) else (),
        _changes_both_ways(model, topology, alone, together) if isinstance(model, BatchRenewalModel) else (),
        _losses_both_ways(model, topology, alone, together) if isinstance(model, BatchLossModel) else (),
        _packets_both_ways(model, topology, alone, together) if isinstance(model, BatchPacketLossModel) else (),
        _factors_both_ways(model, topology, alone, together) if isinstance(model, BatchSlowdownModel) else (),
    ]
    for what, at_once, one_by_one in chain.from_iterable(pairs):
        _check_same(what, at_once, one_by_one)
    _check_same("weigh", together.weight, [own.weight for own in alone])


def _check_same(what: str, at_once: object, one_by_one: list[Any]) -> None:
    found, n = np.asarray(at_once), len(one_by_one)
    is_same = found.shape == (n,) and np.allclose(found.astype(float), np.array(one_by_one, float), rtol=1e-12)
    expect(is_same, f"{what} gives {found} for {n} replications at once, but one by one {one_by_one}")


def _outages_both_ways(
    model: Any, topology: Topology, alone: list[ReplicationStreams], together: BatchStreams
) -> Iterator[tuple[str, object, list[Any]]]:
    """Yield what a method is called, what it draws for all replications at once, and what is drawn for each alone."""
    down = model.are_down(topology, together)
    drawn = [{one.target_id for one in model.outages(topology, own)} for own in alone]
    nobody = np.zeros(len(alone), dtype=np.bool_)
    for name in sorted(set(down).union(*drawn)):
        yield f"are_down of {name!r}", down.get(name, nobody), [name in targets for targets in drawn]


def _changes_both_ways(
    model: Any, topology: Topology, alone: list[ReplicationStreams], together: BatchStreams
) -> Iterator[tuple[str, object, list[Any]]]:
    first = [{name: next(source) for name, source in model.renewals(topology, own).items()} for own in alone]
    for name, (is_down, until_s) in model.first_changes(topology, together).items():
        outages = [outage[name] for outage in first]
        starts_s, ends_s = [one.start_s for one in outages], [one.end_s for one in outages]
        yield f"first_changes of {name!r}, down,", is_down, [start_s == 0.0 for start_s in starts_s]
        changes_s = [end_s if start_s == 0.0 else start_s for start_s, end_s in zip(starts_s, ends_s, strict=True)]
        yield f"first_changes of {name!r}, until when,", until_s, changes_s


def _losses_both_ways(
    model: Any, topology: Topology, alone: list[ReplicationStreams], together: BatchStreams
) -> Iterator[tuple[str, object, list[Any]]]:
    everyone = np.ones(len(alone), dtype=np.bool_)
    for link in (link for link in topology.links if model.applies_to(link) for _ in range(2)):
        lost = [model.is_lost(link, 1, own) for own in alone]
        yield f"are_lost on {link.link_id!r}", model.are_lost(link, everyone, together), lost


def _packets_both_ways(
    model: Any, topology: Topology, alone: list[ReplicationStreams], together: BatchStreams
) -> Iterator[tuple[str, object, list[Any]]]:
    everyone = np.ones(len(alone), dtype=np.bool_)
    for link in filter(model.applies_to, topology.links):
        batch, processes = model.batch_losses(link, together), [model.losses(link, own) for own in alone]
        for n_packets in (1, 100):
            lost = [process.n_lost(n_packets) for process in processes]
            yield f"n_lost on {link.link_id!r}", batch.n_lost(np.full(len(alone), n_packets), everyone), lost


def _factors_both_ways(
    model: Any, topology: Topology, alone: list[ReplicationStreams], together: BatchStreams
) -> Iterator[tuple[str, object, list[Any]]]:
    everyone = np.ones(len(alone), dtype=np.bool_)
    for device in filter(model.slows, topology.devices):
        factors = [model.factor(device, own) for own in alone]
        yield f"factors of {device.device_id!r}", model.factors(device, everyone, together), factors


def _draw_renewals(model: Any, topology: Topology, streams: ReplicationStreams) -> list[Outage]:
    """Draw the first outages of every target."""
    drawn: list[Outage] = []
    for target_id, source in model.renewals(topology, streams).items() if isinstance(model, RenewalModel) else ():
        outages = list(islice(source, 5))
        _check_outages(outages, topology)
        expect({one.target_id for one in outages} <= {target_id}, f"renewals of {target_id!r} name another target")
        is_apart = all(one.end_s < other.start_s for one, other in pairwise(outages))
        expect(is_apart, f"the outages of {target_id!r} are not in order and apart: {outages}")
        drawn += outages
    return drawn


def _draw_packets(model: Any, topology: Topology, streams: ReplicationStreams) -> list[int]:
    """Draw how many packets of some messages are lost on every link."""
    if not isinstance(model, PacketLossModel):
        return []
    drawn: list[int] = []
    for link in filter(model.applies_to, topology.links):
        process = model.losses(link, streams)
        for n_packets in (1, 100):
            n_lost = process.n_lost(n_packets)
            expect(0 <= n_lost <= n_packets, f"of {n_packets} packets n_lost must say 0 to {n_packets}, not {n_lost}")
            drawn.append(n_lost)
    return drawn


def _check_outages(outages: Sequence[Outage], topology: Topology) -> None:
    targets = {*topology.device_of, *topology.switch_of, *(link.link_id for link in topology.links)}
    for outage in outages:
        expect(
            outage.target_id in targets,
            f"an outage names {outage.target_id!r}, which is no device or link of the topology",
        )
