"""Rates that change with time: messages under way go on at the new rate, and nothing is lost or invented by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, Trace
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.engine.arrays.program import obstacle
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.engine.state.pace import Pace
from edgesim.errors import PlanError, SimulationError
from edgesim.failures.sampling.draw import batch_obstacle, device_speeds
from edgesim.failures.slowdowns import Slowdowns, SlowdownStep
from edgesim.network.rates import RateStep, Steps
from edgesim.network.transport import Arq, Tcp

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**12, 1.0, 3.0, 2.0, 1.5, "assumed")
NEAR = 1e-12


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def steps(*pairs: tuple[float, float], period_s: float | None = None) -> Steps:
    return Steps(tuple(RateStep(time_s, rate) for time_s, rate in pairs), period_s)


def system(sizes: Sequence[int], *links: Link, media: tuple[Medium, ...] = ()) -> Program:
    """Messages of some sizes, all at once, from the first to the last device of a chain of links."""
    names = [links[0].src_id, *(link.dst_id for link in links)]
    made: list[Compute | Transfer] = [
        Transfer(f"m{i}", names[0], names[-1], size, "x", "intermediate") for i, size in enumerate(sizes)
    ]
    made.append(Compute("end", names[-1], (), tuple(step.step_id for step in made), 0, "wait", None))
    topology = Topology(tuple(Device(name, PROFILE) for name in names), links, media)
    return compile_plan(Plan(tuple(made), "end", {}), topology, WorkIsTime())


def link(rate_at: Any = None, **options: Any) -> Link:
    return Link("a->b", "a", "b", 1e6, **{"rate_at": rate_at, **options})


def run(program: Program, **options: Any) -> Trace:
    return trace(program, is_checked=True, has_stays=True, **options)


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_a_message_under_way_goes_on_at_the_new_rate(sharing: Any) -> None:
    """1,250 byte on 1 Mbit/s until 5 ms, then on 0.5 Mbit/s: 5 ms for 5,000 bit and 10 ms for the others."""
    record = run(system([1250], link(steps((0.005, 0.5e6)), sharing=sharing))).records[0]
    assert record.latency_s == pytest.approx(0.015, rel=NEAR)
    assert record.intermediate_byte == 1250
    # idle 1 W of two devices, 1 W more to send and 0.5 W more to receive, all over 15 ms
    assert record.energy_j == pytest.approx((2 * 1.0 + 1.0 + 0.5) * 0.015, rel=NEAR)


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
@pytest.mark.parametrize("place", ["link", "medium"])
def test_a_rate_may_be_0_for_a_while(sharing: Any, place: str) -> None:
    """5 ms at 1 Mbit/s, nothing until 105 ms, then what is left; while nothing is sent, nobody sends or receives."""
    rate_at = steps((0.0, 1e6), (0.005, 0.0), (0.105, 1e6))
    if place == "link":
        program = system([1250], link(rate_at, sharing=sharing))
    else:
        program = system([1250], link(None, medium_id="air"), media=(Medium("air", sharing, 0.0, rate_at),))
    record = run(program).records[0]
    assert record.latency_s == pytest.approx(0.110, rel=NEAR)
    assert record.energy_j == pytest.approx(2 * 1.0 * 0.110 + 1.5 * 0.010, rel=NEAR)


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_a_rate_that_is_0_at_first(sharing: Any) -> None:
    record = run(system([1250], link(steps((0.0, 0.0), (1.0, 2e6)), sharing=sharing))).records[0]
    assert record.latency_s == pytest.approx(1.005, rel=NEAR)


def test_steps_come_again_after_a_period() -> None:
    """1 ms on, 1 ms off: 10 ms of sending take 19 ms; the last rate holds until the first step of the next period."""
    on_off = steps((0.0, 1e6), (0.001, 0.0), period_s=0.002)
    assert run(system([1250], link(on_off))).records[0].latency_s == pytest.approx(0.019, rel=NEAR)
    late = steps((0.001, 0.0), (0.002, 1e6), period_s=0.003)
    assert run(system([1250], link(late))).records[0].latency_s == pytest.approx(0.015, rel=NEAR)


def test_links_of_a_medium_have_the_lower_of_two_rates() -> None:
    """The medium's 0.4 Mbit/s from 1 ms on, the link's 0.2 from 2 ms on: 1,000 + 400 bit, and 8,600 at 0.2."""
    air = Medium("air", "fifo", 0.0, steps((0.001, 0.4e6)))
    program = system([1250], link(steps((0.002, 0.2e6)), medium_id="air"), media=(air,))
    assert run(program).records[0].latency_s == pytest.approx(0.002 + 8600 / 0.2e6, rel=NEAR)


def test_the_overhead_takes_as_long_as_ever() -> None:
    """2 ms of overhead, in which the rate halves, then 10,000 bit at 0.5 Mbit/s."""
    program = system([1250], link(steps((0.001, 0.5e6)), message_overhead_s=0.002))
    assert run(program).records[0].latency_s == pytest.approx(0.022, rel=NEAR)


def test_fair_transfers_share_the_new_rate() -> None:
    """Two messages share 1 Mbit/s until 5 ms, then 0.5: 20,000 bit in all end after 5 + 30 ms, both together."""
    record = run(system([1250, 1250], link(steps((0.005, 0.5e6)), sharing="fair")))
    assert record.records[0].latency_s == pytest.approx(0.035, rel=NEAR)


def test_a_blocked_way_blocks_no_other() -> None:
    """Messages to b and c share the link to h; c's own link is off at first, so b has the shared link alone."""
    links = (
        Link("a->h", "a", "h", 1e6, sharing="fair"),
        Link("h->b", "h", "b", 1e9, sharing="fair"),
        Link("h->c", "h", "c", 1e9, sharing="fair", rate_at=steps((0.0, 0.0), (0.010, 1e9))),
    )
    made = (
        Transfer("mb", "a", "b", 1250, "x", "intermediate"), Transfer("mc", "a", "c", 1250, "x", "intermediate"),
        Compute("cb", "b", (), ("mb",), 0, "wait", None), Compute("cc", "c", (), ("mc",), 0, "wait", None),
    )  # fmt: skip
    topology = Topology(tuple(Device(name, PROFILE) for name in "abch"), links)
    program = compile_plan(Plan(made, "cc", {}), topology, WorkIsTime())
    ends = {(stay.step_id, stay.resource_id): stay.ended_s for stay in run(program).stays}
    assert ends["mb", "a->h"] == pytest.approx(0.010, rel=1e-9)
    assert ends["mc", "a->h"] == pytest.approx(0.020, rel=1e-9)


