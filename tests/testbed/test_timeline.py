"""The timeline keeps to the Trace Event Format, and has both sides at their times."""

from __future__ import annotations

import json
from itertools import pairwise
from math import nan

import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.report.draw.timeline import read_timelines
from edgesim.testbed.comparison import Measured
from edgesim.testbed.course.director import Answered
from edgesim.testbed.loopback import Executed
from edgesim.testbed.written.timeline import Bar, _one_by_one, timeline
from tests.testbed.test_loopback import made

METADATA = {
    "process_name": "name",
    "process_sort_index": "sort_index",
    "thread_name": "name",
    "thread_sort_index": "sort_index",
}


def check_format(document):
    """Of the format's rules those that what is written can break: fields and their types, names of threads, nesting."""
    assert set(document) == {"displayTimeUnit", "traceEvents"}
    assert document["displayTimeUnit"] in {"ms", "ns"}
    events = document["traceEvents"]
    for event in events:
        assert type(event["pid"]) is type(event["tid"]) is int
        assert isinstance(event["name"], str)
        assert isinstance(event["args"], dict)
        assert event["ts"] >= 0
        if event["ph"] == "M":
            assert set(event["args"]) == {METADATA[event["name"]]}
        else:
            assert event["ph"] == "X"
            assert event["dur"] >= 0
            assert isinstance(event["cat"], str)
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    bars = [event for event in events if event["ph"] == "X"]
    assert {(bar["pid"], bar["tid"]) for bar in bars} <= named
    for thread in named:
        own = sorted((bar["ts"], bar["ts"] + bar["dur"]) for bar in bars if (bar["pid"], bar["tid"]) == thread)
        assert all(next_one[0] >= one[1] - 2e-3 for one, next_one in pairwise(own))  # times are rounded to 1 ns
    json.dumps(document, allow_nan=False)


def test_both_sides_have_what_happened_at_its_time():
    """The first message came 1 ms late, the latency of 2 ms is none of the link's; of three requests the median is shown."""
    twin = made()
    ends_s = {"layers of a": 0.001, "behind 3": 0.132, "layers of b": 0.133, "answer": 0.141, "arrival": 0.141}
    begins_s = {"layers of a": 0.0, "behind 3": 0.001, "layers of b": 0.132, "answer": 0.133, "arrival": 0.141}
    requests = (
        Answered(2, 10.0, 10.2, [0.0]),
        Answered(3, 20.0, 20.141, [0.0]),
        Answered(4, 30.0, 30.1, [0.0]),
        Answered(5, 40.0, nan, []),
    )
    ended_s = {number: {name: 20.0 + time_s for name, time_s in ends_s.items()} for number in (2, 3, 4, 5)}
    begun_s = {number: {name: 20.0 + time_s for name, time_s in begins_s.items()} for number in (2, 3, 4, 5)}
    document = timeline([Measured(twin, Executed(requests, ended_s, {}, {}, begun_s=begun_s))])
    check_format(document)
    simulated, measured = read_timelines(document)
    assert (simulated.strategy, measured.strategy) == ("twin: simulated", "twin: measured")
    bars = {place: (kind, start_s, length_s) for place, kind, start_s, length_s, _ in measured.bars}
    assert bars["a->b"] == ("intermediate", pytest.approx(0.001), pytest.approx(0.129))
    assert bars["b"] == ("compute", pytest.approx(0.132), pytest.approx(0.001))
    places = {place: (start_s, length_s) for place, _, start_s, length_s, _ in simulated.bars}
    assert places["a->b"] == pytest.approx((5.632e-05, 0.128), abs=1e-8)
    assert places["b->a"] == pytest.approx((0.1301463, 0.006), abs=1e-8)
    assert {event["args"]["request"] for event in document["traceEvents"] if event["ph"] == "X"} == {3}


def test_messages_that_wait_for_one_another_do_not_overlap():
    """Both are ready at 0 and 1; the second could leave when the first had."""
    bars = [
        Bar("a->b", "second", 1.0, 1.0, 5.0),
        Bar("a->b", "first", 0.0, 0.0, 3.0),
        Bar("b->a", "other", 1.0, 1.0, 2.0),
    ]
    assert [(bar.step_id, bar.ready_s, bar.started_s, bar.ended_s) for bar in _one_by_one(bars)] == [
        ("other", 1.0, 1.0, 2.0),
        ("first", 0.0, 0.0, 3.0),
        ("second", 1.0, 3.0, 5.0),
    ]


def test_the_command_writes_a_timeline_of_each_strategy(scenario, tmp_path):
    path = tmp_path / "trace.json"
    command = ["testbed", str(scenario), "--requests", "2", "--tolerance", "1", "--trace", str(path)]
    result = CliRunner().invoke(app, [*command, "--strategy", "halo", "--fit-on", "halo"])
    assert result.exit_code in {0, 1}, result.exception
    document = json.loads(path.read_text())
    check_format(document)
    simulated, measured = read_timelines(document)
    assert (simulated.strategy, measured.strategy) == ("halo: simulated", "halo: measured")
    assert {bar[0] for bar in simulated.bars} == {bar[0] for bar in measured.bars}
    assert "no folder" in CliRunner().invoke(app, [*command[:-1], str(tmp_path / "no" / "t.json")]).output
