"""What is said of measurements, on measurements made by hand."""

from __future__ import annotations

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.system.topology import HostOverhead
from edgesim.testbed.comparison import Measured, compare, fitted_overhead, least_computation_s
from edgesim.testbed.loopback import Answered, Executed
from edgesim.testbed.outcome.steps import figures_of, largest
from tests.testbed.test_loopback import made, taking

PLAN = Plan(
    (
        Transfer("input", "a", "b", 100, "pixels", "input"),
        Compute("work", "b", (), ("input",)),
        Transfer("result", "b", "a", 10, "classes", "result", ("work",)),
        Compute("end", "a", (), ("result",), on_missing="degrade", deadline_s=1.0),
    ),
    "end",
    {},
)
SIMULATED_S = {"input": 0.010, "work": 0.015, "result": 0.020, "end": 0.020}


def executed(*ended_s):
    """Requests that are released at 100 s, 200 s, ..., and whose steps end so long after that."""
    releases_s = [100.0 * (number + 1) for number in range(len(ended_s))]
    requests = tuple(Answered(n, at_s, at_s + ended_s[n]["end"], [0.0] * 3) for n, at_s in enumerate(releases_s))
    moments_s = {n: {name: at_s + time_s for name, time_s in ended_s[n].items()} for n, at_s in enumerate(releases_s)}
    sizes = {
        n: {name: size for name, size in (("input", 100), ("result", 10)) if name in ended_s[n]} for n in moments_s
    }
    return Executed(
        requests,
        moments_s,
        {n: sum(sizes[n].values()) for n in sizes},
        dict.fromkeys(sizes, frozenset()),
        came={n: frozenset(sizes[n]) for n in sizes},
        message_byte=sizes,
    )


def test_what_a_step_takes_begins_when_all_it_needs_is_there():
    """The input is 2 and 4 ms late, and the work behind it as long as simulated: its end is late, and its time is not."""
    measured = executed(
        {"input": 0.012, "work": 0.017, "result": 0.022, "end": 0.022},
        {"input": 0.014, "work": 0.019, "result": 0.024, "end": 0.024},
    )
    given, work, result, end = figures_of(PLAN, [SIMULATED_S] * 2, measured)
    assert (given.kind, given.where, given.size_byte, given.measured_byte, given.n) == ("input", "a->b", 100, 100, 2)
    assert (given.mean_s, given.median_s, given.p95_s) == pytest.approx((0.013, 0.013, 0.0139))
    assert (work.kind, work.where, work.size_byte) == ("compute", "b", 0)
    assert (work.simulated_s, work.mean_s) == pytest.approx((0.005, 0.005))
    assert (work.simulated_end_s, work.mean_end_s) == (0.015, pytest.approx(0.018))
    assert (result.mean_s, end.mean_s) == pytest.approx((0.005, 0.0))
    assert [one.step_id for one in largest((end, work, given), 1)] == ["input"]
    assert given.difference_s == pytest.approx(0.003)


def test_what_came_after_a_deadline_was_not_waited_for():
    """The result of the first request comes after the end, and that of the second never does."""
    measured = executed(
        {"input": 0.010, "work": 0.015, "end": 1.0, "result": 1.5}, {"input": 0.010, "work": 0.015, "end": 1.0}
    )
    _, _, result, end = figures_of(PLAN, [SIMULATED_S] * 2, measured)
    assert (end.mean_s, end.n) == (pytest.approx(1.0), 2)
    assert (result.mean_s, result.n, result.measured_byte) == (pytest.approx(1.485), 1, 10)


def test_steps_that_never_ended_have_no_figures():
    names = [one.step_id for one in figures_of(PLAN, [SIMULATED_S], executed({"input": 0.01, "end": 1.0}))]
    assert names == ["input", "end"]


def test_the_latency_of_a_link_counts_once_when_receivers_are_busy_with_messages():
    """Of 4 ms more per message 2 ms lie before the link and 2 ms behind it: the answer has come when it is handled."""
    twin = made()
    names = [step.step_id for step in twin.bundle.plan.steps]
    measured = Measured(twin, executed(dict.fromkeys([*names, "end"], 0.2)))
    plain, busy = (compare(measured, 1.0, overhead=overhead) for overhead in (None, HostOverhead(0.002)))
    ends_s = [next(one.simulated_end_s for one in found.steps if one.step_id == "answer") for found in (plain, busy)]
    assert ends_s == pytest.approx([plain.simulated_s, busy.simulated_s])
    assert busy.simulated_s == pytest.approx(plain.simulated_s + 0.008)


def test_what_a_computation_takes_at_least_is_what_those_take_that_are_simulated_as_nothing():
    """Each of the three computations ends 0.3 and 0.5 ms after what it needs; of 8 ms more than simulated, messages get what those leave."""
    twin = made()
    ends_s = {"behind 3": 0.1, "answer": 0.15, "end": 0.1}
    measured = Measured(
        twin,
        executed(*(
            {**ends_s, "layers of a": late_s, "layers of b": 0.1 + late_s, "arrival": 0.15 + late_s} for late_s in (0.0003, 0.0005)
        )),
    )  # fmt: skip
    assert least_computation_s(measured) == pytest.approx(0.0004)
    plain_s, longer_s = (
        compare(measured, 1.0, HostOverhead(0.0, 0.0, least_s)).simulated_s for least_s in (0.0, 0.0004)
    )
    assert 0.0009 < longer_s - plain_s < 3 * 0.0004
    longer = Measured(twin, taking(plain_s + 0.008))
    found = fitted_overhead(longer, 0.0004)
    assert found.per_message_s == pytest.approx((plain_s + 0.008 - longer_s) / 4, abs=1e-6)
    assert found.least_computation_s == 0.0004
    assert compare(longer, 1.0, found).error == pytest.approx(0.0, abs=1e-6)


def test_without_computations_that_are_simulated_as_nothing_none_has_a_least_time():
    measured = Measured(made(), executed({"behind 3": 0.1, "end": 0.2}))
    assert least_computation_s(measured) == 0.0
