"""Trials one after another, of which what is the same is set up once: each is what it is alone, whatever came before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_arrays import ANY, CASES, GRID, WorkIsTime, networks, plans, star, students

from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Topology
from edgesim.engine.events import simulation
from edgesim.engine.events.simulation import Simulation, simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.engine.state.clock import Clock
from edgesim.engine.state.world import World
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.gilbert_elliott import GilbertElliott
from edgesim.failures.jitter import Jitter
from edgesim.failures.on_off import OnOff
from edgesim.failures.sampling.draw import draw_renewals, loss_models, slowdown_models
from edgesim.failures.stragglers import ShiftedExponential
from edgesim.network.transport import Arq, Tcp
from edgesim.rng import Stream, Streams

BURSTS = {"burst": GilbertElliott(loss=0.3, burst=3.0), "jitter": Jitter(0.001)}


@st.composite
def any_network(draw, times):
    """As `networks`, with what keeps something from one message to the next."""
    topology = draw(networks(times))
    is_by_packets = draw(st.booleans())
    transports = st.sampled_from([None, Arq(1, times["tick_s"]), Tcp(), Tcp(persistent=True)])
    kinds = st.sampled_from(["fifo", "fair"])
    links = tuple(
        replace(
            link,
            transport=None if is_by_packets else draw(transports),
            medium_id=None,
            sharing="fifo_packets" if is_by_packets else draw(kinds),
            on_outage="lost" if is_by_packets else link.on_outage,
            first_message_s=draw(st.sampled_from([0.0, times["tick_s"]])),
        )
        for link in topology.links
    )
    devices = tuple(replace(one, sharing=draw(st.sampled_from(["fifo", "fair"]))) for one in topology.devices)
    return Topology(devices, links)


@settings(max_examples=150)
@given(data=st.data(), is_on_grid=st.booleans(), is_plain=st.booleans())
def test_a_trial_is_what_it_is_alone(data, is_on_grid, is_plain, monkeypatch_module):
    times = GRID if is_on_grid else ANY
    topology = data.draw(networks(times) if is_plain else any_network(times))
    program = compile_plan(data.draw(plans(topology, times)), topology, WorkIsTime())
    failures = (CASES | {"bursts": BURSTS})[
        data.draw(st.sampled_from(["nothing", "losses", "rare", "two", "slow", "bursts"]))
    ]
    if data.draw(st.booleans()):
        failures = {**failures, "off": OnOff(20 * times["tick_s"], 2 * times["tick_s"], "w*")}
    deadline_s = data.draw(st.sampled_from([None, 20 * times["tick_s"]]))
    drawn = {"losses": loss_models(failures, topology), "slowdowns": slowdown_models(failures, topology)}
    streams = Streams(1)
    moving = streams.replication(0)
    one_by_one = Simulation(program, streams=moving, deadline_s=deadline_s, **drawn)
    for index in data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=5)):
        outages = [Outage("w0", 0.0, times["tick_s"])] if data.draw(st.booleans()) else []
        releases_s = (0.0, times["tick_s"])[: data.draw(st.integers(1, 2))]
        own = streams.replication(index)
        moving.go_to(index)
        options = {"outages": outages, "releases_s": releases_s}
        found = one_by_one.run(renewals=draw_renewals(failures, topology, moving), **options)
        alone = simulate(
            program, streams=own, deadline_s=deadline_s, renewals=draw_renewals(failures, topology, own), **drawn, **options
        )  # fmt: skip
        assert repr(found) == repr(alone)  # NaN is not equal to itself
        assert moving.weight == own.weight


@pytest.fixture(scope="module")
def monkeypatch_module():
    """Trials of this module that are not checked take the short ways, too; see conftest.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "World", World)
        yield patch


class Counted(Bernoulli):
    """Counts how often it is asked what it applies to."""

    n = 0

    def applies_to(self, link):
        Counted.n += 1
        return super().applies_to(link)


class CountedSlowdown(ShiftedExponential):
    def slows(self, device):
        Counted.n += 1
        return super().slows(device)


def test_what_is_the_same_in_all_trials_is_found_once():
    """So often as there are links and devices, however many trials there are."""
    topology = star(4)
    program = compile_plan(students(4), topology, WorkIsTime())
    n_asked = []
    for n_trials in (2, 20):
        Counted.n = 0
        streams = Streams(1).replication(0)
        one_by_one = Simulation(
            program, losses={"loss": Counted(0.1)}, slowdowns={"slow": CountedSlowdown(2.0)}, streams=streams
        )
        for index in range(n_trials):
            streams.go_to(index)
            one_by_one.run()
        n_asked.append(Counted.n)
    assert n_asked[0] == n_asked[1] <= len(topology.links) + len(topology.devices)


@pytest.mark.parametrize("failures", [{}, CASES["losses"], CASES["slow"]], ids=["nothing", "losses", "slow"])
def test_what_happens_in_a_trial_grows_with_the_devices_alone(failures, monkeypatch_module):
    """Three things for each device: it hears, it has computed, it is heard; and each stream is made once for all trials."""
    n_events, n_streams, happen, made = [0], [0], Clock.happen, Stream.__init__

    def counted(self, *arguments):
        happen(self, *arguments)
        n_events[0] += self.n_events

    def counted_stream(self, *arguments):
        n_streams[0] += 1
        made(self, *arguments)

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clock, "happen", counted)
        patch.setattr(Stream, "__init__", counted_stream)
        for n_devices in (4, 8, 16):
            program = compile_plan(students(n_devices), star(n_devices), WorkIsTime())
            streams = Streams(1).replication(0)
            drawn = {"losses": loss_models(failures, star(1)), "slowdowns": slowdown_models(failures, star(1))}
            one_by_one = Simulation(program, streams=streams, **drawn)
            n_events[0] = n_streams[0] = 0
            for index in range(10):
                streams.go_to(index)
                one_by_one.run()
            found[n_devices] = n_events[0], n_streams[0]
    assert all(20 * n_devices < events <= 10 * (3 * n_devices + 3) for n_devices, (events, _) in found.items())
    assert all(made <= 2 * n_devices + 1 for n_devices, (_, made) in found.items())
