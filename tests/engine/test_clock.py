"""The clock: order of what happens at one moment, its end, and SimPy's own processes on it."""

from __future__ import annotations

from collections.abc import Generator
from math import inf, nan

import pytest
import simpy

from edgesim.engine.state.clock import Clock
from edgesim.errors import SimulationError


def test_what_happens_at_one_moment_happens_in_the_order_in_which_it_was_planned() -> None:
    """Also what is planned for the present moment meanwhile; what waits for the moment to settle comes last, each time."""
    clock, heard = Clock(), []

    def first(name: str) -> None:
        heard.append(name)
        clock.settle(lambda _: (heard.append("settled"), clock.after(0.0, heard.append, "after settling"))[0])  # type: ignore[func-returns-value]
        clock.settle(lambda _: heard.append("settled again"))
        clock.after(0.0, heard.append, "at once")

    clock.after(2.0, heard.append, "later")
    clock.after(1.0, first, "first")
    clock.after(0.5, lambda name: clock.after(0.5, heard.append, name), "third")
    clock.after(1.0, heard.append, "second")
    clock.happen(inf, None)
    assert heard == [
        "first", "second", "third", "at once", "settled", "after settling", "settled again", "later",
    ]  # fmt: skip
    assert (clock.now_s, clock.n_events) == (2.0, 9)


def test_nothing_happens_after_stop_behind_the_horizon_or_at_infinity() -> None:
    clock, heard = Clock(), []
    for name, delay_s in (("a", 1.0), ("b", 2.0), ("behind the horizon", 2.5), ("never", inf)):
        clock.after(delay_s, heard.append, name)
    clock.happen(2.0, None)
    assert (heard, clock.now_s) == (["a", "b"], 2.0)
    clock.after(0.0, lambda _: clock.stop(), None)
    clock.after(0.0, heard.append, "stopped")
    clock.happen(inf, None)
    assert (heard, clock.n_events) == (["a", "b"], 3)


def test_what_is_planned_for_a_moment_at_which_nothing_more_happens_does_not_count() -> None:
    clock, heard = Clock(), []

    def stop(_: None) -> None:
        clock.stop()
        clock.after(0.0, heard.append, "planned after the stop")

    clock.after(1.0, heard.append, "a")
    clock.after(1.0, stop, None)
    clock.after(1.0, heard.append, "planned before")
    clock.happen(inf, None)
    assert (heard, clock.n_events) == (["a"], 2)


def test_events_at_infinity_are_not_waited_for() -> None:
    clock, heard = Clock(), []
    clock.after(inf, heard.append, "never")
    clock.happen(inf, None)
    assert (heard, clock.now_s) == ([], 0.0)


@pytest.mark.parametrize("delay_s", [-1e-9, nan])
def test_time_never_goes_back(delay_s: float) -> None:
    with pytest.raises(SimulationError, match="is to happen after"):
        Clock().after(delay_s, print, None)


def test_processes_of_simpy_run_on_the_same_clock() -> None:
    """A clock is an environment of SimPy: `run` passes through processes and callbacks in order of time."""
    clock, heard = Clock(), []

    def process() -> Generator[simpy.Event, None, None]:
        for _ in range(2):
            yield clock.timeout(1.0)
            heard.append(("process", clock.now))

    clock.process(process())
    clock.after(1.5, lambda name: heard.append((name, clock.now)), "callback")
    clock.run()
    assert heard == [("process", 1.0), ("callback", 1.5), ("process", 2.0)]
