"""What a strategy and its deployment promise."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Arrived, Delivery
from edgesim.domain.plan import TRAFFIC_KINDS, Plan
from edgesim.errors import PlanError
from edgesim.interfaces import Bundled, DeploymentContext, PartialDeployment, Silent
from edgesim.study.preparation.deploy import deployed, plan_of_sample, plans_of
from edgesim.testing.bundles import check_bundle
from edgesim.testing.expect import expect

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Dataset
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, Strategy


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

    Its plans fit the topology; the deployment survives pickling; `predict` gives finite float32 logits of the test split, the
    same for the same delivery whatever was asked before; with everything delivered it equals the network; with any one
    transfer lost, and with all lost, it gives logits or raises `PlanError`; so it does with some packets of each, where the deployment
    uses messages that are not whole; where plans depend on the sample, a loss leaves the samples as they are whose plan has none of the lost
    transfers, whichever plan the request followed; where work is handed out while it runs, any worker may do all of it; where it says what runs where, its executed plan gives the same, see `check_bundle`; `describe` gives what JSON can hold.

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
    deployment = deployed(strategy, context)
    plan = deployment.plan
    expect(isinstance(plan, Plan), f"deployment.plan must be a Plan, but is a {type(plan).__name__}")
    every_plan = plans_of(deployment)
    for one in every_plan:
        _check_places(one, context.topology)
    whole = _checked_logits(deployment, Delivery(), context)
    expect(whole is not None, "predict(Delivery()) raised PlanError; it must give the logits of the test split")
    _check_against_network(whole, context, tolerance if is_exact else None)
    copied: Deployment = pickle.loads(pickle.dumps(deployment))  # noqa: S301 - just pickled here
    expect(plans_of(copied) == every_plan, "the plan changes when the deployment is pickled")
    deliveries = [Delivery(), *_lost_of(every_plan)]
    if isinstance(deployment, PartialDeployment) and deployment.uses_partial:
        deliveries += _in_part(plan)
    answers = [_checked_logits(deployment, delivery, context) for delivery in deliveries]
    # the copy is asked in the opposite order: what was asked before must not matter
    again = [_checked_logits(copied, delivery, context) for delivery in reversed(deliveries)][::-1]
    for delivery, first, second in zip(deliveries, answers, again, strict=True):
        is_same = first is None if second is None else first is not None and np.array_equal(first, second)
        expect(is_same, f"with {_missing(delivery)}, a pickled copy asked in another order answers differently")
    _check_pools(deployment, whole, context, tolerance if is_exact else None)
    if len(every_plan) > 1 and whole is not None:
        _check_samples(deployment, whole, [pair for pair in zip(deliveries, answers, strict=True) if pair[0].lost])
    if isinstance(deployment, Bundled) and len(context.dataset.test) and _has_kernels(deployment):
        check_bundle(deployment, context.dataset.test, is_written=False)
    try:
        json.dumps([deployment.describe(), plan.peak_memory_byte(), [step.size_byte for step in plan.transfers]])
    except (TypeError, ValueError) as error:
        raise AssertionError(
            f"describe() and the sizes of the plan must be plain values that JSON can hold: {error}"
        ) from error


def _lost_of(plans: Sequence[Plan]) -> list[Delivery]:
    """Return deliveries without all transfers of a plan, and without one transfer each."""
    found = [plan.transfer_ids for plan in plans]
    found += [frozenset({transfer.step_id}) for plan in plans for transfer in plan.transfers]
    return [Delivery(lost) for lost in dict.fromkeys(found)]


def _check_samples(
    deployment: Deployment, whole: NDArray[np.float32], asked: Sequence[tuple[Delivery, NDArray[np.float32] | None]]
) -> None:
    """Check that what a sample is answered with depends on the losses of its own plan alone."""
    plans, followed = plans_of(deployment), np.array(plan_of_sample(deployment))
    for delivery, answer in asked:
        is_safe = np.array([delivery.are_whole(plan.transfer_ids) for plan in plans])[followed]
        if answer is None:
            expect(
                not is_safe.any(),
                f"with {_missing(delivery)}, predict raised PlanError, though {is_safe.sum()} samples follow plans without them",
            )
            continue
        expect(
            np.array_equal(answer[is_safe], whole[is_safe]),
            f"with {_missing(delivery)}, the answers change of samples whose plans have none of them",
        )
        other = deployment.predict(replace(delivery, plan=len(plans) - 1))
        expect(np.array_equal(answer, other), f"with {_missing(delivery)}, predict depends on the plan of the request")


def _check_pools(
    deployment: Deployment, whole: NDArray[np.float32] | None, context: DeploymentContext, tolerance: float | None
) -> None:
    """Check that the answer is the same whoever does the tasks of pools; without a tolerance, nothing."""
    if tolerance is None or whole is None:
        return
    for lost in _by_others(deployment.plan):
        found = _checked_logits(deployment, Delivery(lost), context)
        is_same = found is not None and np.allclose(found, whole, atol=tolerance * np.abs(whole).max())
        expect(
            is_same, f"with all tasks of a pool done by one worker (lost: {sorted(lost)}), the answer is another one"
        )


def _by_others(plan: Plan) -> list[frozenset[str]]:
    """Return for each worker of a pool that sends its results what is missing when it does all tasks."""
    found = []
    for pool in plan.pools:
        for worker in range(len(pool.tasks[0])):
            others = [row for copies in pool.tasks for number, row in enumerate(copies) if number != worker]
            if pool.tasks[0][worker][-1] in plan.transfer_ids:
                found.append(plan.transfer_ids.intersection(name for row in others for name in row))
    return found


def _has_kernels(deployment: Bundled) -> bool:
    """Return whether it says what runs where with these options."""
    try:
        deployment.kernels()
    except PlanError:
        return False
    return True


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


def _check_places(plan: Plan, topology: Topology) -> None:
    """Check that the plan's devices exist and its messages have a way to go."""
    unknown = [device_id for device_id in plan.device_ids if device_id not in topology.device_of]
    expect(not unknown, f"the plan uses devices that the topology does not have: {', '.join(unknown)}")
    for transfer in plan.transfers:
        expect(
            transfer.kind in TRAFFIC_KINDS,
            f"transfer {transfer.step_id!r} is of kind {transfer.kind!r}; kinds are {', '.join(TRAFFIC_KINDS)}",
        )
        expect(transfer.size_byte >= 0, f"transfer {transfer.step_id!r} has {transfer.size_byte} byte")
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
    is_array = isinstance(answer, np.ndarray)
    given = f"{answer.dtype} of shape {answer.shape}" if is_array else f"a {type(answer).__name__}"
    is_right = is_array and answer.shape == shape and answer.dtype == np.float32
    expect(is_right, f"with {missing}, predict gave {given}; it must give float32 of shape {shape}")
    expect(bool(np.isfinite(answer).all()), f"with {missing}, predict gave answers that are not finite")
    kept: NDArray[np.float32] = answer.copy()
    expect(
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
        expect(
            score.worth(reached) >= score.worth(chance),
            f"with everything delivered the {score.name} is {reached:.3f}, worse than guessing ({chance:.3f})",
        )
        return
    expected = forward(context.network, context.dataset.test.inputs)
    difference = float(np.abs(answer - expected).max() / max(float(np.abs(expected).max()), np.finfo(np.float32).tiny))
    expect(
        difference <= tolerance,
        f"with everything delivered the answers differ from the network's by {difference:.2g} of the largest number; "
        f"allowed is {tolerance:.2g} (students: is_exact=False)",
    )
