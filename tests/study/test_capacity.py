"""The largest request rate within goals, against queues whose answer is known."""

from __future__ import annotations

import json
import re
import sys
from math import inf
from pathlib import Path
from typing import Any

import pytest

import edgesim as es
from edgesim.arrivals.poisson import Bursts
from edgesim.cli import main as cli
from edgesim.errors import PlanError, UnknownNameError
from edgesim.interfaces import Silent
from edgesim.study.search.capacity import Capacity, capacities

SERVICE_S = 0.01881076
"""D, of the small CNN on the board, as `edgesim plan` says."""
EQUAL = {"type": "periodic", "period": "1 s"}
RANDOM = {"type": "poisson", "rate": "20 /s"}
PAGE = Path(__file__).parents[2] / "docs" / "search.md"


def scenario(load: dict[str, Any] | None, goals: dict[str, str], replications: int = 100) -> es.Scenario:
    data: dict[str, Any] = {
        "name": "queue",
        "replications": replications,
        "topology": {"devices": [{"id": "board", "profile": "esp32-s3"}]},
        "workload": {
            "input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "board", "sink": "board", "load": load,
        },
        "strategies": {"single": {"device": "board"}},
        "goals": goals,
    }  # fmt: skip
    return es.Scenario.from_data(data)


def found(one: es.Scenario, **options: Any) -> Capacity:
    (capacity,) = capacities(one, {}, (), Silent(), **options)
    return capacity


def test_requests_at_equal_distances_are_in_time_up_to_one_per_service_time() -> None:
    """D/D/1: nothing waits up to 1 / D, then each longer than the one before. Nothing is random: ten replications decide."""
    load = {"arrivals": EQUAL, "requests": 200}
    capacity = found(scenario(load, {"latency_p95": "<= 19 ms"}), tolerance=0.02)
    assert capacity.low_hz < 1 / SERVICE_S < capacity.high_hz <= 1.02 * capacity.low_hz
    assert not capacity.undecided_hz
    assert {one.n_replications for one in capacity.tried} == {10}


def test_random_requests_wait_as_pollaczek_and_khinchine_say() -> None:
    """M/D/1: the mean wait is rho D / (2 (1 - rho)), which is D / 2 at rho = 1/2. The bracket holds 1 / 2D."""
    load = {"arrivals": RANDOM, "requests": 150, "warm_up": "1 s"}
    capacity = found(scenario(load, {"latency": f"<= {1.5 * SERVICE_S} s"}), tolerance=0.2)
    assert capacity.low_hz < 0.5 / SERVICE_S < capacity.high_hz
    assert capacity.high_hz < 1.6 * capacity.low_hz
    assert [one.rate_hz for one in capacity.tried] == sorted(one.rate_hz for one in capacity.tried)


def test_few_replications_leave_rates_undecided() -> None:
    """Two replications at the rate that just meets the goal in the mean decide nothing; the rates beside it are said to be so."""
    load = {"arrivals": {"type": "poisson", "rate": f"{0.5 / SERVICE_S} /s"}, "requests": 50}
    capacity = found(scenario(load, {"latency": f"<= {1.5 * SERVICE_S} s"}, replications=2))
    assert 0.5 / SERVICE_S in capacity.undecided_hz
    assert all(one.n_replications == 2 for one in capacity.tried)


def test_it_does_not_go_on_where_nothing_can_be_decided() -> None:
    """At 6,400 /s all of 100 requests come in the first 20 ms, and nothing is watched. Two replications never show that 90 % are answered."""
    short = {"arrivals": {"type": "periodic", "period": "10 ms"}, "requests": 100, "warm_up": "20 ms"}
    capacity = found(scenario(short, {"latency": "<= 3600 s"}))
    assert [one.rate_hz for one in capacity.tried] == [100.0 * 2**n for n in range(7)]
    assert [one.verdict for one in capacity.tried] == [*["met"] * 6, "unknown"]
    unsure = scenario({"arrivals": RANDOM, "requests": 20}, {"answered": ">= 90 %"}, replications=2)
    assert len(found(unsure).tried) == 4


def test_goals_that_no_rate_meets_and_that_every_rate_meets() -> None:
    """The service time alone is too long; an hour is never too short for 5 requests."""
    load = {"arrivals": EQUAL, "requests": 5}
    none = found(scenario(load, {"latency": "<= 18 ms"}))
    every = found(scenario(load, {"latency": "<= 3600 s"}))
    assert (none.low_hz, every.high_hz) == (0.0, inf)
    assert none.tried[0].rate_hz == 2.0**-20


def test_bursts_keep_their_shape_at_another_rate() -> None:
    """Both rates times the same ratio."""
    assert Bursts(1.0, 10.0, 8.0, 1.0).at_rate(6.0) == Bursts(3.0, 30.0, 8.0, 1.0)


def test_what_has_no_capacity_is_refused() -> None:
    """No load, no rate, no goal, no such strategy."""
    with pytest.raises(PlanError, match="has no load"):
        found(scenario(None, {"latency": "<= 1 s"}))
    closed = {"arrivals": {"type": "closed-loop", "clients": 2}, "requests": 5}
    with pytest.raises(PlanError, match="have no rate"):
        found(scenario(closed, {"latency": "<= 1 s"}))
    with pytest.raises(PlanError, match="has no goals"):
        found(scenario({"arrivals": EQUAL, "requests": 5}, {}))
    with pytest.raises(UnknownNameError, match="singel"):
        next(capacities(scenario({"arrivals": EQUAL, "requests": 5}, {"latency": "<= 1 s"}), {}, ["singel"], Silent()))


def test_the_command_shows_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scenario of the page, with a strategy more that does not fit: a line that says so, and exit code 1."""
    (text, *_) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = text.replace("replications: 100", "replications: 10").replace(', answered: ">= 90 %"', "")
    text = text.replace("name: capacity", "name: capacity\nprofiles: {tiny: {extends: esp32-s3, memory: 10 kB}}")
    text = text.replace("devices: [", "devices: [{id: tiny, profile: tiny}, ").replace(
        "strategies:\n", "strategies:\n  large: {type: single, device: tiny}\n"
    )
    (tmp_path / "c.yaml").write_text(
        text.replace("links: [", "links: [{between: [hub, tiny], bandwidth: 2 Mbit/s, latency: 2 ms}, "),
        encoding="utf-8",
    )
    codes = []
    for options in ([], ["--json"]):
        monkeypatch.setattr(
            sys, "argv", ["edgesim", "capacity", str(tmp_path / "c.yaml"), "--tolerance", "0.9", *options]
        )
        with pytest.raises(SystemExit) as end:
            cli.main()
        codes.append(end.value.code)
    assert codes == [1, 1]
    shown, _, document = capsys.readouterr().out.partition("[\n")
    assert "large is not feasible: it needs" in shown
    rows = {one["strategy"]: one for one in json.loads("[" + document)}
    assert rows["here"]["met_up_to_hz"] < rows["here"]["missed_from_hz"]
    assert rows["large"]["tried"] == []