def test_an_outage_and_a_horizon_cut_where_the_message_is() -> None:
    """At 10 ms 7,500 of 10,000 bit have left: 937 byte; resumed at 20 ms the rest takes 5 ms at 0.5 Mbit/s."""
    changing = steps((0.005, 0.5e6))
    record = run(system([1250], link(changing)), outages=[Outage("a->b", 0.010, inf)]).records[0]
    assert record.intermediate_byte == 937
    record = run(system([1250], link(changing)), horizon_s=0.010).records[0]
    assert record.intermediate_byte == 937
    record = run(system([1250], link(changing, on_outage="resume")), outages=[Outage("a->b", 0.010, 0.020)]).records[0]
    assert record.latency_s == pytest.approx(0.025, rel=NEAR)
    assert record.intermediate_byte == 1250


def test_acknowledgements_come_at_the_present_rate() -> None:
    """Two windows of one packet, 8 ms each at 1 Mbit/s, 16 ms when the rate halves; a round trip of 20 ms between them."""
    options = {"transport": Tcp(initial_window=1, handshake=False), "mtu_byte": 1000, "latency_s": 0.010}
    record = run(system([2000], link(steps((0.0, 0.5e6)), **options))).records[0]
    assert record.latency_s == pytest.approx(0.016 + 0.020 + 0.016 + 0.010, rel=NEAR)
    slow = run(system([2000], Link("a->b", "a", "b", 0.5e6, **options))).records[0]
    assert record.latency_s == pytest.approx(slow.latency_s, rel=NEAR)


