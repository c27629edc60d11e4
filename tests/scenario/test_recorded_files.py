"""Files of rates, outages and slowdowns: read with the scenario that names them, strictly, and kept in it."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from edgesim.domain.system.topology import Topology
from edgesim.errors import ScenarioError
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.failures.slowdowns import Slowdowns, SlowdownStep
from edgesim.network.rates import RateStep, Steps
from edgesim.rng import Streams
from edgesim.scenario.build import build
from edgesim.scenario.graphs.writing import topology_data, write_graph
from edgesim.scenario.help.json_schema import json_schema
from edgesim.scenario.help.oddities import oddities
from edgesim.scenario.scenario import Scenario
from edgesim.scenario.text.yaml import read_text

TEXT = """
name: recorded
topology:
  devices: [{id: hub, profile: phone}, {id: "w{1..2}", profile: wearable}]
  media: [{id: air, rate_at: MEDIUM}]
  links:
    - {between: [hub, w1], bandwidth: 1 Mbit/s, medium: air}
    - {between: [hub, w2], bandwidth: 1 Mbit/s, rate_at: LINK}
workload: {dataset: digits, model: small-cnn, source: hub, sink: hub}
strategies: {single: {device: w1}}
"""
STEPS = "[{time: 5 ms, rate: 0.5 Mbit/s}]"


def text(link: str = STEPS, medium: str = STEPS) -> str:
    return TEXT.replace("LINK", link).replace("MEDIUM", medium)


def write(folder: Path, content: str, link: str, medium: str = STEPS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "cell.csv").write_text(content, encoding="utf-8")
    path = folder / "study.yaml"
    path.write_text(text(link, medium), encoding="utf-8")
    return path


def rate_of(scenario: Scenario, link_id: str) -> Steps | None:
    topology: Topology = build(scenario).topology
    found = next(link for link in topology.links if link.link_id == link_id).rate_at
    assert found is None or isinstance(found, Steps)
    return found


@pytest.mark.parametrize(
    "rate_at", [STEPS, f"{{steps: {STEPS}}}", f"{{type: steps, steps: {STEPS}, period: 1 s}}"]
)  # fmt: skip
def test_a_list_of_steps_or_a_mapping(rate_at: str, tmp_path: Path) -> None:
    """All forms reach links and media, and survive writing, graphs, and the JSON schema."""
    scenario = Scenario.from_text(text(rate_at, rate_at))
    topology = build(scenario).topology
    expected = Steps((RateStep(0.005, 0.5e6),), 1.0 if "period" in rate_at else None)
    assert rate_of(scenario, "w2->hub") == expected == topology.media[0].rate_at
    assert build(Scenario.from_data(scenario.resolved())).topology == topology
    write_graph(topology, tmp_path / "lab.json")
    for written in (topology_data(topology), {"topology": {"file": str(tmp_path / "lab.json")}}):
        assert build(Scenario.from_data({**scenario.resolved(), **written})).topology == topology
    jsonschema.validate(read_text(text(rate_at, rate_at), "", Path()).data, json_schema())


def test_rates_over_time_change_no_hash_of_those_who_have_none() -> None:
    plain = TEXT.replace(", rate_at: LINK", "").replace(", rate_at: MEDIUM", "")
    assert "rate_at" not in str(Scenario.from_text(plain).resolved())


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("time,rate (Mbit/s)\n0,1\n5,0.5\n", ""),
        ("# a cell\n\ufeff".replace("\ufeff", "") + "time_ms\tx\tthroughput [kbit/s]\n0\t7\t1000\n5000\t8\t500\n", ""),
        ("\ufefftime;rate\n100;1 Mbit/s\n105;0.5 Mbit/s\n", ", start: first"),
        ("0 1Mbit/s\n5 0.5Mbit/s\n", ""),
    ],
)
def test_rates_come_from_a_file_beside_the_scenario(tmp_path: Path, content: str, options: str) -> None:
    """Relative to the file in which it is named, also when another one extends it; then the file is needed no more."""
    path = write(tmp_path / "lab", content, f"{{file: cell.csv, period: 10 s{options}}}")
    other = tmp_path / "other.yaml"
    other.write_text("extends: lab/study.yaml\nname: other\n", encoding="utf-8")
    scenario = Scenario.load(other)
    assert rate_of(scenario, "hub->w2") == Steps((RateStep(0.0, 1e6), RateStep(5.0, 0.5e6)), 10.0)
    path.with_name("cell.csv").unlink()
    assert Scenario.from_data(scenario.resolved()) == scenario


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time,rate\n0,1\n", "cell.csv:2: the rate 1 has no unit"),
        ("time,rate [mbit/s]\n0,1\n", "did you mean 'Mbit/s'"),
        ("time,rate [Mbit/s]\n0,1\n1,nan\n", "cell.csv:3: 'nan' is not plainly a number"),
        ("time,rate [Mbit/s]\n0,1\n1,-2\n", "cell.csv:3: the rate is -2e+06 bit/s"),
        ("time,rate [Mbit/s]\n0,1\n0,2\n", "cell.csv:3: two rates at 0.0 s"),
        ("time,rate [Mbit/s]\n1,1\n0,2\n", "cell.csv:3: the time 0.0 s is before"),
        ("time,rate [Mbit/s]\n0,1\n1,0\n", "the last rate is 0 for ever"),
        ("", "holds no rows"),
    ],
)
def test_a_file_of_rates_is_read_strictly(tmp_path: Path, content: str, message: str) -> None:
    """One finding, with file and line."""
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(write(tmp_path, content, "{file: cell.csv}"))
    assert len(caught.value.findings) == 1
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rate_at", "message"),
    [
        ("[{time: 5 ms, rat: 1 Mbit/s}]", "unknown key 'rat'"),
        ("[{time: 5 ms, rate: 1}]", "a bare number has no unit"),
        ("[]", "needs steps"),
        ("{file: cell.csv, steps: [{time: 0 s, rate: 1 Mbit/s}]}", "`steps` or `file`, not both"),
        ("{file: [1]}", "name of a file"),
        ("{start: first, steps: [{time: 0 s, rate: 1 Mbit/s}]}", "goes with a file"),
        ("{type: sinus}", "unknown changing rate 'sinus'"),
        ("3", "name or a mapping"),
    ],
)
def test_wrong_rates_are_findings(rate_at: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(text(rate_at))
    assert message in str(caught.value)
    assert ":8:" in str(caught.value)


def test_a_wrong_step_is_shown_on_its_line() -> None:
    lines = "\n        - {time: 0 s, rate: 1 Mbit/s}\n        - {time: 5 ms, rate: fast}"
    written = text().replace(
        f"    - {{between: [hub, w2], bandwidth: 1 Mbit/s, rate_at: {STEPS}}}",
        "    - between: [hub, w2]\n      bandwidth: 1 Mbit/s\n      rate_at:" + lines,
    )
    with pytest.raises(ScenarioError, match=":12:30: "):
        Scenario.from_text(written)


def test_cut_through_is_refused() -> None:
    with pytest.raises(ScenarioError, match="needs rates that do not change"):
        Scenario.from_text(text().replace("  links:", "  forwarding: cut_through\n  links:"))


def test_rates_can_be_swept() -> None:
    """The period, and a single rate."""
    swept = Scenario.from_text(
        text() + "sweep: {dip: {path: topology.links.1.rate_at.steps.0.rate, values: [1 kbit/s, 2 kbit/s]}}\n"
    )
    rates = [rate_of(swept.at(point), "w2->hub") for point in swept.points()]
    assert [rate.steps[0].rate_bit_per_s for rate in rates if rate] == [1e3, 2e3]


OUTAGES = "start (ms),link,end (ms)\n1000,w1->hub,2000\n1500,hub,1600\n"
FACTORS = "time device factor\n0 w1 2\n1.5 w1 1\n2 w2 4\n"


def with_failures(folder: Path, content: str, failure: str) -> Path:
    (folder / "log.csv").write_text(content, encoding="utf-8")
    path = folder / "study.yaml"
    path.write_text(text() + f"failures: {{log: {failure}}}\n", encoding="utf-8")
    return path


def test_outages_come_from_a_file(tmp_path: Path) -> None:
    """Each row is an interval; with `start: first` they count from the first one; the file is needed no more."""
    scenario = Scenario.load(with_failures(tmp_path, OUTAGES, "{type: scripted, file: log.csv, start: first}"))
    expected = (ScriptedOutage("w1->hub", 0.0, 1.0), ScriptedOutage("hub", 0.5, 0.6))
    assert scenario.failures["log"] == Scripted(expected)
    (tmp_path / "log.csv").unlink()
    assert Scenario.from_data(scenario.resolved()) == scenario
    found = Scripted(expected).outages(build(scenario).topology, Streams(1).replication(0))
    assert [(one.target_id, one.start_s, one.end_s) for one in found] == [("w1->hub", 0.0, 1.0), ("hub", 0.5, 0.6)]


def test_slowdowns_come_from_a_file(tmp_path: Path) -> None:
    """And from a list with patterns; the label may be the type."""
    scenario = Scenario.load(with_failures(tmp_path, FACTORS, "{type: slowdowns, file: log.csv}"))
    topology = build(scenario).topology
    assert scenario.failures["log"].speeds(topology) == {"w1": ((0.0, 0.5), (1.5, 1.0)), "w2": ((2.0, 0.25),)}  # type: ignore[union-attr]
    listed = text() + "failures: {slowdowns: {steps: [{devices: 'w{1..2}', time: 1 s, factor: 4}]}}\n"
    assert Scenario.from_text(listed).failures["slowdowns"] == Slowdowns((SlowdownStep("w{1..2}", 1.0, 4.0),))


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (OUTAGES.replace("hub,1600", "hubb,1600"), "scripted", "log.csv:3: no device or link 'hubb'; nearest 'hub'"),
        (OUTAGES.replace("1600", "1400"), "scripted", "log.csv:3: the outage ends at 1.4 s"),
        (OUTAGES.replace("1600", ""), "scripted", "log.csv:3: '' is not plainly a number"),
        (FACTORS.replace("w2 4", "w2 0"), "slowdowns", "log.csv:4: 'w2' has the factor 0"),
        (FACTORS.replace("w2 4", "w2->hub 4"), "slowdowns", "log.csv:4: 'w2->hub' has the factor"),
        (FACTORS.replace("1.5 w1", "0 w1"), "slowdowns", "log.csv:3: two factors of 'w1' at 0.0 s"),
        (FACTORS.replace("factor", "speed"), "slowdowns", "no column 'factor'"),
    ],
)
def test_files_of_failures_are_read_strictly(tmp_path: Path, content: str, kind: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(with_failures(tmp_path, content, f"{{type: {kind}, file: log.csv}}"))
    assert len(caught.value.findings) == 1
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("{type: scripted}", "need `outages_at`"),
        ("{type: slowdowns}", "need `steps`"),
        ("{type: slowdowns, file: no.csv}", "no such file"),
        ("{type: [scripted], file: no.csv}", "is a text"),
        ("{type: slowdowns, steps: [{devices: v, time: 1 s, factor: 2}]}", "no device matches 'v'"),
        ("{type: slowdowns, steps: [{devices: '*', time: 1 s, factor: 2}, {devices: w1, time: 1 s, factor: 3}]}", "do not increase"),
    ],
)  # fmt: skip
def test_wrong_failures_are_findings(failure: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(text() + f"failures: {{log: {failure}}}\n")
    assert message in str(caught.value)


def test_times_of_day_are_warned_of(tmp_path: Path) -> None:
    """A recording that begins long after 0 would change nothing in a trial; `start: first` mends it."""
    content = "time,rate [Mbit/s]\n1285837093.1,1\n1285837094.1,2\n1285837095.1,3\n"
    for options, n_odd in (("", 1), (", start: first", 0)):
        found = oddities(Scenario.load(write(tmp_path, content, f"{{file: cell.csv{options}}}")))
        assert [one.path for one in found] == [("topology", "links", 1, "rate_at")] * n_odd
    log = "time device factor\n7e4 w1 2\n7.1e4 w1 1\n7.2e4 w2 4\n"
    found = oddities(Scenario.load(with_failures(tmp_path, log, "{type: slowdowns, file: log.csv}")))
    assert [one.path for one in found] == [("failures", "log")]


def test_the_array_engine_is_refused_where_rates_or_speeds_or_admissions_change() -> None:
    slow = "failures: {slowdowns: {steps: [{devices: w1, time: 1 s, factor: 4}]}}\n"
    plain = TEXT.replace(", rate_at: LINK", "").replace(", rate_at: MEDIUM", "")
    limited = plain.replace(
        "sink: hub", "sink: hub, load: {arrivals: {type: poisson, rate: 5 Hz}, requests: 9, admission_limit: 2}"
    )
    endless = plain.replace("sink: hub", "sink: hub, load: {arrivals: {type: closed-loop}, horizon: 10 s}")
    for written, reason in (
        (text(), "the rates of links change"),
        (plain + slow, "changes the speed of devices"),
        (limited, "whether a request is admitted"),
        (endless, "it is not known how many requests"),
    ):
        with pytest.raises(ScenarioError, match=reason):
            Scenario.from_text(written + "engine: array\n")
