"""What half and twice every assumed number changes: by hand, and against studies of the changed scenarios."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import edgesim as es
from edgesim.cli.main import app
from edgesim.interfaces import Silent
from edgesim.report.assumed.effects import NOTHING, effects_sentence, effects_table
from edgesim.scenario.build import build
from edgesim.study.changes.assumed import assumed_numbers, scaled
from edgesim.study.changes.sensitivity import sensitivity
from edgesim.study.preparation.prepare import prepare

RATES = "compute_rate: {conv: 1 GFLOP/s, depthwise: 1 GFLOP/s, linear: 1 GFLOP/s, other: 1 GFLOP/s}, memory_bandwidth: 1 GB/s"
POWER = "power: {idle: 1 W, busy: 2 W, transmit: 2 W, receive: 2 W}"
MINE = "{" + RATES + ", layer_overhead: 1 ms, memory: 1 MB, " + POWER + ", source: SOURCE}"
SENT = (
    """
name: sent
replications: 4
profiles: {mine: MINE}
topology:
  devices: [{id: hub, profile: mine}, {id: w1, profile: mine}]
  links: [{between: [hub, w1], extends: ble, message_overhead: 1 ms}]
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {there: {type: single, device: w1}}
"""
).replace("MINE", MINE)
OVERHEAD = "layer_overhead: measured; compute_rate, memory, memory_bandwidth, power: data sheet"


def rows_of(text: str, **options: Any) -> list[dict[str, Any]]:
    scenario = es.Scenario.from_text(text)
    shared = prepare([(point, build(scenario.at(point))) for point in scenario.points()], Silent())
    return [row._asdict() for row in sensitivity(shared, scenario, n_most=4, **options)]


def one(rows: list[dict[str, Any]], assumed: str, factor: float, metric: str = "latency", strategy: str = "") -> Any:
    [row] = [
        row
        for row in rows
        if (row["assumed"], row["factor"], row["metric"]) == (assumed, factor, metric)
        and strategy in {"", row["strategy"]}
    ]
    return row


def test_which_numbers_are_assumed_is_said_by_their_sources() -> None:
    """Of a profile its source, nothing at all meaning assumed; of a link the class that it extends; what the sweep sets is not assumed."""

    def found(text: str, *given: str) -> list[str]:
        return [number.text for number in assumed_numbers(es.Scenario.from_text(text), frozenset(given))]

    of_ble = ["latency of ble", "transport.retries of ble"]
    assert found(SENT.replace("SOURCE", "data sheet")) == of_ble
    assert found(SENT.replace("SOURCE", "data sheet").replace("1 ms}]", "1 ms, latency: 5 ms}]")) == of_ble[1:]
    assert found(SENT.replace("SOURCE", "data sheet"), "topology.links.0.latency") == of_ble[1:]
    assert found(SENT.replace("SOURCE", f'"{OVERHEAD.replace("measured", "assumed")}"')) == [
        "layer_overhead of mine",
        *of_ble,
    ]
    everything = found(SENT.replace(", source: SOURCE", ""))
    assert len(everything) == 11 + 2
    assert {"power.idle of mine", "compute_rate.conv of mine", "memory of mine"} <= set(everything)
    extended = SENT.replace(MINE, "{extends: raspberry-pi-4b, memory: 1 GiB}").replace("SOURCE", "")
    assert {"memory of mine", "layer_overhead of mine"} <= set(found(extended))
    assert "compute_rate.conv of mine" not in found(extended)  # the catalog has its reference


def test_by_hand() -> None:
    """Six layers of 1 ms, and two messages that each take the 4 ms of the link class longer: half and twice of both."""
    rows = rows_of(SENT.replace("SOURCE", "assumed"))
    layers_s = one(rows, "layer_overhead of mine", 2.0)
    n_layers = round((layers_s["after"] - layers_s["before"]) / 1e-3)
    assert n_layers > 2
    assert layers_s["after"] - layers_s["before"] == pytest.approx(n_layers * 1e-3)
    assert one(rows, "layer_overhead of mine", 0.5)["after"] == pytest.approx(layers_s["before"] - n_layers * 0.5e-3)
    assert one(rows, "latency of ble", 2.0)["after"] == pytest.approx(layers_s["before"] + 2 * 4e-3)
    assert one(rows, "latency of ble", 0.5)["after"] == pytest.approx(layers_s["before"] - 2 * 2e-3)
    assert one(rows, "memory of mine", 2.0)["after"] == layers_s["before"]
    idle = [one(rows, "power.idle of mine", factor, "energy") for factor in (0.5, 2.0)]
    below, above = (row["after"] - row["before"] for row in idle)
    assert above == pytest.approx(-2 * below)
    assert above > 0
    assert {row["n"] for row in rows} == {1}  # nothing is drawn


def test_a_change_is_worth_what_a_study_of_it_finds(tmp_path: Path) -> None:
    """The same failures are drawn."""
    text = SENT.replace("SOURCE", "assumed") + "failures: {slow: {type: stragglers, mu: 2}}\n"
    row = one(rows_of(text), "layer_overhead of mine", 2.0)

    def mean(changed: str, name: str) -> float:
        frame = es.run(es.Scenario.from_text(changed), workers=1, output=tmp_path / name, report=False).frame()
        return float(frame["latency_s"].mean())

    assert row["n"] == 4
    assert row["before"] == pytest.approx(mean(text, "before"), rel=1e-9)
    assert row["after"] == pytest.approx(
        mean(text.replace("overhead: 1 ms, memory", "overhead: 2 ms, memory"), "after"), rel=1e-9
    )
    assert row["ci_low"] < row["after"] - row["before"] < row["ci_high"]


TWO = """
name: two
replications: 2
profiles:
  slow: MINE
  fast: MINE
