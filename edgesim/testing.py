"""Conformance checks for plug-ins, also for those of third parties.

A check raises `AssertionError` with what was expected and what was found; it returns nothing when all is well.
"""

from __future__ import annotations

import json
import pickle
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Arrived, Delivery
from edgesim.domain.plan import TRAFFIC_KINDS, Plan
from edgesim.errors import PlanError
from edgesim.interfaces import (
    BatchLossModel,
    BatchOutageModel,
    BatchPacketLossModel,
    BatchSlowdownModel,
    DeploymentContext,
    Silent,
)
from edgesim.rng import ReplicationStreams, Streams

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Dataset
    from edgesim.domain.records import Outage
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, FailureModel, Strategy
    from edgesim.rng import BatchStreams


def deployment_context(
    network: torch.nn.Module,
    dataset: Dataset,
    topology: Topology,
    *,
    source_id: str,
    sink_id: str,
    filter_layer: str | None = None,
    network_key: str = "test",
    seed: int = 0,
) -> DeploymentContext:
    """Return a context to deploy a strategy in, as a study would make it, with the `Roofline` and no progress shown.

    Parameters
    ----------
    network : a network that fits the data set, trained or not.
    dataset, topology, source_id, sink_id, filter_layer, network_key, seed : as in `DeploymentContext`.
    """
    from edgesim.nn.cost.layers import measure

    return DeploymentContext(
        topology=topology,
        source_id=source_id,
        sink_id=sink_id,
        network=network.eval(),
        network_key=network_key,
        filter_layer=filter_layer,
        dataset=dataset,
        graph=measure(network, dataset.inputs),
        compute=Roofline(),
        seed=seed,
        progress=Silent(),
    )


def check_strategy(
    strategy: Strategy, context: DeploymentContext, *, is_exact: bool = True, tolerance: float = 1e-5
) -> None:
    """Check what `edgesim.interfaces.Deployment` promises.

    The plan fits the topology; the deployment survives pickling; `predict` gives finite float32 logits of the test split, the
    same for the same delivery whatever was asked before; with everything delivered it equals the network; with any one
    transfer lost, and with all lost, it gives logits or raises `PlanError`; so it does with some packets of each, where the deployment
    uses messages that are not whole; `describe` gives what JSON can hold.

    Parameters
    ----------
    strategy : an instance, with its options.
    context : what it is deployed in; see `deployment_context`.
    is_exact : whether the deployment computes the same function as the network. If not (students), the accuracy with
        everything delivered must not be below chance.
    tolerance : largest allowed difference of the logits, relative to the largest logit.

    Raises
    ------
    AssertionError
        When one of these does not hold.
    """
    deployment = strategy.deploy(context)
    plan = deployment.plan
    _check(isinstance(plan, Plan), f"deployment.plan must be a Plan, but is a {type(plan).__name__}")
    _check_places(plan, context.topology)
    whole = _checked_logits(deployment, Delivery(), context)
    _check(whole is not None, "predict(Delivery()) raised PlanError; it must give the logits of the test split")
    _check_against_network(whole, context, tolerance if is_exact else None)
    copied: Deployment = pickle.loads(pickle.dumps(deployment))  # noqa: S301 - just pickled here
    _check(copied.plan == plan, "the plan changes when the deployment is pickled")
    one_lost = (Delivery(frozenset({transfer.step_id})) for transfer in plan.transfers)
    deliveries = [Delivery(), Delivery(plan.transfer_ids), *one_lost]
    if getattr(deployment, "uses_partial", False):
        deliveries += _in_part(plan)
    answers = [_checked_logits(deployment, delivery, context) for delivery in deliveries]
    # the copy is asked in the opposite order: what was asked before must not matter
    again = [_checked_logits(copied, delivery, context) for delivery in reversed(deliveries)][::-1]
    for delivery, first, second in zip(deliveries, answers, again, strict=True):
        is_same = first is None if second is None else first is not None and np.array_equal(first, second)
        _check(is_same, f"with {_missing(delivery)}, a pickled copy asked in another order answers differently")
    try:
        json.dumps(deployment.describe())
    except (TypeError, ValueError) as error:
        raise AssertionError(f"describe() must give plain values that JSON can hold: {error}") from error


