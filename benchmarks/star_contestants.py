"""The star written by hand and in other simulators: python benchmarks/star_contestants.py CONTESTANT DEVICES ROUNDS [COUNT]

With COUNT behind them it prints what a round calls in place of how long it takes. One measurement per process: prints CPU and wall time of the rounds alone (not of imports, nor of what is built once), and
the largest memory of the process, as JSON. Fails when the rounds are not what they must be. `benchmarks/engine.py` runs all
of it. This also runs where edgesim is not installed, but LEAF is.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from array import array
from collections.abc import Callable, Generator
from functools import partial
from heapq import heappop
from importlib.metadata import PackageNotFoundError, version
from types import FrameType
from typing import Any

from star import (
    BANDWIDTH_BIT_PER_S,
    BUSY_W,
    COMPUTE_S,
    DEADLINE_S,
    IDLE_W,
    LATENCY_S,
    LOSS,
    MU,
    RADIO_W,
    ROUND_S,
    SEED,
    SEND_S,
    SIZE_BYTE,
    Lengths,
    Run,
    check,
    lengths,
    random_rounds,
    recorded,
    room,
)
from star_edgesim import (
    in_event_engine,
    in_event_engine_with_meters,
    queue_alone,
    random_in_array_engine,
    random_in_event_engine,
)

ABSENT = 3
"""Exit code of a contestant that is not installed."""
LOOPS = {"simpy.core", "edgesim.engine.state.clock"}
"""Where events are taken from SimPy's queue."""
PACKAGES = ("edgesim", "simpy", "numpy", "leafsim", "networkx", "ns.py")


# ---- written by hand on SimPy


def by_callbacks(n_devices: int) -> Run:
    """Callbacks on timeouts; a link is the moment at which it is next free."""
    import simpy

    def run(n_rounds: int) -> Callable[[], Lengths]:
        env = simpy.Environment()
        timeout = env.timeout
        free_s = [0.0] * n_devices
        ends_s: list[float] = []
        n_missing = 0

        def begin() -> None:
            nonlocal n_missing
            n_missing = n_devices
            for device in range(n_devices):
                timeout(COMPUTE_S, device).callbacks.append(computed)

        def computed(event: simpy.Event) -> None:
            now_s, device = env.now, event.value
            sent_s = max(now_s, free_s[device]) + SEND_S
            free_s[device] = sent_s
            timeout(sent_s + LATENCY_S - now_s).callbacks.append(arrived)

        def arrived(_: simpy.Event) -> None:
            nonlocal n_missing
            n_missing -= 1
            if n_missing == 0:
                ends_s.append(env.now)
                if len(ends_s) < n_rounds:
                    begin()

        begin()
        env.run()
        return partial(lengths, ends_s)

    return run


