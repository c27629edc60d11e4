"""Where nothing is checked or fails meanwhile, and messages come as a whole or not at all, steps take a short way: it gives what the full one gives."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_arrays import ANY, CASES, GRID, WorkIsTime, networks, plans, star, students

from edgesim.arrivals.closed_loop import ClosedLoop
from edgesim.domain.records import Outage
from edgesim.engine.events import simulation
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.engine.servers.fifo import FifoStages
from edgesim.engine.state.world import World
from edgesim.failures.on_off import OnOff
from edgesim.failures.sampling.draw import draw_renewals
from edgesim.rng import Streams


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch):
    """Every other test is checked; see conftest.py."""
    monkeypatch.setattr(simulation, "World", World)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), is_on_grid=st.booleans())
def test_gives_what_the_full_way_gives(data, is_on_grid):
    """Random plans over random networks; the full way is taken when invariants are checked."""
    times = GRID if is_on_grid else ANY
    topology = data.draw(networks(times))
    program = compile_plan(data.draw(plans(topology, times)), topology, WorkIsTime())
    ticks = st.sampled_from([None, 3, 20])
    deadline, horizon = data.draw(ticks), data.draw(ticks)
    arrivals = ClosedLoop(data.draw(st.integers(1, 3)), times["tick_s"])
    failures = CASES[data.draw(st.sampled_from(["nothing", "losses", "twice", "packets", "two", "slow"]))]
    losses = {label: model for label, model in failures.items() if hasattr(model, "applies_to")}
    off = OnOff(15 * times["tick_s"], 2 * times["tick_s"], data.draw(st.sampled_from(["w*", "w0->*", "none"])))
    moments = st.integers(0, 30)
    outages = [
        Outage(target_id, *sorted(data.draw(st.tuples(moments, moments))))
        for target_id in data.draw(st.sets(st.sampled_from(["w0", "w1", "w0->w1"])))
    ]
    outages = [
        replace(one, start_s=one.start_s * times["tick_s"], end_s=one.end_s * times["tick_s"]) for one in outages
    ]
    slowdowns = {label: model for label, model in failures.items() if label not in losses}
    for what in (simulate, trace, partial(trace, has_stays=True, warm_up_s=times["tick_s"])):
        plain, checked = (
            what(
                program,
                losses=losses,
                slowdowns=slowdowns,
                arrivals=arrivals,
                n_requests=6,
                deadline_s=None if deadline is None else deadline * times["tick_s"],
                horizon_s=inf if horizon is None else horizon * times["tick_s"],
                streams=streams,
                outages=outages,
                renewals=draw_renewals({"off": off}, topology, streams),
                is_checked=is_checked,
            )
            for is_checked, streams in ((False, Streams(1).replication(0)), (True, Streams(1).replication(0)))
        )
        assert repr(plain) == repr(checked)  # NaN is not equal to itself


def test_is_taken_where_nothing_is_checked(monkeypatch):
    n_sent, cross = [0], FifoStages.cross

    def counted(self, task, line):
        is_sent = cross(self, task, line)
        n_sent[0] += is_sent
        return is_sent

    monkeypatch.setattr(FifoStages, "cross", counted)
    program = compile_plan(students(4), star(4, medium="air"), WorkIsTime())
    simulate(program, releases_s=(0.0, 0.001))
    assert n_sent[0] == 2 * 8
    simulate(program, releases_s=(0.0, 0.001), is_checked=True)
    assert n_sent[0] == 2 * 8
    simulate(program, losses=CASES["twice"], streams=Streams(1).replication(0))
    assert n_sent[0] > 2 * 8 + 4
    n_sent[0] = 0
    simulate(program, losses=CASES["packets"], streams=Streams(1).replication(0))
    assert n_sent[0] == 0
