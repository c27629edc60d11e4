"""`wifi:` in one line, and the medium, access point, links and losses that it stands for."""

from __future__ import annotations

import json
from math import log10, pi
from pathlib import Path
from typing import Any

import pytest
import wifi as benchmark
from references import cell, cell_packets, together

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.system.topology import Link, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import ScenarioError
from edgesim.network.transport import Arq
from edgesim.scenario.build import build
from edgesim.scenario.catalog import radio
from edgesim.scenario.catalog.radio import STANDARDS, Standard
from edgesim.scenario.scenario import Scenario

HEAD = """
name: s
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
"""
WIFI = "  wifi: {standard: 802.11n, distance: 5 m, loss: 1 %}\n"
TOPOLOGY = "topology:\n  devices: [{id: hub, profile: phone}, {id: 'w{1..3}', profile: wearable}]\n"
WRITTEN = """  switches: [{id: ap}]
  media: [{id: wifi, contention: 0.0858}]
  links:
    - {between: [ap, "*"], bandwidth: 60.125 Mbit/s, message_overhead: 451 us, medium: wifi, transport: {type: arq, retries: 7}}
failures: {lost: {type: packet-loss, probability: 1 %}}
"""


class NoTime:
    def duration_s(self, step: Compute, profile: Any) -> float:
        return 0.0


def test_one_line_is_what_it_stands_for() -> None:
    """The rate is 0.925 x 65 Mbit/s: at 5 m the fastest one."""
    short, written = (Scenario.from_text(HEAD + TOPOLOGY + rest) for rest in (WIFI, WRITTEN))
    assert short.built.media == written.built.media
    assert short.built.switches == written.built.switches
    assert sorted(short.built.links, key=str) == sorted(written.built.links, key=str)
    [lost], [meant] = build(short).failures.values(), build(written).failures.values()
    assert lost.probability == meant.probability == 0.01
    assert all(lost.applies_to(link) and meant.applies_to(link) for link in short.built.links)
    assert not lost.applies_to(Link("a->b", "a", "b", 1e6))


def test_a_message_between_stations_uses_the_air_twice() -> None:
    """Twice 0.451 ms + 8 x 1,000 / 8 Mbit/s."""
    text = HEAD + TOPOLOGY + WIFI.replace("distance: 5 m", "rate: 8 Mbit/s").replace("1 %", "0")
    topology = Scenario.from_text(text).built
    steps = (Transfer("t", "w1", "hub", 1000, "x", "result"), Compute("c", "hub", (), ("t",)))
    [record] = simulate(compile_plan(Plan(steps, "c", {}), topology, NoTime()), is_checked=True)
    assert record.latency_s == pytest.approx(2 * (0.451e-3 + 1e-3), rel=1e-12)


def test_a_device_may_be_the_access_point() -> None:
    text = HEAD + TOPOLOGY + WIFI.replace("1 %", "1 %, access_point: hub, devices: 'w{1..2}', retries: 0")
    text = text.replace("  wifi", "  links: [{between: [hub, w3], bandwidth: 1 Mbit/s}]\n  wifi")
    scenario = Scenario.from_text(text)
    cell = [link for link in scenario.built.links if link.medium_id == "wifi"]
    assert sorted(link.link_id for link in cell) == ["hub->w1", "hub->w2", "w1->hub", "w2->hub"]
    assert {link.transport for link in cell} == {None}
    assert not scenario.built.switches
    [lost] = build(scenario).failures.values()
    assert [link.link_id for link in scenario.built.links if not lost.applies_to(link)] == ["hub->w3", "w3->hub"]


def test_the_distance_can_be_varied() -> None:
    """At 30 m free space to 10 m and an exponent of 3.5 behind it leave 26 Mbit/s on the air."""
    sweep = "sweep: {d: {path: topology.wifi.distance, values: [5 m, 30 m]}}\n"
    scenario = Scenario.from_text(HEAD + TOPOLOGY + WIFI + sweep)
    loss_db = 20 * log10(4 * pi * 10 * 2.437e9 / 299_792_458) + 35 * log10(3)
    assert -74 <= 15 - 10 - loss_db < -70  # between the sensitivities for 26 and 39 Mbit/s
    rates = [scenario.at({"d": text}).built.links[0].bandwidth_bit_per_s for text in ("5 m", "30 m")]
    assert rates == pytest.approx([0.925 * 65e6, 0.925 * 26e6])
    again = Scenario.from_data(scenario.resolved())
    assert again.hash() == scenario.hash()