def by_records(n_devices: int) -> Run:  # noqa: C901, PLR0915 - a script in one piece, as the others
    """As `by_callbacks`, with what edgesim records of a round, and all that happens at one moment as one event and in one loop.

    Of each round its energy from the times of every device, its traffic and which messages came are kept besides its length. No
    option of edgesim is asked for anywhere: this is what its event engine could be if it knew nothing but this star.
    """
    import simpy

    def run(n_rounds: int) -> Callable[[], Lengths]:  # noqa: C901, PLR0915
        env = simpy.Environment()
        timeout = env.timeout
        device_free_s, link_free_s = [0.0] * n_devices, [0.0] * n_devices
        ends_s, energy_j = array("d"), array("d")
        traffic_byte, n_lost = array("q"), array("q")

        class Round:
            __slots__ = (
                "begun_s",
                "busy_s",
                "has_begun",
                "has_come",
                "n_missing",
                "receive_s",
                "send_s",
                "traffic_byte",
            )

            def __init__(self) -> None:
                self.begun_s, self.n_missing, self.traffic_byte = env.now, n_devices, 0
                self.has_begun, self.has_come = bytearray(n_devices), bytearray(n_devices)
                self.busy_s, self.send_s, self.receive_s = [0.0] * n_devices, [0.0] * n_devices, 0.0

        together: dict[float, list[tuple[Round, int]]] = {}  # what is to happen, by moment

        def at(moment_s: float, callback: Callable[[simpy.Event], None]) -> list[tuple[Round, int]]:
            event = timeout(moment_s - env.now, [])
            event.callbacks.append(callback)
            together[moment_s] = event.value
            return event.value

        def begin() -> None:
            now_s, one = env.now, Round()
            busy_s, has_begun = one.busy_s, one.has_begun
            for device in range(n_devices):
                has_begun[device] = 1
                free_s = device_free_s[device]
                start_s = free_s if free_s > now_s else now_s  # noqa: FURB136 - a call of max takes longer
                device_free_s[device] = end_s = start_s + COMPUTE_S
                busy_s[device] += end_s - start_s
                there = together.get(end_s)
                if there is None:
                    there = at(end_s, computed)
                there.append((one, device))

        def computed(event: simpy.Event) -> None:
            now_s = env.now
            for one, device in event.value:
                free_s = link_free_s[device]
                start_s = free_s if free_s > now_s else now_s  # noqa: FURB136
                link_free_s[device] = end_s = start_s + SEND_S
                time_s = end_s - start_s
                one.send_s[device] += time_s
                one.receive_s += time_s
                one.traffic_byte += SIZE_BYTE
                arrival_s = end_s + LATENCY_S
                there = together.get(arrival_s)
                if there is None:
                    there = at(arrival_s, arrived)
                there.append((one, device))

        def arrived(event: simpy.Event) -> None:
            for one, device in event.value:
                one.has_come[device] = 1
                one.n_missing -= 1
                if one.n_missing == 0:
                    end(one)

        def end(one: Round) -> None:
            together.clear()
            now_s = env.now
            work_j = (RADIO_W - IDLE_W) * one.receive_s
            for busy_s, send_s in zip(one.busy_s, one.send_s, strict=True):
                work_j += (BUSY_W - IDLE_W) * busy_s + (RADIO_W - IDLE_W) * send_s
            ends_s.append(now_s)
            energy_j.append(work_j + (n_devices + 1) * IDLE_W * (now_s - one.begun_s))
            traffic_byte.append(one.traffic_byte)
            n_lost.append(0 if all(one.has_come) else one.has_come.count(0))
            if len(ends_s) < n_rounds:
                begin()

        begin()
        env.run()
        return partial(recorded, n_devices, ends_s, energy_j, traffic_byte, n_lost)

    return run


def by_processes(n_devices: int) -> Run:
    """A process per device and round; the barrier is their AllOf."""
    import simpy

    def run(n_rounds: int) -> Callable[[], Lengths]:
        env = simpy.Environment()
        ends_s: list[float] = []

        def device() -> Generator[simpy.Event, Any, None]:
            yield env.timeout(COMPUTE_S)
            yield env.timeout(SEND_S + LATENCY_S)

        def rounds() -> Generator[simpy.Event, Any, None]:
            for _ in range(n_rounds):
                yield env.all_of([env.process(device()) for _ in range(n_devices)])
                ends_s.append(env.now)

        env.process(rounds())
        env.run()
        return partial(lengths, ends_s)

    return run


def by_resources(n_devices: int) -> Run:
    """As `by_processes`, but links are Resources, which queue, and the sink takes messages from a Store."""
    import simpy

    def run(n_rounds: int) -> Callable[[], Lengths]:
        env = simpy.Environment()
        links = [simpy.Resource(env) for _ in range(n_devices)]
        inbox = simpy.Store(env)
        ends_s: list[float] = []

        def device(number: int) -> Generator[simpy.Event, Any, None]:
            yield env.timeout(COMPUTE_S)
            with links[number].request() as turn:
                yield turn
                yield env.timeout(SEND_S)
            yield env.timeout(LATENCY_S)
            inbox.put(number)

        def sink() -> Generator[simpy.Event, Any, None]:
            for _ in range(n_rounds):
                for number in range(n_devices):
                    env.process(device(number))
                for _ in range(n_devices):
                    yield inbox.get()
                ends_s.append(env.now)

        env.process(sink())
        env.run()
        return partial(lengths, ends_s)

    return run


# ---- other simulators


