"""The simulation of each request that is executed: replication r of the scenario's failures is the course of request r."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isnan
from typing import TYPE_CHECKING, Any

from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.engine.servers.losses import GivenLosses, Losses, Passage
from edgesim.errors import ExecutionError
from edgesim.failures.sampling.draw import (
    device_speeds,
    draw_outages,
    draw_renewals,
    loss_models,
    models_of,
    slowdown_models,
)
from edgesim.interfaces import OutageModel, RenewalModel
from edgesim.rng import ReplicationStreams, Streams
from edgesim.study.trials.deliveries import lost_in
from edgesim.testbed.course.fate import Fate

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.domain.records import Outage, Stay, Trace
    from edgesim.domain.system.topology import HostOverhead, Topology
    from edgesim.engine.program.ways import Way
    from edgesim.interfaces import DeploymentContext, FailureModel

_SAME_S = 1e-12


@dataclass(frozen=True, slots=True)
class Simulated:
    """One request as it was simulated.

    Parameters
    ----------
    latency_s : from its release to its answer, in s; NaN without one.
    ended_s : when each step that was served ended, from the release, in s.
    lost : messages that did not come, or not in time.
    over_s : when nothing of it is under way any more, in s.
    fate : what met it.
    stays : of computations and messages at devices, links and media.
    """

    latency_s: float
    ended_s: Mapping[str, float]
    lost: frozenset[str]
    over_s: float
    fate: Fate
    stays: tuple[Stay, ...] = ()

    @property
    def is_answered(self) -> bool:
        """Whether it came to an answer."""
        return not isnan(self.latency_s)


class _Noted(GivenLosses):
    """Losses as they are drawn, which notes what became of each message."""

    def __init__(self, losses: Losses) -> None:
        super().__init__(frozenset())
        self._losses = losses
        self.dropped: set[int] = set()
        self.waits_s: dict[int, float] = {}
        self.n_repeated = 0

    def draw(self, way: Way, share: float, request: Any, index: int) -> list[Passage]:
        """Draw what becomes of the message of a step, and note it."""
        passages = self._losses.draw(way, share, request, index)
        if passages[-1].received < share:
            self.dropped.add(index)
        self.n_repeated += sum(passage.sent > share for passage in passages)
        waited_s = sum(passage.waited_s for passage in passages)
        if waited_s > 0:
            self.waits_s[index] = waited_s
        return passages


def simulated(
    plan: Plan,
    context: DeploymentContext,
    failures: Mapping[str, FailureModel],
    n_requests: int,
    *,
    overhead: HostOverhead | None = None,
) -> list[Simulated]:
    """Return what becomes of each request.

    Parameters
    ----------
    plan, context : what is simulated, and the system.
    failures : by label; request r meets what replication r of a study meets, from the same streams.
    n_requests : how many.
    overhead : of all devices; None for what the scenario says.

    Raises
    ------
    ExecutionError
        When packets are sent again, which nodes cannot do.
    """
    topology = context.topology if overhead is None else with_overhead(context.topology, overhead)
    streams = Streams(context.seed)
    n_distinct = n_requests if failures else 1
    found = [
        _one(plan, topology, context, failures, streams.replication(number)) for number in range(n_distinct)
    ]  # fmt: skip
    return found if failures else found * n_requests


def with_overhead(topology: Topology, overhead: HostOverhead) -> Topology:
    """Return a topology whose devices have an overhead, but for the bytes of messages, which cost what they do."""
    busy = tuple(
        replace(device, host_overhead=replace(overhead, per_byte_s=device.host_overhead.per_byte_s))
        for device in topology.devices
    )
    return replace(topology, devices=busy)


def _one(
    plan: Plan,
    topology: Topology,
    context: DeploymentContext,
    failures: Mapping[str, FailureModel],
    streams: ReplicationStreams,
) -> Simulated:
    losses = loss_models(failures, topology)
    outages = tuple(draw_outages(failures, topology, streams))
    again: list[Outage] = []  # of what goes down again and again, as far as the simulation went
    renewals = [
        {name: _noting(source, again) for name, source in sources.items()}
        for sources in draw_renewals(failures, topology, streams)
    ]
    noted = _Noted(Losses([(model, streams.scope(label)) for label, model in losses.items()], None)) if losses else None
    slowdowns = slowdown_models(failures, topology)
    program = compile_plan(plan, topology, context.compute)
    found = trace(
        program, outages=outages, renewals=renewals, losses=noted, slowdowns=slowdowns,
        speeds=device_speeds(failures, topology), streams=streams, has_stays=True,
    )  # fmt: skip
    if noted is not None and noted.n_repeated:
        raise ExecutionError(
            "its transport sends lost packets again, which the nodes of a testbed do not; write transport: datagram"
        )
    outages = merged((*outages, *again))
    resuming = frozenset(device.device_id for device in topology.devices if device.on_outage == "resume")
    name_of = [step.step_id for step in program.steps.step]
    dropped = frozenset(name_of[index] for index in noted.dropped) if noted else frozenset()
    waits_s = {name_of[index]: waited_s for index, waited_s in noted.waits_s.items()} if noted else {}
    usual_s = dict(zip(name_of, program.steps.duration_s, strict=True))
    return Simulated(
        found.records[0].latency_s,
        _ended_s(found, plan, topology, waits_s),
        lost_in(plan, found.records[0].lost),
        found.to_s,
        Fate(
            dropped,
            waits_s,
            _durations_s(found, plan, usual_s, outages, resuming),
            _of_plan(outages, plan, topology),
            resuming,
        ),
        tuple(found.stays),
    )


def _noting(source: Iterator[Outage], drawn: list[Outage]) -> Iterator[Outage]:
    """Give outages, and note them."""
    for one in source:
        drawn.append(one)
        yield one


def merged(outages: Iterable[Outage]) -> tuple[Outage, ...]:
    """Return outages of which none of the same target touches another, in order: what is down for two reasons is up when both are over.

    >>> from edgesim.domain.records import Outage
    >>> [(one.target_id, one.start_s, one.end_s) for one in merged([Outage("a", 2.0, 3.0), Outage("a", 0.0, 2.5), Outage("b", 1.0), Outage("a", 4.0, 4.0)])]
    [('a', 0.0, 3.0), ('b', 1.0, inf)]
    """
    found: list[Outage] = []
    for one in sorted(outages, key=lambda outage: (outage.target_id, outage.start_s)):
        last = found[-1] if found and found[-1].target_id == one.target_id else None
        if last is not None and one.start_s <= last.end_s:
            found[-1] = replace(last, end_s=max(last.end_s, one.end_s))
        elif one.end_s > one.start_s:
            found.append(one)
    return tuple(found)


def _ended_s(found: Trace, plan: Plan, topology: Topology, waits_s: Mapping[str, float]) -> dict[str, float]:
    """Return when each step ended, messages with the latency of their links."""
    latencies_s = {link.link_id: link.latency_s for link in topology.links}
    ended_s: dict[str, float] = {}
    for stay in found.stays:
        # a message has come when the latency of its link is over, or later, when its receiver has handled it
        after_s = latencies_s[stay.link_id] + waits_s.get(stay.step_id, 0.0) if stay.link_id in latencies_s else 0.0
        ended_s[stay.step_id] = max(ended_s.get(stay.step_id, 0.0), stay.ended_s + after_s)
    if not isnan(found.records[0].latency_s):
        ended_s[plan.answer_id] = found.records[0].latency_s
    return ended_s


def _durations_s(
    found: Trace, plan: Plan, usual_s: Mapping[str, float], outages: Sequence[Outage], resuming: Collection[str]
) -> dict[str, float]:
    """Return how long computations took that were slowed, in s, without the outages in which they rest; but for those that an outage ended."""
    computes = {step.step_id for step in plan.computes}
    cut = {(one.target_id, one.start_s) for one in outages if one.target_id not in resuming or one.end_s == inf}
    took_s: dict[str, float] = {}
    for stay in found.stays:
        if stay.step_id in computes and (stay.resource_id, stay.ended_s) not in cut:
            took_s[stay.step_id] = took_s.get(stay.step_id, 0.0) + stay.ended_s - stay.started_s
    return {name: took for name, took in took_s.items() if abs(took - usual_s[name]) > _SAME_S + 1e-9 * usual_s[name]}


def _of_plan(outages: Sequence[Outage], plan: Plan, topology: Topology) -> tuple[Outage, ...]:
    """Return the outages of devices and links that the plan uses, and of what passes its messages on."""
    links = {
        link.link_id for transfer in plan.transfers for link in topology.route(transfer.src_id, transfer.dst_id)
    }  # fmt: skip
    relays = {link.src_id for transfer in plan.transfers for link in topology.route(transfer.src_id, transfer.dst_id)}
    return tuple(one for one in outages if one.target_id in links | relays or one.target_id in plan.device_ids)


def check_failures(plan: Plan, topology: Topology, failures: Mapping[str, FailureModel], *, has_recovery: bool) -> None:
    """Refuse failures that processes cannot meet as simulated.

    Raises
    ------
    ExecutionError
        The first such thing, with what to do about it.
    """
    if failures and has_recovery:
        raise ExecutionError("the scenario sends again what was lost, which nodes do not; leave out recoveries")
    if not models_of(failures, OutageModel, RenewalModel):
        return
    for transfer in plan.transfers:
        for link in topology.route(transfer.src_id, transfer.dst_id):
            if link.on_outage == "resume":
                raise ExecutionError(
                    f"link {link.link_id!r} resumes after an outage, but what a node sends is lost then; write on_outage: lost"
                )