@pytest.mark.parametrize("standard", STANDARDS)
def test_rates_fall_with_distance_up_to_the_reach(standard: Standard) -> None:
    known = radio.radio(standard)
    rates = [known.rate_bit_per_s(0.5 * step) or 0.0 for step in range(1, 200)]
    assert rates == sorted(rates, reverse=True)
    assert known.rate_bit_per_s(known.reach_m) == known.rates_bit_per_s[0]
    assert known.rate_bit_per_s(known.reach_m + 0.1) is None


@pytest.mark.parametrize("standard", STANDARDS)
def test_every_number_has_a_reference_or_says_assumed(standard: Standard) -> None:
    references = radio.references(standard)
    assert sorted(references) == sorted(radio.Radio.__dataclass_fields__)
    assert all(text.startswith("assumed") or len(text) > 10 for text in references.values())
    assert radio.summary(standard)


@pytest.mark.parametrize("standard", STANDARDS)
def test_the_numbers_are_those_that_the_fit_gives(standard: Standard) -> None:
    """The fit itself is within 5.5 % of every case of ns-3, from the slowest rate to the fastest, for one station and eight."""
    known = radio.radio(standard)
    numbers = (known.message_overhead_s, known.efficiency, known.contention)
    assert numbers == pytest.approx(benchmark.fitted(standard), rel=2e-3)
    cases = benchmark.cases(standard)
    assert [benchmark.last_s(standard, one, *numbers) for one in cases] == pytest.approx(
        [one["mean_s"] for one in cases], rel=0.055
    )


def test_cells_of_ns3_that_were_not_fitted_are_near() -> None:
    """Other sizes and numbers of stations, ten runs each, as the engine simulates them."""
    known = radio.radio("802.11n")
    link = Link("a->b", "a", "b", known.efficiency * 65e6, message_overhead_s=known.message_overhead_s)
    kept = [
        one for one in cell_packets() if not {(size, n) for size in (10_000, 100_000) for n in (1, 8)} & {_case(one)}
    ]
    assert len(kept) == 11
    for packets in kept:
        size_byte, n = _case(packets)
        topology: Topology = cell(n, link, known.contention)
        steps = [
            Transfer(f"t{i}", one.src_id, "sink", size_byte, "x", "result")
            for i, one in enumerate(together(size_byte, n))
        ]
        plan = Plan((*steps, Compute("c", "sink", (), tuple(one.step_id for one in steps))), "c", {})
        [record] = simulate(compile_plan(plan, topology, NoTime()))
        assert record.latency_s == pytest.approx(packets.expected_s[0], rel=0.15), packets.case.name


def _case(packets: Any) -> tuple[int, int]:
    sendings = packets.case.sendings
    return sendings[0].size_byte, len(sendings)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("5 m", "90 m", "802.11n does not reach 90 m"),
        ("5 m", "0 m", "greater than 0 m"),
        ("distance: 5 m, ", "", "has a distance or a rate"),
        ("5 m", "5 m, rate: 1 Mbit/s", "has a distance or a rate"),
        ("802.11n", "802.11z", "expected: '802.11n' or '802.11ac'"),
        (", loss: 1 %", "", "'wifi' lacks 'loss'"),
        ("1 %", "100 %", "loss"),
        ("1 %", "1 %, access_point: hbu", "unknown device 'hbu'"),
        ("1 %", "1 %, devices: 'x*'", "no device matches 'x\\*'"),
        ("  wifi", "  media: [wifi]\n  wifi", "medium 'wifi' is named twice"),
        ("  wifi", "  switches: [{id: ap}]\n  wifi", "device id 'ap' is used twice"),
        ("  wifi", "  links: [{between: [ap, w1], bandwidth: 1 Mbit/s}]\n  wifi", "made twice, here and by 'wifi'"),
    ],
)
def test_nonsense_about_wifi_is_found(old: str, new: str, text: str) -> None:
    with pytest.raises(ScenarioError, match=text):
        Scenario.from_text(HEAD + TOPOLOGY + WIFI.replace(old, new))


def test_validate_says_what_the_line_stands_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgesim.cli.scenarios.validate import validate

    file = tmp_path / "s.yaml"
    file.write_text(HEAD + TOPOLOGY + WIFI)
    assert validate([file]) == 0
    told = "wifi: links of 60.1 Mbit/s to ap over one medium with contention 0.0858, 451 us per message, 1 % of packets lost"
    assert told in capsys.readouterr().out
    assert validate([file], is_json=True) == 0
    assert json.loads(capsys.readouterr().out)[0]["notes"][0].startswith(told)


def test_retries_are_those_of_arq() -> None:
    text = HEAD + TOPOLOGY + WIFI.replace("1 %", "1 %, retries: 3")
    assert {link.transport for link in Scenario.from_text(text).built.links} == {Arq(3)}