def test_what_is_not_modelled_is_refused() -> None:
    devices = (Device("a", PROFILE), Device("b", PROFILE))
    with pytest.raises(PlanError, match="cut_through"):
        Topology(devices, (link(steps((0.0, 1e6))),), forwarding="cut_through")
    assert "rate of link 'a->b' changes" in obstacle(system([1], link(steps((0.0, 1e6)))))
    for wrong in (
        (), ((0.0, 0.0),), ((0.0, 1e6), (1.0, 0.0)), ((1.0, 1e6), (1.0, 2e6)), ((2.0, 1e6), (1.0, 2e6)),
    ):  # fmt: skip
        with pytest.raises(PlanError):
            steps(*wrong)
    for wrong in (((0.0, 0.0),), ((2.0, 1e6),)):
        with pytest.raises(PlanError):
            steps(*wrong, period_s=1.0)
    with pytest.raises(SimulationError, match="lets nothing end"):
        Pace([(0.0, 0.0)]).end_s(0.0, 1.0)


@st.composite
def schedules(draw: st.DrawFn) -> Steps:
    times = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=5)))
    rates = [draw(st.sampled_from((0.0, 0.25e6, 1e6, 3e6))) for _ in times]
    rates[-1] = max(rates[-1], 0.1e6)
    period_s = draw(st.sampled_from((None, 0.05, 0.1)))
    return steps(*((time / 1000, rate) for time, rate in zip(times, rates, strict=True)), period_s=period_s)


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[int], list[dict[str, Any]], tuple[Medium, ...]]:
    """Sizes of messages, options of two links in a row, and a medium that both may share."""
    sizes = draw(st.lists(st.sampled_from((0, 1, 700, 2500)), min_size=1, max_size=4))
    options = [
        {
            "latency_s": draw(st.sampled_from((0.0, 0.003))), "message_overhead_s": draw(st.sampled_from((0.0, 0.002))),
            "mtu_byte": draw(st.sampled_from((100, 1472))), "header_byte": draw(st.sampled_from((0, 20))),
            "sharing": draw(st.sampled_from(("fifo", "fair"))), "medium_id": draw(st.sampled_from((None, "air"))),
            "transport": draw(st.sampled_from((None, Arq(2), Tcp(initial_window=2)))),
        }
        for _ in range(2)
    ]  # fmt: skip
    sharing = draw(st.sampled_from(("fifo", "fair")))
    return sizes, options, (Medium("air", sharing),)


def chain(made: tuple[list[int], list[dict[str, Any]], tuple[Medium, ...]], rates: Sequence[Any]) -> Program:
    """The rates are those of the two links and of the medium."""
    sizes, options, media = made
    ends = (("a", "b"), ("b", "c"))
    links = [
        Link(f"{src}->{dst}", src, dst, 1e6, **one, rate_at=rate)
        for (src, dst), one, rate in zip(ends, options, rates[:2], strict=True)
    ]
    return system(sizes, *links, media=(Medium("air", media[0].sharing, 0.0, rates[2]),))


def summary(found: Trace) -> list[float]:
    record = found.records[0]
    return [record.latency_s, record.energy_j, record.intermediate_byte, *(one.utilisation for one in found.resources)]


@given(chains(), st.lists(schedules(), min_size=3, max_size=3))
def test_bytes_are_conserved(made: Any, rates: list[Steps]) -> None:
    """With any rates the same bytes are sent as with constant ones, everything arrives, and the invariants hold."""
    constant = run(chain(made, (None, None, None)))
    changing = run(chain(made, rates))
    assert changing.records[0].intermediate_byte == constant.records[0].intermediate_byte
    assert changing.records[0].outcome == "completed"


@given(chains())
def test_a_constant_schedule_is_a_constant_rate(made: Any) -> None:
    """Steps that all say the bandwidth change nothing, nor does a limit above it."""
    same = steps((0.0, 1e6), (0.004, 1e6), period_s=0.009)
    expected = summary(run(chain(made, (None, None, None))))
    assert summary(run(chain(made, (same, steps((0.003, 1e6)), steps((0.0, 5e6)))))) == pytest.approx(
        expected, rel=NEAR, abs=1e-15
    )