def in_leaf(n_devices: int, *, has_queues: bool = True) -> Run:
    """LEAF: tasks take compute units of a node, data flows take bandwidth of a link; SimPy processes say for how long.

    LEAF itself knows no transfer time; the script waits for size / bandwidth + latency, both read from the link. A data flow that
    finds no bandwidth left is an error of LEAF, so that messages wait their turn at a `Resource` of their link, as they do
    in every other script but `by_processes`. Nodes, tasks and data flows are made once. No power is measured.

    Parameters
    ----------
    n_devices : number of devices.
    has_queues : False: nothing waits for a link, which is possible as long as no two messages meet there.
    """
    import simpy
    from leaf.application import DataFlow, ProcessingTask
    from leaf.infrastructure import Infrastructure, Link, Node
    from leaf.power import PowerModelLink

    infrastructure = Infrastructure()
    sink = Node("sink")
    parts = []
    for number in range(n_devices):
        node = Node(f"w{number}", cu=1)
        link = Link(node, sink, BANDWIDTH_BIT_PER_S, PowerModelLink(0), LATENCY_S)
        infrastructure.add_link(link)
        parts.append((node, link, ProcessingTask(cu=1), DataFlow(bit_rate=BANDWIDTH_BIT_PER_S)))

    def run(n_rounds: int) -> Callable[[], Lengths]:
        env = simpy.Environment()
        parts_of_run = [(*part, simpy.Resource(env)) for part in parts]
        ends_s: list[float] = []

        def device(
            node: Node, link: Link, task: ProcessingTask, flow: DataFlow, queue: simpy.Resource
        ) -> Generator[simpy.Event, Any, None]:
            task.allocate(node)
            yield env.timeout(COMPUTE_S)
            task.deallocate()
            with queue.request() as turn:
                yield turn
                flow.allocate([link])
                yield env.timeout(8 * SIZE_BYTE / link.bandwidth)
                flow.deallocate()
            yield env.timeout(link.latency)

        def device_alone(
            node: Node, link: Link, task: ProcessingTask, flow: DataFlow, _: simpy.Resource
        ) -> Generator[simpy.Event, Any, None]:
            task.allocate(node)
            yield env.timeout(COMPUTE_S)
            task.deallocate()
            flow.allocate([link])
            yield env.timeout(8 * SIZE_BYTE / link.bandwidth)
            flow.deallocate()
            yield env.timeout(link.latency)

        one = device if has_queues else device_alone

        def rounds() -> Generator[simpy.Event, Any, None]:
            for _ in range(n_rounds):
                yield env.all_of([env.process(one(*part)) for part in parts_of_run])
                ends_s.append(env.now)

        env.process(rounds())
        env.run()
        return partial(lengths, ends_s)

    return run


def in_ns_py(n_devices: int) -> Run:
    """ns.py: every message is a packet that crosses a Port, which has the rate, and a Wire, which has the delay; both are made once for each run."""
    import simpy
    from ns.packet.packet import Packet
    from ns.port.port import Port
    from ns.port.wire import Wire

    def run(n_rounds: int) -> Callable[[], Lengths]:
        env = simpy.Environment()
        ends_s: list[float] = []

        class Sink:
            n_missing = 0

            def put(self, _: Packet) -> None:
                self.n_missing -= 1
                if self.n_missing == 0:
                    ends_s.append(env.now)
                    if len(ends_s) < n_rounds:
                        begin()

        sink = Sink()
        ports = []
        for _ in range(n_devices):
            port = Port(env, BANDWIDTH_BIT_PER_S)
            port.out = Wire(env, lambda: LATENCY_S)
            port.out.out = sink
            ports.append(port)

        def begin() -> None:
            sink.n_missing = n_devices
            for number, port in enumerate(ports):
                env.process(device(number, port))

        def device(number: int, port: Port) -> Generator[simpy.Event, Any, None]:
            yield env.timeout(COMPUTE_S)
            port.put(Packet(env.now, SIZE_BYTE, number))

        begin()
        env.run()
        return partial(lengths, ends_s)

    return run


# ---- with random times and losses


