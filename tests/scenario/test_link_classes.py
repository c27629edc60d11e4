"""The catalog of link classes: bytes and times in closed form, and what scenarios say of them."""

from __future__ import annotations

import json
from math import ceil
from typing import Any

import pytest

from edgesim.cli.listing import list_kind
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import ScenarioError, UnknownNameError
from edgesim.scenario.catalog import links as link_classes
from edgesim.scenario.help.topics import find
from edgesim.scenario.scenario import Scenario

TEXT = """
name: s
topology:
  devices: [{id: a, profile: phone}, {id: b, profile: phone}]
  links: [{between: [a, b], extends: CLASS}]
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: a, sink: b}
strategies: {single: {}}
"""


class NoTime:
    def duration_s(self, step: Compute, profile: Any) -> float:
        return 0.0


def sent(name: str, size_byte: int, text: str = TEXT) -> tuple[int, float]:
    """Return the bytes and the time of one message over a link of a class, as the engine has them."""
    topology = Scenario.from_text(text.replace("CLASS", name)).built
    steps = (Transfer("t", "a", "b", size_byte, "x", "result"), Compute("c", "b", (), ("t",)))
    [record] = simulate(compile_plan(Plan(steps, "c", {}), topology, NoTime()), is_checked=True)
    return record.result_byte, record.latency_s


@pytest.mark.parametrize("name", link_classes.names())
def test_every_number_has_a_reference_or_says_assumed(name: str) -> None:
    """Field by field, and no reference without a number; the type of a transport is no number."""
    flat: dict[str, Any] = {}
    for key, value in link_classes.entry(name).items():
        flat |= {f"{key}.{part}": one for part, one in value.items()} if isinstance(value, dict) else {key: value}
    references = link_classes.references(name)
    assert sorted(references) == sorted(flat.keys() - {"transport.type"})
    assert all(text.startswith("assumed") or len(text) > 10 for text in references.values())
    assert link_classes.summary(name)


@pytest.mark.parametrize(
    ("name", "rate", "fixed_s", "mtu", "header"),
    [
        ("ethernet-100m", 100e6, 50e-6, 1448, 90),
        ("ethernet-1g", 1e9, 20e-6, 1448, 90),
        ("802.11n", 0.925 * 65e6, 0.451e-3, 1472, 0),
        ("802.11ac", 0.907 * 390e6, 0.457e-3, 1472, 0),
        ("ble", 1e6, 4e-3, 244, 65),
        ("zigbee", 250e3, 0.0, 100, 105),
        ("lora", 5468.75, 0.0, 222, 30),
        ("lte", 10e6, 25e-3, 1400, 52),
        ("human-body", 1.3125e6, 0.0, 255, 39),
    ],
)
def test_a_message_takes_what_its_bytes_and_packets_take(
    name: str, rate: float, fixed_s: float, mtu: int, header: int
) -> None:
    """Size + header x ceil(size / mtu) byte; 8 x byte / rate + latency + overhead."""
    assert len(link_classes.names()) == 9
    n_byte, latency_s = sent(name, 5000)
    assert n_byte == 5000 + header * ceil(5000 / mtu)
    assert latency_s == pytest.approx(8 * n_byte / rate + fixed_s, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "measured", "rel"),
    [
        ("ethernet-100m", 94.4e6, 0.005),  # built-in Ethernet of a Raspberry Pi (jeffgeerling.com)
        ("ethernet-1g", 941e6, 0.001),  # iperf3 between two Raspberry Pi 4 (mpr-projects.com)
    ],
)
def test_ethernet_carries_what_is_measured(name: str, measured: float, rel: float) -> None:
    """10 MB of data, without the latency."""
    n_byte, _ = sent(name, 10_000_000)
    rate = {"ethernet-100m": 100e6, "ethernet-1g": 1e9}[name]
    assert rate * 10_000_000 / n_byte == pytest.approx(measured, rel=rel)


def test_ble_is_what_its_intervals_give() -> None:
    """Each packet of 244 byte takes 8 us x (251 + 10) and two gaps of 150 us around an empty packet of 80 us; 100 packets."""
    assert sent("ble", 24_400)[1] - 4e-3 == pytest.approx(100 * (8 * 261 + 2 * 150 + 80) * 1e-6, rel=2e-3)


@pytest.mark.parametrize("size_byte", [20, 51, 115, 222])
def test_lora_is_near_the_formula_of_the_chip(size_byte: int) -> None:
    """Air time of the SX1276 data sheet: SF 7, explicit header, checksum, preamble of 8, LoRaWAN's 13 byte."""
    symbol_s, payload_byte = 2**7 / 125e3, size_byte + 13
    n_symbols = 8 + max(ceil((8 * payload_byte - 4 * 7 + 28 + 16) / (4 * 7)) * 5, 0)
    assert sent("lora", size_byte)[1] == pytest.approx((8 + 4.25 + n_symbols) * symbol_s, rel=0.03)


def test_only_differences_are_written_and_shapes_extend_too() -> None:
    text = TEXT.replace("extends: CLASS", "extends: ble, latency: 1 ms, transport: tcp, bandwidth: 2 Mbit/s")
    [link, _] = Scenario.from_text(text).built.links
    assert (link.bandwidth_bit_per_s, link.latency_s, link.mtu_byte) == (2e6, 1e-3, 244)
    assert type(link.transport).__name__ == "Tcp"
    shape = TEXT.replace(
        "  links: [{between: [a, b], extends: CLASS}]", "  line: {count: 2, profile: phone, extends: lte}"
    )
    scenario = Scenario.from_text(shape.replace("  devices: [{id: a, profile: phone}, {id: b, profile: phone}]\n", "")
                                  .replace("source: a, sink: b", "source: w1, sink: w2"))  # fmt: skip
    assert {one.bandwidth_bit_per_s for one in scenario.built.links} == {10e6}
    assert scenario.resolved()["topology"]["line"]["extends"] == "lte"  # it says which of the numbers are assumed
    assert Scenario.from_data(scenario.resolved()).resolved() == scenario.resolved()
    assert Scenario.from_data(scenario.resolved()).hash() == scenario.hash()


def test_an_unknown_class_is_found_with_the_nearest() -> None:
    with pytest.raises(ScenarioError, match=r"(?s)unknown link class 'zigbe'.*nearest 'zigbee'.*edgesim list links"):
        Scenario.from_text(TEXT.replace("CLASS", "zigbe"))
    with pytest.raises(ScenarioError, match="'extends'"):
        Scenario.from_text(TEXT.replace("CLASS", "[ble]"))
    with pytest.raises(UnknownNameError):
        link_classes.entry("zigbe")


def test_a_class_cannot_be_swept() -> None:
    """It has been written out when values are put in its place."""
    sweep = "sweep: {c: {path: topology.links.0.extends, values: [ble, lora]}}\n"
    with pytest.raises(ScenarioError, match="'extends' cannot be swept"):
        Scenario.from_text(TEXT.replace("CLASS", "ble") + sweep)


def test_classes_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_kind("links") == 0
    assert "ethernet-1g" in capsys.readouterr().out
    assert list_kind("links", is_json=True) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == list(link_classes.names())
    [said] = find("zigbee")
    assert "macMaxFrameRetries" in said.sections["Numbers and where they come from"]
