"""Which plans the array engine can simulate, and in which order it takes their computations and messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute
from edgesim.domain.system.transport import (
    BatchEndToEndTransport,
    BatchLinkTransport,
    EndToEndTransport,
    PersistentTransport,
)
from edgesim.engine.arrays.inputs import InputTable, input_table
from edgesim.engine.events.simulation import trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgesim.engine.program.compiled import Program
    from edgesim.engine.program.ways import Way

    Server = tuple[str, int | str]

_OF_TRIAL = 300  # byte: results, and what is at hand
_OF_STEP = 2  # byte: flags
_OF_WAITING = 35  # byte: moments and flags of a step that waits for messages, or begins where others do, too
_OF_TARGET = 9  # byte: whether a device or link is down, and until when


@dataclass(frozen=True, slots=True)
class Task:
    """One computation, or one link that a message crosses.

    Parameters
    ----------
    step : index of the step.
    hop : position of the link on the way of the message; 0 for a computation.
    server : the device or channel, where other tasks use it, too; None: nobody else does.
    rank : its place in the order in which the event engine comes to tasks when nothing is lost or slowed.
    """

    step: int
    hop: int
    server: Server | None = None
    rank: int = 0


@dataclass(frozen=True, slots=True)
class ArrayProgram:
    """A plan for the array engine.

    Parameters
    ----------
    program : the plan, made ready.
    tasks : all of them, each behind what it needs, otherwise by rank; of single requests computations by rank, and messages by rank,
        each message as early as may be.
    inputs : what each step waits for.
    relayed : links that some message crosses behind another link. What it loses there is drawn when it sets out, so messages
        must set out in order, too.
    shared : what several tasks use one after another: devices, channels, and draws on relayed links.
    instants : computations that take no time on a device with one core, where several requests follow each other: they are no hindrance to others.
    targets : devices and links whose outages matter.
    resumes : whether some of them let what was interrupted go on when an outage is over.
    """

    program: Program
    tasks: tuple[Task, ...]
    inputs: InputTable
    relayed: frozenset[str]
    shared: frozenset[Server]
    instants: frozenset[int]
    targets: frozenset[str]
    resumes: bool


def obstacle(program: Program) -> str:
    """Return what keeps a plan on its topology from the array engine, in words; empty when nothing does."""
    for hop in program.channels.changing:
        return f"the rate of link {hop.link.link_id!r} changes with time"
    return next(_obstacles(program), "")


def _obstacles(program: Program) -> Iterator[str]:
    if program.detours is not None:
        yield "messages take other routes around what is down"
    if program.pools:
        yield "work is given to whichever device asks first"
    yield from _obstacles_of_servers(program)
    yield from _obstacles_of_links(program)
    yield from _obstacles_of_messages(program)
    for index, users in enumerate(program.steps.users):
        if len(users) > 1 and program.steps.device[index] < 0 and any(_has_deadline(program, user) for user in users):
            yield f"transfer {program.steps.step[index].step_id!r} is waited for by several steps with deadlines"


def _obstacles_of_servers(program: Program) -> Iterator[str]:
    for device in (
        program.devices.device[index] for index in sorted({index for index in program.steps.device if index >= 0})
    ):
        if device.sharing == "fair":
            yield f"device {device.device_id!r} is shared by rates"
    yield from (
        f"device {one.device_id!r} has a battery" for one in program.devices.device if one.battery_j is not None
    )


def _obstacles_of_links(program: Program) -> Iterator[str]:
    hops = [hop for hops in program.steps.hops for hop in hops]
    yield from (f"link {hop.link.link_id!r} lends a burst" for hop in hops if hop.link.burst_byte > 0)
    yield from (
        f"the first message over link {hop.link.link_id!r} takes longer"
        for hop in hops
        if hop.link.first_message_s > 0.0
    )
    yield from (f"switch {hop.link.src_id!r} has queues with a limit" for hop in hops if hop.queue_byte is not None)
    yield from (
        f"link {hop.link.link_id!r} serves single packets"
        for hop in hops
        if program.channels.channel[hop.channel].is_by_packets
    )
    for channel in (program.channels.channel[index] for index in sorted({hop.channel for hop in hops})):
        if channel.is_fair or channel.contention > 0:
            how = "shared by rates" if channel.is_fair else "slower the more devices wait"
            yield f"{'medium' if channel.is_medium else 'link'} {channel.channel_id!r} is {how}"


def _obstacles_of_messages(program: Program) -> Iterator[str]:
    for cost in program.steps.host_costs.values():
        ends = (
            (program.devices.device[cost.src], cost.sending_s),
            (program.devices.device[cost.dst], cost.receiving_s(1.0)),
        )
        yield from (f"messages occupy device {device.device_id!r}" for device, time_s in ends if time_s > 0.0)
    for way in program.steps.ways:
        if way is not None and way.transport is not None:
            yield from _obstacles_of_bursts(way)
        if way is not None and any(stage.forwards_packets for stage in way.stages):
            yield "links forward single packets"
    for position, hop in (place for hops in program.steps.hops for place in enumerate(hops)):
        transport = hop.link.transport
        is_by_bursts = position == 0 and isinstance(transport, EndToEndTransport)
        if transport is not None and not is_by_bursts and not isinstance(transport, BatchLinkTransport):
            yield f"the transport of link {hop.link.link_id!r} has no array form"


def _obstacles_of_bursts(way: Way) -> Iterator[str]:
    """Yield what keeps messages that are sent in bursts from the array engine."""
    link = way.stages[0].hops[0].link
    if len(way.stages) > 1:
        yield f"messages from {link.src_id!r} are sent in bursts over several links"
    if not isinstance(way.transport, BatchEndToEndTransport):
        yield f"the transport of link {link.link_id!r} has no array form"
    if isinstance(way.transport, PersistentTransport) and way.transport.connection() is not None:
        yield f"messages over link {link.link_id!r} use one connection"


def _has_deadline(program: Program, index: int) -> bool:
    step = program.steps.step[index]
    return isinstance(step, Compute) and step.deadline_s is not None


def held_byte(program: Program, *, may_be_down: bool) -> int:
    """Return about how much memory a trial of one request takes, in byte.

    Parameters
    ----------
    program : the plan, made ready.
    may_be_down : whether it is drawn what is down, of each device and link.
    """
    steps, shared = program.steps, _shared(program, 2)
    served = {user for users, device in zip(steps.users, steps.device, strict=True) if device < 0 for user in users}
    n_waiting = sum(index in served or bool(_servers(program, index) & shared) for index in range(len(steps.step)))
    n_targets = len(program.devices.device_ids) + len(program.channels.channel) if may_be_down else 0
    return _OF_TRIAL + _OF_STEP * len(steps.step) + _OF_WAITING * n_waiting + _OF_TARGET * n_targets


def array_program(program: Program, *, is_repeated: bool = False) -> ArrayProgram:
    """Find the order in which the tasks of a plan are taken; `obstacle` has said that there is one.

    Parameters
    ----------
    program : the plan, made ready.
    is_repeated : whether several requests follow each other, so that all they use is used again.
    """
    position = {step.step_id: index for index, step in enumerate(program.steps.step)}
    tasks = _in_order(program, position)
    shared = _shared(program, 1 if is_repeated else 2)
    relayed = frozenset(hop.link.link_id for hops in program.steps.hops for hop in hops[1:])
    links = {hop.link.link_id: hop.link for hops in program.steps.hops for hop in hops}
    policies = {one.on_outage for one in program.devices.device} | {link.on_outage for link in links.values()}
    queued = frozenset(index for index in position.values() if _servers(program, index) & shared)
    ranked = [replace(_at_server(program, task, shared), rank=rank) for rank, task in enumerate(tasks)]
    return ArrayProgram(
        program,
        tuple(ranked if is_repeated else _eager(program, position, ranked)),
        input_table(program, position, [task.step for task in tasks], queued),
        relayed=relayed,
        shared=shared,
        instants=_instants(program) if is_repeated else frozenset(),
        targets=frozenset((*program.devices.device_ids, *links)),
        resumes="resume" in policies,
    )


def _instants(program: Program) -> frozenset[int]:
    """Return the computations that take no time on a device with one core."""
    steps, devices = program.steps, program.devices.device
    return frozenset(
        index
        for index, (device, duration_s) in enumerate(zip(steps.device, steps.duration_s, strict=True))
        if device >= 0 and duration_s == 0.0 and devices[device].n_cores == 1
    )


def _in_order(program: Program, position: Mapping[str, int]) -> list[Task]:
    """Return all tasks, each behind what it needs, otherwise as the event engine comes to them."""
    n_seen: Counter[int] = Counter()
    rank: dict[Task, int] = {}
    for stay in trace(program, has_stays=True).stays:
        index = position[stay.step_id]
        rank[Task(index, n_seen[index])] = len(rank)
        n_seen[index] += 1
    before: dict[Task, int] = {}
    after: dict[Task, list[Task]] = defaultdict(list)
    last = {index: Task(index, max(0, len(hops) - 1)) for index, hops in enumerate(program.steps.hops)}
    for index, step in enumerate(program.steps.step):
        for hop in range(last[index].hop + 1):
            task = Task(index, hop)
            needs = [last[position[name]] for name in step.inputs] if hop == 0 else [Task(index, hop - 1)]
            before[task] = len(needs)
            for need in needs:
                after[need].append(task)
    ready = [(rank.get(task, len(rank)), task.step, task) for task, n in before.items() if n == 0]
    heapify(ready)
    tasks: list[Task] = []
    while ready:
        task = heappop(ready)[2]
        tasks.append(task)
        for follower in after[task]:
            before[follower] -= 1
            if before[follower] == 0:
                heappush(ready, (rank.get(follower, len(rank)), follower.step, follower))
    return tasks


def _eager(program: Program, position: Mapping[str, int], tasks: Sequence[Task]) -> list[Task]:
    """Return ranked tasks with messages as early as may be, so that a result is used while it is in the processor's cache.

    A device or a channel meets its tasks in the same order, and so does a stream of random numbers.
    """
    n_before: dict[int, int] = {}  # of a computation: how many there are up to it
    n_needed = 0  # computations that the messages so far need
    places: dict[Task, tuple[int, bool]] = {}
    for task in tasks:
        is_message = program.steps.device[task.step] < 0
        if is_message:
            inputs = (position[name] for name in program.steps.step[task.step].inputs)
            n_needed = max([n_needed, *(n_before[index] for index in inputs if index in n_before)])
        else:
            n_before[task.step] = len(n_before) + 1
        places[task] = (n_needed if is_message else n_before[task.step], is_message)
    return sorted(tasks, key=places.__getitem__)


def _at_server(program: Program, task: Task, shared: frozenset[Server]) -> Task:
    """Return a task with its server, where that is shared."""
    device, hops = program.steps.device[task.step], program.steps.hops[task.step]
    server: Server = ("device", device) if device >= 0 else ("channel", hops[task.hop].channel)
    return replace(task, server=server) if server in shared else task


def _servers(program: Program, index: int) -> set[Server]:
    """Return where a step is in a queue when it begins."""
    if program.steps.device[index] >= 0:
        return {("device", program.steps.device[index])}
    hops = program.steps.hops[index]
    return {("channel", hops[0].channel), *(("draws", hop.link.link_id) for hop in hops)}


def _shared(program: Program, n_least: int) -> frozenset[Server]:
    """Return what so many tasks use one after another."""
    uses: list[Server] = [("device", index) for index in program.steps.device if index >= 0]
    hops = [hop for hops in program.steps.hops for hop in hops]
    uses += [("channel", hop.channel) for hop in hops] + [("draws", hop.link.link_id) for hop in hops]
    return frozenset(server for server, n in Counter(uses).items() if n >= n_least)