def random_by_numpy(n_devices: int) -> Run:
    """Arrays over as many rounds as the cache holds; latency, energy, traffic, and which messages were lost of each round.

    One numpy Generator (PCG64) draws the times, then the losses.
    """
    import numpy as np

    n_at_once = max(1, 2**15 // n_devices)
    fixed_j = n_devices * ((BUSY_W - IDLE_W) * COMPUTE_S + 2 * (RADIO_W - IDLE_W) * SEND_S)

    def run(n_rounds: int) -> Callable[[], Lengths]:
        generator = np.random.default_rng(SEED)
        latency_s, energy_j = room(n_rounds, "f8", "latency"), room(n_rounds, "f8", "energy")
        traffic_byte, is_lost = room(n_rounds, "i8", "traffic"), room((n_devices, n_rounds), "?", "lost")
        traffic_byte[:] = n_devices * SIZE_BYTE
        for start in range(0, n_rounds, n_at_once):
            here = slice(start, min(start + n_at_once, n_rounds))
            shape = (n_devices, here.stop - here.start)
            arrived_s = generator.standard_exponential(shape)
            arrived_s *= COMPUTE_S / MU
            busy_j = (BUSY_W - IDLE_W) * arrived_s.sum(axis=0) + fixed_j
            arrived_s += ROUND_S
            np.copyto(arrived_s, np.inf, where=generator.random(shape) < LOSS)
            np.minimum(arrived_s.max(axis=0), DEADLINE_S, out=latency_s[here])
            np.greater_equal(arrived_s, DEADLINE_S, out=is_lost[:, here])
            np.add(busy_j, (n_devices + 1) * IDLE_W * latency_s[here], out=energy_j[here])
        return lambda: random_rounds(n_devices, latency_s, energy_j, traffic_byte, is_lost.sum(axis=0))

    return run


def random_by_numpy_alone(n_devices: int) -> Run:
    """As `random_by_numpy`, for the latency and nothing else."""
    import numpy as np

    n_at_once = max(1, 2**15 // n_devices)

    def run(n_rounds: int) -> Callable[[], Lengths]:
        generator = np.random.default_rng(SEED)
        latency_s = room(n_rounds, "f8", "latency")
        for start in range(0, n_rounds, n_at_once):
            here = slice(start, min(start + n_at_once, n_rounds))
            shape = (n_devices, here.stop - here.start)
            arrived_s = generator.standard_exponential(shape)
            np.copyto(arrived_s, np.inf, where=generator.random(shape) < LOSS)
            latency_s[here] = arrived_s.max(axis=0)
        latency_s *= COMPUTE_S / MU
        latency_s += ROUND_S
        np.minimum(latency_s, DEADLINE_S, out=latency_s)
        return lambda: latency_s

    return run


def random_by_callbacks(n_devices: int) -> Run:
    """As `by_callbacks`, with the draws: every round is a trial with an event loop of its own, which ends at the deadline.

    One numpy Generator draws a time when a device begins and a loss when it has sent. Of each round its latency, energy and traffic
    and the lost messages are kept, those that come after the deadline among them.
    """
    import numpy as np
    import simpy

    def run(n_rounds: int) -> Callable[[], Lengths]:
        generator = np.random.default_rng(SEED)
        exponential, uniform = generator.standard_exponential, generator.random
        latencies_s: list[float] = []
        energies_j: list[float] = []
        n_lost: list[int] = []

        def trial() -> None:
            env = simpy.Environment()
            timeout = env.timeout
            n_missing = n_devices
            active_j = 0.0
            n_arrived = 0
            end = env.event()

            def computed(event: simpy.Event) -> None:
                timeout(SEND_S, event.value).callbacks.append(sent)

            def sent(_: simpy.Event) -> None:
                nonlocal active_j
                active_j += 2 * (RADIO_W - IDLE_W) * SEND_S
                if uniform() >= LOSS:
                    timeout(LATENCY_S).callbacks.append(arrived)

            def arrived(_: simpy.Event) -> None:
                nonlocal n_missing, n_arrived
                n_missing -= 1
                n_arrived += 1
                if n_missing == 0:
                    end.succeed()

            for device in range(n_devices):
                busy_s = COMPUTE_S * (1.0 + exponential() / MU)
                active_j += (BUSY_W - IDLE_W) * busy_s
                timeout(busy_s, device).callbacks.append(computed)
            env.run(end | timeout(DEADLINE_S))
            latencies_s.append(env.now)
            energies_j.append(active_j + (n_devices + 1) * IDLE_W * env.now)
            n_lost.append(n_devices - n_arrived)

        for _ in range(n_rounds):
            trial()
        return lambda: random_rounds(
            n_devices,
            np.array(latencies_s),
            np.array(energies_j),
            np.full(n_rounds, n_devices * SIZE_BYTE),
            np.array(n_lost),
        )

    return run


FIXED: dict[str, Callable[[int], Run]] = {
    "SimPy, callbacks": by_callbacks,
    "SimPy, callbacks, with records": by_records,
    "edgesim, event engine": in_event_engine,
    "edgesim, event engine with meters": in_event_engine_with_meters,
    "SimPy, processes": by_processes,
    "SimPy, processes, Resource, Store": by_resources,
    "LEAF": in_leaf,
    "LEAF, links without queues": partial(in_leaf, has_queues=False),
    "ns.py": in_ns_py,
}
RANDOM: dict[str, Callable[[int], Run]] = {
    "numpy": random_by_numpy,
    "numpy, latency alone": random_by_numpy_alone,
    "edgesim, array engine": random_in_array_engine,
    "SimPy, callbacks, random": random_by_callbacks,
    "edgesim, event engine, random": random_in_event_engine,
}
BY_ARRAYS = frozenset({"numpy", "numpy, latency alone", "edgesim, array engine"})
"""Contestants that take many rounds at once."""
ALONE: dict[str, Callable[[int], Run]] = {"SimPy's queue, as the event engine uses it": queue_alone}
"""What takes part of the time of a contestant; no round is simulated."""
PEERS = frozenset({"LEAF", "LEAF, links without queues", "ns.py"})
"""Contestants that may run in another environment."""


def measure(name: str, n_devices: int, n_rounds: int) -> dict[str, float]:
    """Run a contestant: a tenth of the rounds to warm up, of arrays as many, then all of them, timed."""
    run = (FIXED | RANDOM | ALONE)[name](n_devices)
    run(n_rounds if name in BY_ARRAYS else max(n_rounds // 10, 10))
    gc.collect()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    finish = run(n_rounds)
    cpu_s, wall_s = time.process_time() - begin_cpu, time.perf_counter() - begin
    peak_byte = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    simulated_s = 0.0 if name in ALONE else check(finish(), n_devices, n_rounds, is_random=name in RANDOM)
    return {"cpu_s": cpu_s, "wall_s": wall_s, "peak_byte": peak_byte, "simulated_s": simulated_s}


def counts(name: str, n_devices: int, n_rounds: int) -> dict[str, float]:
    """Return what each further round calls: functions of Python, and SimPy's queue for its next event."""
    run = (FIXED | RANDOM)[name](n_devices)
    run(10)
    few, many = (_called(run, n) for n in (n_rounds, 2 * n_rounds))
    return {what: (many[what] - few[what]) / n_rounds for what in many}


def _called(run: Run, n_rounds: int) -> dict[str, int]:
    found = {"calls": 0, "events": 0}

    def count(frame: FrameType, event: str, what: Any) -> None:
        found["calls"] += event == "call"
        found["events"] += event == "c_call" and what is heappop and frame.f_globals["__name__"] in LOOPS

    sys.setprofile(count)
    run(n_rounds)
    sys.setprofile(None)
    return found


def versions() -> dict[str, str]:
    """Return the versions of this Python and of what is installed for it."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main() -> int:
    """Print one measurement, or with ``versions`` what is installed."""
    if sys.argv[1:] == ["versions"]:
        print(json.dumps(versions()))
        return 0
    name, n_devices, n_rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        print(json.dumps((counts if sys.argv[4:] == ["COUNT"] else measure)(name, n_devices, n_rounds)))
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        return ABSENT
    return 0


if __name__ == "__main__":
    sys.exit(main())
