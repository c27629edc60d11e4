"""Messages on fair links: what they have sent when a trial ends, and when they are interrupted again and again."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.arrivals.periodic import Periodic
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage, Trace
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 0.0, 0.0, 2.0, 1.5, "assumed")
"""Only sending (2 W) and receiving (1.5 W) take power."""


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def run(*outages: Outage, n: int = 1, on_outage: Any = "resume", **options: Any) -> Trace:
    """a sends 1,250 byte over 1 Mbit/s to b, which take 10 ms alone; n requests at the same moment."""
    steps = (
        Compute("begin", "a"), Transfer("t", "a", "b", 1250, "x", "result", ("begin",)), Compute("end", "b", (), ("t",))
    )  # fmt: skip
    link = Link("a->b", "a", "b", 1e6, 0.0, sharing="fair", on_outage=on_outage)
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (link,))
    program = compile_plan(Plan(steps, "end", {}), topology, NoTime())
    options = {"arrivals": Periodic(1e-12), "n_requests": n, **options}
    return trace(program, streams=Streams(1).replication(0), outages=outages, is_checked=True, **options)


def test_what_was_sent_when_a_trial_ends_counts() -> None:
    """Two messages share the link for 8 ms of 20: 500 byte each, and 4 ms of sending and receiving."""
    for record in run(n=2, horizon_s=0.008).records:
        assert record.outcome == "unfinished"
        assert record.result_byte == pytest.approx(500, abs=1)
        assert record.energy_j == pytest.approx(3.5 * 0.004)


def test_a_message_goes_on_after_every_outage() -> None:
    """10 ms of sending with outages from 2 to 3 and from 5 to 9 ms: there at 15 ms, every byte and joule once."""
    (record,) = run(Outage("a->b", 0.002, 0.003), Outage("a->b", 0.005, 0.009)).records
    assert (record.outcome, record.result_byte) == ("completed", 1250)
    assert record.latency_s == pytest.approx(0.015)
    assert record.energy_j == pytest.approx(3.5 * 0.010)


def test_a_link_goes_down_for_all_its_messages_each_time() -> None:
    """Two messages lose the link from 4 to 5 and from 8 to 9 ms, of which 20 ms are needed: both there at 22 ms."""
    records = run(Outage("a->b", 0.004, 0.005), Outage("a->b", 0.008, 0.009), n=2).records
    assert [record.latency_s for record in records] == pytest.approx([0.022, 0.022])
    assert [record.result_byte for record in records] == [1250, 1250]


def test_a_lost_link_ends_a_message_where_it_was() -> None:
    """Down at 4 ms of 10: 500 byte were sent, and nothing follows."""
    (record,) = run(Outage("a->b", 0.004, 0.005), on_outage="lost").records
    assert (record.outcome, record.result_byte) == ("failed", 500)
    assert record.energy_j == pytest.approx(3.5 * 0.004)