def _in_part(plan: Plan) -> list[Delivery]:
    """Return deliveries in which one of two packets of a transfer arrived: the first, or any."""
    return [
        Delivery(partial=(Arrived(one.step_id, one.size_byte, -(-one.size_byte // 2), 1, is_first, seed=0),))
        for one in plan.transfers
        for is_first in (True, False)
        if one.size_byte > 1
    ]


def _missing(delivery: Delivery) -> str:
    """Return in words what is missing."""
    lost = f"{', '.join(sorted(delivery.lost)) or 'nothing'} lost"
    return lost + "".join(f" and {one.n_arrived} of {one.n_packets} packets of {one.name}" for one in delivery.partial)


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
    is_outage_model = hasattr(model, "outages")
    _check(
        any(hasattr(model, name) for name in _FAILURE_METHODS),
        f"{type(model).__name__} has neither {' nor '.join(f'`{name}`' for name in _FAILURE_METHODS)}; it must have the methods "
        "of a failure model",
    )
    for index in range(n_replications):
        first, second = (_draws(model, topology, seed, index) for _ in range(2))
        _check(first == second, f"replication {index}: the same streams gave {first}, then {second}")
        if is_outage_model:
            _check_outages(first[0], topology)
    _check_batch(model, topology, seed, n_replications)
    if not is_outage_model:
        return
    outcomes = model.outcomes(topology)  # type: ignore[union-attr]
    if outcomes is None:
        return
    total = 0.0
    for probability, outages in outcomes:
        _check(0 <= probability <= 1, f"an outcome has probability {probability}, which is not in 0 to 1")
        _check_outages(outages, topology)
        total += probability
    _check(abs(total - 1) < 1e-9, f"the probabilities of the outcomes sum to {total}, not to 1")


_FAILURE_METHODS = ("outages", "is_lost", "renewals", "losses", "factor", "speeds")


def _draws(model: Any, topology: Topology, seed: int, index: int) -> tuple[list[Outage], list[Any]]:
    """Draw everything once, from fresh streams: outages, and what becomes of messages, packets and computations."""
    streams = Streams(seed).replication(index)
    outages = list(model.outages(topology, streams)) if hasattr(model, "outages") else []
    others = [*_draw_renewals(model, topology, streams), *_draw_packets(model, topology, streams)]
    if hasattr(model, "factor"):
        factors = [model.factor(device, streams) for device in topology.devices if model.slows(device)]
        _check(all(factor >= 0 for factor in factors), f"factor must be at least 0, not {factors}")
        others += factors
    links = [link for link in topology.links if model.applies_to(link)] if hasattr(model, "is_lost") else []
    losses = [model.is_lost(link, 1, streams) for link in links]
    strange = [loss for loss in losses if not isinstance(loss, (bool, np.bool_))]
    _check(not strange, f"is_lost must give True or False, not {strange[:1]}")
    return outages, [*others, *(bool(loss) for loss in losses)]


def _check_batch(model: Any, topology: Topology, seed: int, n: int) -> None:
    """Check that what is drawn for n replications at once is what is drawn for each alone, twice in a row on each link and device."""
    alone, together = list(map(Streams(seed).replication, range(n))), Streams(seed).batch(0, n)
    pairs: list[Iterable[tuple[str, object, list[Any]]]] = [
        _outages_both_ways(model, topology, alone, together) if isinstance(model, BatchOutageModel) else (),
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
    _check(is_same, f"{what} gives {found} for {n} replications at once, but one by one {one_by_one}")


def _outages_both_ways(
    model: Any, topology: Topology, alone: list[ReplicationStreams], together: BatchStreams
) -> Iterator[tuple[str, object, list[Any]]]:
    """Yield what a method is called, what it draws for all replications at once, and what is drawn for each alone."""
    down = model.are_down(topology, together)
    drawn = [{one.target_id for one in model.outages(topology, own)} for own in alone]
    nobody = np.zeros(len(alone), dtype=np.bool_)
    for name in sorted(set(down).union(*drawn)):
        yield f"are_down of {name!r}", down.get(name, nobody), [name in targets for targets in drawn]


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
    for target_id, source in model.renewals(topology, streams).items() if hasattr(model, "renewals") else ():
        outages = list(islice(source, 5))
        _check_outages(outages, topology)
        _check({one.target_id for one in outages} <= {target_id}, f"renewals of {target_id!r} name another target")
        is_apart = all(one.end_s < other.start_s for one, other in pairwise(outages))
        _check(is_apart, f"the outages of {target_id!r} are not in order and apart: {outages}")
        drawn += outages
    return drawn


def _draw_packets(model: Any, topology: Topology, streams: ReplicationStreams) -> list[int]:
    """Draw how many packets of some messages are lost on every link."""
    if not hasattr(model, "losses"):
        return []
    drawn: list[int] = []
    for link in filter(model.applies_to, topology.links):
        process = model.losses(link, streams)
        for n_packets in (1, 100):
            n_lost = process.n_lost(n_packets)
            _check(0 <= n_lost <= n_packets, f"of {n_packets} packets n_lost must say 0 to {n_packets}, not {n_lost}")
            drawn.append(n_lost)
    return drawn


def _check_outages(outages: Sequence[Outage], topology: Topology) -> None:
    targets = {*topology.device_of, *topology.switch_of, *(link.link_id for link in topology.links)}
    for outage in outages:
        _check(
            outage.target_id in targets,
            f"an outage names {outage.target_id!r}, which is no device or link of the topology",
        )


def _check_places(plan: Plan, topology: Topology) -> None:
    """Check that the plan's devices exist and its messages have a way to go."""
    unknown = [device_id for device_id in plan.device_ids if device_id not in topology.device_of]
    _check(not unknown, f"the plan uses devices that the topology does not have: {', '.join(unknown)}")
    for transfer in plan.transfers:
        _check(
            transfer.kind in TRAFFIC_KINDS,
            f"transfer {transfer.step_id!r} is of kind {transfer.kind!r}; kinds are {', '.join(TRAFFIC_KINDS)}",
        )
        _check(transfer.size_byte >= 0, f"transfer {transfer.step_id!r} has {transfer.size_byte} byte")
        try:
            topology.route(transfer.src_id, transfer.dst_id)
        except PlanError as error:
            raise AssertionError(f"transfer {transfer.step_id!r} cannot be sent: {error}") from error


def _checked_logits(deployment: Any, delivery: Delivery, context: DeploymentContext) -> NDArray[np.float32] | None:
    """Return the logits, None when there is no answer; twice asked, twice the same."""
    missing = _missing(delivery)
    try:
        answer: Any = deployment.predict(delivery)
    except PlanError:
        return None
    shape = (len(context.dataset.test), *context.dataset.task.output.shape)
    _check(
        isinstance(answer, np.ndarray) and answer.shape == shape and answer.dtype == np.float32,
        f"with {missing}, predict gave {getattr(answer, 'dtype', type(answer).__name__)} of shape "
        f"{getattr(answer, 'shape', None)}; it must give float32 of shape {shape}",
    )
    _check(bool(np.isfinite(answer).all()), f"with {missing}, predict gave answers that are not finite")
    kept: NDArray[np.float32] = answer.copy()
    _check(
        np.array_equal(kept, deployment.predict(delivery)),
        f"with {missing}, predict answers differently each time",
    )
    return kept


def _check_against_network(
    answer: NDArray[np.float32] | None, context: DeploymentContext, tolerance: float | None
) -> None:
    from edgesim.nn.train.training import forward

    if answer is None:
        return
    if tolerance is None:
        dataset, score = context.dataset, context.dataset.task.scores[0]
        guess = np.broadcast_to(dataset.task.guess(dataset.train.targets), answer.shape)
        reached, chance = (score.of(one, dataset.test.targets) for one in (answer, guess))
        _check(
            score.worth(reached) >= score.worth(chance),
            f"with everything delivered the {score.name} is {reached:.3f}, worse than guessing ({chance:.3f})",
        )
        return
    expected = forward(context.network, context.dataset.test.inputs)
    difference = float(np.abs(answer - expected).max() / max(float(np.abs(expected).max()), np.finfo(np.float32).tiny))
    _check(
        difference <= tolerance,
        f"with everything delivered the answers differ from the network's by {difference:.2g} of the largest number; "
        f"allowed is {tolerance:.2g} (students: is_exact=False)",
    )


def _check(is_right: object, text: str) -> None:
    if not is_right:
        raise AssertionError(text)