@given(chains(), schedules())
def test_a_step_in_two_equal_ones_changes_nothing(made: Any, rate: Steps) -> None:
    """Each step is divided in the middle of the time until the next one."""
    times = [step.time_s for step in rate.steps]
    ends = [*times[1:], rate.period_s or times[-1] + 1.0]
    halves = [
        step
        for one, end_s in zip(rate.steps, ends, strict=True)
        for step in (one, RateStep((one.time_s + end_s) / 2, one.rate_bit_per_s))
    ]
    divided = Steps(tuple(halves), rate.period_s)
    once, twice = (summary(run(chain(made, (one, None, one)))) for one in (rate, divided))
    assert twice == pytest.approx(once, rel=NEAR, abs=1e-15)


@given(chains(), schedules())
def test_a_higher_rate_is_never_slower_on_a_fifo_link(made: Any, rate: Steps) -> None:
    sizes, options, media = made
    plain = [{**one, "sharing": "fifo", "medium_id": None, "transport": None} for one in options]
    doubled = Steps(tuple(RateStep(one.time_s, 2 * one.rate_bit_per_s) for one in rate.steps), rate.period_s)
    slow, fast = (run(chain((sizes, plain, media), (one, None, None))).records[0] for one in (rate, doubled))
    assert fast.latency_s <= slow.latency_s * (1 + NEAR)


@given(schedules(), st.floats(0.0, 0.2), st.floats(1e-6, 0.1))
def test_work_and_its_end_are_inverse(rate: Steps, start_s: float, work_s: float) -> None:
    pace = Pace((time_s, one / 1e6) for time_s, one in rate.changes())
    end_s = pace.end_s(start_s, work_s)
    assert pace.work_s(start_s, end_s) == pytest.approx(work_s, rel=1e-9)


def computing(cores: int = 1, on_outage: Any = "lost") -> Program:
    """Two computations of 1 s each on one device."""
    device = Device("a", PROFILE, n_cores=cores, on_outage=on_outage)
    made = [Compute(f"c{i}", "a", (LayerWork("x", "conv", 1.0, 0),), (), 0, "wait", None) for i in range(2)]
    end = Compute("end", "a", (), ("c0", "c1"), 0, "wait", None)
    return compile_plan(Plan((*made, end), "end", {}), Topology((device,)), WorkIsTime())


def test_a_computation_under_way_goes_on_at_the_new_speed() -> None:
    """Half speed from 0.5 s on: 0.5 s + 1 s, then 2 s; on two cores 1.5 s; an outage at 1 s leaves 0.25 s of work."""
    speeds = {"a": [(0.5, 0.5)]}
    record = run(computing(), speeds=speeds).records[0]
    assert record.latency_s == pytest.approx(3.5, rel=NEAR)
    assert record.energy_j == pytest.approx(3.0 * 3.5, rel=NEAR)
    assert run(computing(2), speeds=speeds).records[0].latency_s == pytest.approx(1.5, rel=NEAR)
    outages = [Outage("a", 1.0, 2.0)]
    resumed = run(computing(2, "resume"), speeds=speeds, outages=outages).records[0]
    assert resumed.latency_s == pytest.approx(2.5, rel=NEAR)


def test_slowdowns_of_several_models_multiply() -> None:
    """And keep the array engine away, since only the event engine knows them; devices that share cores are refused."""
    topology = Topology((Device("a", PROFILE),))
    models = {
        "hot": Slowdowns((SlowdownStep("a", 1.0, 2.0), SlowdownStep("a", 3.0, 1.0))),
        "busy": Slowdowns((SlowdownStep("*", 2.0, 4.0),)),
    }
    assert device_speeds(models, topology) == {"a": [(1.0, 0.5), (2.0, 0.125), (3.0, 0.25)]}
    assert "changes the speed" in batch_obstacle(models, topology)
    with pytest.raises(PlanError, match="sharing 'fair'"):
        models["busy"].check(Topology((Device("a", PROFILE, sharing="fair"),)))


class Halving:
    """A kind of one's own: the rate halves every millisecond, for ever."""

    def changes(self) -> Iterator[tuple[float, float]]:
        for n in count():
            yield n / 1000, 1e6 / 2**n


def test_another_kind_of_rate_is_one_method() -> None:
    """1,000 + 500 + 250 bit in 3 ms, and 50 of the next 125."""
    assert run(system([225], link(Halving()))).records[0].latency_s == pytest.approx(0.0034, rel=NEAR)