topology:
  devices: [{id: hub, profile: slow}, {id: w1, profile: fast}]
  links: [{between: [hub, w1], bandwidth: 10 Mbit/s}]
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {here: {type: single, device: hub}, there: {type: single, device: w1}}
"""
SLOW = "slow: " + MINE.replace("1 ms", "OVERHEAD").replace("1 MB", "MEMORY").replace(
    "SOURCE", '"layer_overhead, memory: assumed"'
)
TWO = TWO.replace("slow: MINE", SLOW).replace("MINE", MINE.replace("SOURCE", "data sheet"))


def test_who_is_best_may_hang_on_a_number() -> None:
    """The hub is slower than the way to another device, with half its overhead it is not."""
    rows = rows_of(TWO.replace("OVERHEAD", "1.5 ms").replace("MEMORY", "200 kB"))
    assert (
        one(rows, "layer_overhead of slow", 0.5, strategy="here")["led"],
        one(rows, "layer_overhead of slow", 0.5, strategy="here")["leads"],
    ) == (False, True)
    assert not one(rows, "layer_overhead of slow", 2.0, strategy="here")["leads"]
    assert "is best in latency, energy and share of answers hangs on memory of slow and layer overhead of slow." in (
        effects_sentence(rows).replace(
            "layer overhead of slow and memory of slow", "memory of slow and layer overhead of slow"
        )
    )
    [line] = [row for row in effects_table(rows).rows if row[0].startswith("layer overhead")]
    assert "latency at half: here, not there" in line[-1]
    [line] = [row for row in effects_table(rows).rows if row[0].startswith("memory")]
    assert line[1] == "no fit or answer: here"  # 132.8 kB are needed, half of 200 kB are there


def test_what_does_not_fit_may_with_more_memory() -> None:
    rows = rows_of(TWO.replace("OVERHEAD", "1.5 ms").replace("MEMORY", "100 kB"))
    assert one(rows, "memory of slow", 2.0, "peak_memory")["strategy"] == "here"
    assert not [row for row in rows if row["metric"] == "peak_memory" and row["factor"] == 0.5]
    assert any("here may fit at twice" in row[-1] for row in effects_table(rows).rows)


def test_names_and_shares_of_the_table_are_short() -> None:
    """In words, whole per cent; without a column of who is best where nothing changes that."""
    table = effects_table(rows_of(SENT.replace("SOURCE", "assumed")))
    assert table.headers[-1] == "energy,\ntwice"
    [idle] = [row for row in table.rows if row[0].startswith("power idle of mine, 1 W")]
    assert idle[1:3] == ("0", "0")
    assert all(re.fullmatch(r"[+-]\d+ % there|<1 % there|0", cell) for row in table.rows for cell in row[1:])


def test_scores_change_where_a_deadline_is_missed(tmp_path: Path) -> None:
    """With twice the latency of the links the answers come too late, so that nothing is right."""
    text = """
name: late
replications: 2
topology:
  devices: [{id: hub, profile: phone}, {id: w1, profile: phone}]
  links: [{between: [hub, w1], extends: lte}]
workload:
  dataset: digits
  model: {type: small-cnn, channels: [4, 4]}
  training: {epochs: 1}
  source: hub
  sink: hub
  deadline: 80 ms
strategies: {here: {type: single, device: hub}, there: {type: single, device: w1}}
"""
    result = es.run(es.Scenario.from_text(text), workers=1, output=tmp_path / "late")
    rows = result.sensitivity().to_dict(orient="records")
    late = one(rows, "latency of lte", 2.0, "accuracy", "there")
    whole = result.intact().set_index("strategy")["accuracy"]
    assert (late["before"], late["after"]) == (pytest.approx(whole["there"]), 0.0)
    assert (late["led"], late["leads"]) == (1, 0)
    assert one(rows, "latency of lte", 2.0, "answered", "there")["after"] == 0.0
    assert one(rows, "latency of lte", 0.5, "accuracy", "there")["after"] == late["before"]
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "Which assumed numbers matter" in page
    assert effects_sentence(rows) in page
    shown = CliRunner().invoke(app, ["sensitivity", str(result.folder), "--json"])
    assert json.loads(shown.stdout)["sentence"] == effects_sentence(rows)
    text = CliRunner().invoke(app, ["sensitivity", str(result.folder)]).stdout
    assert "accuracy at twice: here, not here and there" in " ".join(text.split())


def test_a_study_that_is_too_large_leaves_it_to_the_command() -> None:
    text = SENT.replace("SOURCE", "assumed")
    assert rows_of(text, n_steps=10) == []
    assert rows_of(text, n_steps=None)
    assert effects_sentence([]) == NOTHING


def test_numbers_stay_whole_where_they_count() -> None:
    """Half of seven retries; bytes."""
    scenario = es.Scenario.from_text(SENT.replace("SOURCE", "assumed"))
    retries, memory = (
        next(number for number in assumed_numbers(scenario) if number.field == field)
        for field in ("transport.retries", "memory")
    )
    assert scaled(scenario, retries, 0.5).built.links[0].transport.retries == 4  # type: ignore[union-attr]
    assert scaled(scenario, memory, 0.5).built.devices[0].profile.memory_byte == 500_000
