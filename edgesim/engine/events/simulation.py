"""The event engine: one trial of a plan on SimPy.

A trial ends when every request has ended (`edgesim.engine.events.trial`) and nothing is under way, or at its horizon. Computations
go to devices (`edgesim.engine.servers.devices`), messages to links (`edgesim.engine.servers.messages`).

What an outage does (device or link down in the half-open interval [start, end)), by the option ``on_outage`` of the device
for computations and of the link for messages; a message is interrupted by outages of its link and of the sending device:

===================================  =======================================  ==========================================
when it meets                        ``lost``                                 ``resume``
===================================  =======================================  ==========================================
a computation that becomes ready     it is lost                               it queues when the outage is over
a computation in the queue           it is lost                               it queues again when the outage is over
a computation that runs              lost; the device was busy until then     what is left of it queues again
a message to be sent                 never sent: no bytes                     it queues when the outage is over
a message in the queue               never sent: no bytes                     it queues again when the outage is over
a message being sent                 lost; bytes sent until then count        what is left of it queues again
a message propagating                nothing happens                          nothing happens
a message being sent, receiver down  lost; all its bytes count                as an outage of the link
propagating, receiver down           lost; all its bytes count                it arrives when the receiver is up again
an idle device or link               nothing happens                          nothing happens
inputs that wait in a device         nothing happens: memory survives         nothing happens: memory survives
the deadline of a step               passes as always                         passes as always
===================================  =======================================  ==========================================

A battery that is empty is such an outage, which has no end (`edgesim.engine.events.batteries`).

Packets that came across before a message was lost are the part of it that was delivered; see `RequestRecord.partial`. On a
fair stage a message holds its links together, so the devices between them count as senders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf

import numpy as np

from edgesim.domain.records import Course, Outage, RequestRecord, Stay, Trace
from edgesim.engine.events.batteries import Hears, Renewals, until_they_last, with_batteries
from edgesim.engine.events.releases import plan_releases
from edgesim.engine.events.trial import Trial
from edgesim.engine.program.compiled import Program
from edgesim.engine.servers.losses import GivenLosses
from edgesim.engine.state.invariants import Checker
from edgesim.engine.state.outages import downtimes_of
from edgesim.engine.state.request import NO_REQUEST
from edgesim.engine.state.world import World
from edgesim.interfaces import ClosedArrivals, LinkModel, OpenArrivals, Recovery, SlowdownModel
from edgesim.rng import ReplicationStreams

Speeds = Mapping[str, Sequence[tuple[float, float]]]


def trace(
    program: Program,
    *,
    outages: Sequence[Outage] = (),
    renewals: Sequence[Mapping[str, Iterator[Outage]]] = (),
    losses: Mapping[str, LinkModel] | GivenLosses | None = None,
    slowdowns: Mapping[str, SlowdownModel] | None = None,
    speeds: Speeds | None = None,
    streams: ReplicationStreams | None = None,
    deadline_s: float | None = None,
    releases_s: Iterable[float] = (0.0,),
    arrivals: OpenArrivals | ClosedArrivals | None = None,
    n_requests: int | None = None,
    horizon_s: float = inf,
    warm_up_s: float = 0.0,
    admission_limit: int | None = None,
    is_checked: bool = False,
    on_record: Callable[[int, RequestRecord], None] | None = None,
    plan_of: Callable[[int], int] | None = None,
    recovery: Recovery | None = None,
    has_stays: bool = False,
    has_samples: bool = False,
) -> Trace:
    """Simulate one trial and measure every resource.

    Parameters
    ----------
    warm_up_s : requests released before are simulated, but neither recorded nor measured, in s.
    has_stays : whether to keep every stay of a computation or message at a resource.
    has_samples : whether to sample how much is at every resource over time, at up to `edgesim.engine.state.samples.N_MOST` + 1 moments.
    program, outages, renewals, losses, slowdowns, speeds, streams, deadline_s, releases_s, arrivals, n_requests, horizon_s,
    admission_limit, is_checked, on_record, plan_of, recovery : as of `simulate`; `on_record` hears of no request of the warm-up.

    Raises
    ------
    SimulationError
        As `simulate`.
    """

    def attempt(empty: Sequence[Outage], own: ReplicationStreams | None, again: Renewals, hears: Hears | None) -> Trial:
        world = World(program, speeds or {}, horizon_s, Checker() if is_checked else None)
        world.measure(warm_up_s, has_notes=has_stays, has_samples=has_samples)
        trial = Trial(
            world, losses=losses if losses is not None else {}, slowdowns=slowdowns or {}, streams=own, deadline_s=deadline_s,
            admission_limit=admission_limit, recovery=recovery,
        )  # fmt: skip
        releases = plan_releases(releases_s, arrivals, n_requests, horizon_s, own)
        return trial.run(releases, downtimes_of((*outages, *empty), again), hears, plan_of)

    def counts(number: int, record: RequestRecord) -> None:
        if on_record is not None and record.released_s >= warm_up_s:
            on_record(number, record)

    trial, empty = until_they_last(program, attempt, streams, renewals, None if on_record is None else counts)
    world = trial.world
    to_s = max(warm_up_s, world.last_s)
    records = trial.records.table()
    if warm_up_s > 0.0:
        records = records.at(np.flatnonzero(records.released_s >= warm_up_s))
    return Trace(
        records=records,
        resources=tuple(world.resources(to_s)),
        from_s=warm_up_s,
        to_s=to_s,
        n_events=world.clock.n_events,
        stays=tuple(
            Stay(note.resource_id, note.request, program.steps.step[note.step].step_id, note.arrived_s, note.started_s,
                 note.ended_s, note.link_id)
            for note in sorted(world.notes or (), key=lambda note: note.arrived_s)
            if note.arrived_s <= to_s and note.request != NO_REQUEST
        ),
        idle_share_j=trial.records.idle_share_j,
        samples=tuple(world.sampled(to_s)),
        courses=tuple(Course(*key, *moments_s) for key, moments_s in (world.courses or {}).items()),
        batteries=tuple((name, empty.get(name, inf)) for name in with_batteries(program)),
        watch=trial.watched(to_s),
    )  # fmt: skip


def simulate(
    program: Program,
    *,
    outages: Sequence[Outage] = (),
    renewals: Sequence[Mapping[str, Iterator[Outage]]] = (),
    losses: Mapping[str, LinkModel] | GivenLosses | None = None,
    slowdowns: Mapping[str, SlowdownModel] | None = None,
    speeds: Speeds | None = None,
    streams: ReplicationStreams | None = None,
    deadline_s: float | None = None,
    releases_s: Iterable[float] = (0.0,),
    arrivals: OpenArrivals | ClosedArrivals | None = None,
    n_requests: int | None = None,
    horizon_s: float = inf,
    admission_limit: int | None = None,
    is_checked: bool = False,
    on_record: Callable[[int, RequestRecord], None] | None = None,
    plan_of: Callable[[int], int] | None = None,
    recovery: Recovery | None = None,
) -> list[RequestRecord]:
    """Simulate one trial.

    Parameters
    ----------
    program : the plan, made ready by `compile_plan`.
    outages : when devices and links are down.
    renewals : outages that come again and again, by target; drawn as far as the trial goes.
    losses : models that lose messages or packets, by label; each draws from the streams of its label. Or losses that are known.
    slowdowns : models that make computations longer, by label; each draws from the streams of its label.
    speeds : by device: when its speed changes, in s, in order, and to what; above 0, and 1 until then. For `fifo` devices.
    streams : streams of the replication; needed with whatever draws.
    deadline_s : a request without an answer by then, counted from its release, has timed out; None: no limit.
    releases_s : when each request is released, in s.
    arrivals : what releases the requests, in place of `releases_s`; it draws from the streams of "arrivals".
    n_requests : number of requests after which no more come; None: no limit.
    horizon_s : the trial ends then at the latest; without it, endless arrivals are endless.
    admission_limit : most requests in the system; one more is rejected.
    is_checked : whether the invariants are checked; see `edgesim.engine.state.invariants.Checker`.
    on_record : called with the number and the record of each request as soon as it has ended, in place of keeping it, so
        that memory does not grow with the number of requests. Its energy is without the share of the idle power, which is
        known when the trial has ended (`Trace.idle_share_j`).
    plan_of : which of the plans of the program a request follows, by its number; None: the first.
    recovery : what is done about lost messages and computations; None: nothing.

    Returns
    -------
    records
        One per request, in order of release; none with `on_record`. A lost message is noticed by nobody: its receiver waits until its deadline,
        or for ever. Work that goes on after the answer counts as traffic and energy.

    Raises
    ------
    SimulationError
        When something draws but there are no streams, or an invariant is broken.
    """
    simulation = Simulation(
        program, losses=losses, slowdowns=slowdowns, speeds=speeds, streams=streams, deadline_s=deadline_s, horizon_s=horizon_s,
        admission_limit=admission_limit, is_checked=is_checked, recovery=recovery,
    )  # fmt: skip
    return simulation.run(
        outages=outages, renewals=renewals, releases_s=releases_s, arrivals=arrivals, n_requests=n_requests, on_record=on_record,
        plan_of=plan_of,
    )  # fmt: skip


class Simulation:
    """One trial after another: what is the same in all of them is set up once.

    Parameters
    ----------
    program, losses, slowdowns, speeds, deadline_s, horizon_s, admission_limit, is_checked, recovery : as of `simulate`.
    streams : streams of the replication that is simulated next, as of `simulate`; `ReplicationStreams.go_to` goes on to another one.

    Raises
    ------
    SimulationError
        When something draws but there are no streams.

    Examples
    --------
    >>> from edgesim.domain.plan import Compute, Plan
    >>> from edgesim.domain.system.topology import Device, DeviceProfile, Topology
    >>> from edgesim.engine.program.compiled import compile_plan
    >>> from edgesim.failures.stragglers import ShiftedExponential
    >>> from edgesim.rng import Streams
    >>> class Second:
    ...     def duration_s(self, step, profile):
    ...         return 1.0
    >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 1.0, 1.0, 1.0, 1.0, "assumed")
    >>> program = compile_plan(Plan((Compute("end", "d"),), "end", {}), Topology((Device("d", profile),), ()), Second())
    >>> streams = Streams(1).replication(0)
    >>> simulation = Simulation(program, slowdowns={"slow": ShiftedExponential(mu=2.0)}, streams=streams)
    >>> latencies_s = []
    >>> for index in (0, 1, 0):
    ...     streams.go_to(index)
    ...     [record] = simulation.run()
    ...     latencies_s.append(record.latency_s)
    >>> latencies_s[0] == latencies_s[2] != latencies_s[1]
    True
    """

    def __init__(
        self,
        program: Program,
        *,
        losses: Mapping[str, LinkModel] | GivenLosses | None = None,
        slowdowns: Mapping[str, SlowdownModel] | None = None,
        speeds: Speeds | None = None,
        streams: ReplicationStreams | None = None,
        deadline_s: float | None = None,
        horizon_s: float = inf,
        admission_limit: int | None = None,
        is_checked: bool = False,
        recovery: Recovery | None = None,
    ) -> None:
        self._program, self._streams, self._horizon_s = program, streams, horizon_s

        def made(own: ReplicationStreams | None) -> Trial:
            return Trial(
                World(program, speeds or {}, horizon_s, Checker() if is_checked else None),
                losses=losses if losses is not None else {}, slowdowns=slowdowns or {}, streams=own, deadline_s=deadline_s,
                admission_limit=admission_limit, recovery=recovery,
            )  # fmt: skip

        self._made = made
        self._trial = made(streams)

    def run(
        self,
        *,
        outages: Sequence[Outage] = (),
        renewals: Renewals = (),
        releases_s: Iterable[float] = (0.0,),
        arrivals: OpenArrivals | ClosedArrivals | None = None,
        n_requests: int | None = None,
        on_record: Callable[[int, RequestRecord], None] | None = None,
        plan_of: Callable[[int], int] | None = None,
    ) -> list[RequestRecord]:
        """Simulate one trial; parameters and result are those of `simulate`.

        Raises
        ------
        SimulationError
            When arrivals draw but there are no streams, or an invariant is broken.
        """

        def attempt(
            empty: Sequence[Outage], own: ReplicationStreams | None, again: Renewals, hears: Hears | None
        ) -> Trial:
            trial = self._trial if own is self._streams else self._made(own)
            releases = plan_releases(releases_s, arrivals, n_requests, self._horizon_s, own)
            return trial.run(releases, downtimes_of((*outages, *empty), again), hears, plan_of)

        trial, _ = until_they_last(self._program, attempt, self._streams, renewals, on_record)
        return trial.records.all()
