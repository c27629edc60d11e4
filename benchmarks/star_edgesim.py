"""The star in edgesim: the event engine, with and without meters and draws, and the array engine.

edgesim is imported when a contestant is made, so that this module can be imported where only other simulators are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
    TOLERANCE,
    Lengths,
    Run,
    completed,
    random_rounds,
    room,
)


def program_of(n_devices: int, deadline_s: float | None) -> Any:
    """Return the plan of a round, compiled once; with a deadline the sink goes on without what is missing."""
    from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
    from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
    from edgesim.engine.program.compiled import compile_plan

    class WorkIsTime:
        def duration_s(self, step: Compute, profile: DeviceProfile) -> float:  # noqa: ARG002 - the seam's form
            return sum(work.work_flop for work in step.work) / 1e9

    profile = DeviceProfile("star", {"conv": 1e9}, 1e9, 0.0, 2**40, IDLE_W, BUSY_W, RADIO_W, RADIO_W, "assumed")
    names = [f"w{number}" for number in range(n_devices)]
    work = (LayerWork("x", "conv", COMPUTE_S * 1e9, 0),)
    waits: Any = {} if deadline_s is None else {"on_missing": "degrade", "deadline_s": deadline_s}
    steps = (
        *(Compute(f"compute {name}", name, work) for name in names),
        *(Transfer(f"send {name}", name, "sink", SIZE_BYTE, "x", "result", (f"compute {name}",)) for name in names),
        Compute("end", "sink", (), tuple(f"send {name}" for name in names), **waits),
    )
    topology = Topology(
        tuple(Device(name, profile) for name in ("sink", *names)),
        tuple(Link(f"{name}->sink", name, "sink", BANDWIDTH_BIT_PER_S, LATENCY_S) for name in names),
    )
    return compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())


def in_event_engine(n_devices: int) -> Run:
    """The event engine of edgesim: the rounds are the requests of one client, each with its record."""
    from edgesim.arrivals.closed_loop import ClosedLoop
    from edgesim.engine.events.simulation import simulate
    from edgesim.rng import Streams

    program = program_of(n_devices, None)

    def run(n_rounds: int) -> Callable[[], Lengths]:
        streams = Streams(SEED).replication(0)
        records = simulate(program, arrivals=ClosedLoop(), n_requests=n_rounds, streams=streams)
        return partial(completed, n_devices, records)

    return run


def in_event_engine_with_meters(n_devices: int) -> Run:
    """As `in_event_engine`, with utilisation and queues of every device and link."""
    from edgesim.arrivals.closed_loop import ClosedLoop
    from edgesim.engine.events.simulation import trace
    from edgesim.rng import Streams

    program = program_of(n_devices, None)

    def run(n_rounds: int) -> Callable[[], Lengths]:
        streams = Streams(SEED).replication(0)
        done = trace(program, arrivals=ClosedLoop(), n_requests=n_rounds, streams=streams)
        return partial(metered, n_devices, done)

    return run


def metered(n_devices: int, done: Any) -> Lengths:
    """Return the latencies of a trace; every device and link must have been used for its share of the time."""
    for one in done.resources:
        share = {"device": COMPUTE_S, "link": SEND_S}[one.kind] / ROUND_S if one.resource_id != "sink" else 0.0
        if abs(one.utilisation - share) > TOLERANCE:
            raise SystemExit(f"{one.resource_id} is used for {one.utilisation} of the time, not {share}")
    return completed(n_devices, done.records)


def disturbances() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what loses messages and what slows devices."""
    from edgesim.failures.bernoulli import Bernoulli
    from edgesim.failures.stragglers import ShiftedExponential

    return {"loss": Bernoulli(LOSS)}, {"slow": ShiftedExponential(MU, devices="w*")}


def random_in_event_engine(n_devices: int) -> Run:
    """The event engine of edgesim: every round is a trial with its own streams, as in a study."""
    from edgesim.engine.events.simulation import Simulation
    from edgesim.rng import Streams

    program = program_of(n_devices, DEADLINE_S)
    losses, slowdowns = disturbances()

    def run(n_rounds: int) -> Callable[[], Lengths]:
        records = []
        streams = Streams(SEED).replication(0)
        simulation = Simulation(program, losses=losses, slowdowns=slowdowns, streams=streams)
        for number in range(n_rounds):
            streams.go_to(number)
            records += simulation.run()
        return partial(drawn, n_devices, records)

    return run


def queue_alone(n_devices: int) -> Run:
    """The clock of the event engine with as many moments as `random_in_event_engine` has, at which nothing is done but to plan the next one."""
    import numpy as np

    from edgesim.engine.state.clock import Clock

    generator = np.random.default_rng(SEED)
    computed_s = (COMPUTE_S * (1 + generator.standard_exponential((64, n_devices)) / MU)).tolist()

    def run(n_rounds: int) -> Callable[[], Lengths]:
        clock = Clock()
        after = clock.after

        def nothing(_: float) -> None:
            pass

        def sent(_: float) -> None:
            after(SEND_S + LATENCY_S, nothing, 0.0)

        def begin(delays_s: list[float]) -> None:
            after(DEADLINE_S, nothing, 0.0)
            for delay_s in delays_s:
                after(delay_s, sent, 0.0)

        for number in range(n_rounds):
            clock.begin()
            clock.at(0.0, begin, computed_s[number % 64])
            clock.happen(DEADLINE_S, None)
        return lambda: [0.0] * n_rounds

    return run


def drawn(n_devices: int, records: list[Any]) -> Lengths:
    """Return the latencies of random requests."""
    latency_s = [record.latency_s for record in records]
    energy_j, traffic_byte = [record.energy_j for record in records], [record.result_byte for record in records]
    return random_rounds(n_devices, latency_s, energy_j, traffic_byte, [record.lost.bit_count() for record in records])


def random_in_array_engine(n_devices: int) -> Run:
    """The array engine of edgesim: the same trials as of `random_in_event_engine`, in parts as those of a study."""
    from edgesim.engine.arrays.losses import DrawnLosses
    from edgesim.engine.arrays.program import array_program, held_byte
    from edgesim.engine.arrays.trials import simulate_batch
    from edgesim.study.cases.tasks import MOST_BYTE, PART, SIZES

    program = program_of(n_devices, DEADLINE_S)
    ready, n_most = array_program(program), min(PART, MOST_BYTE // held_byte(program, may_be_down=False))
    n_at_once = next(size for size in SIZES if size <= n_most)
    losses, slowdowns = disturbances()

    def run(n_rounds: int) -> Callable[[], Lengths]:
        from edgesim.rng import Streams

        latency_s, energy_j = room(n_rounds, "f8", "latency"), room(n_rounds, "f8", "energy")
        traffic_byte, is_lost = room(n_rounds, "i8", "traffic"), room((n_devices, n_rounds), "?", "lost")
        streams = Streams(SEED)
        for start in range(0, n_rounds, n_at_once):
            here = slice(start, min(start + n_at_once, n_rounds))
            batch = streams.batch(start, here.stop)
            drawn = DrawnLosses(losses, batch)
            found = simulate_batch(ready, batch.n, down={}, losses=drawn, slowdowns=slowdowns, streams=batch)
            if not found.is_valid.all():
                raise SystemExit("trials were left to the event engine")
            latency_s[here], energy_j[here], is_lost[:, here] = found.latency_s, found.energy_j, found.is_lost
            found.traffic_byte.sum(axis=0, out=traffic_byte[here])
        return lambda: random_rounds(n_devices, latency_s, energy_j, traffic_byte, is_lost.sum(axis=0))

    return run
