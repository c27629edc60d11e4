"""Scenario -> system."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.networks.training import Training
from edgesim.domain.system.topology import DeviceProfile
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario


def test_ranges_and_patterns_are_written_out(small: dict[str, Any]) -> None:
    """Three wearables, linked both ways with the hub, in the order of the file."""
    topology = build(Scenario.from_data(small)).topology
    assert [device.device_id for device in topology.devices] == ["hub", "w1", "w2", "w3"]
    assert [link.link_id for link in topology.links] == [
        "hub->w1",
        "w1->hub",
        "hub->w2",
        "w2->hub",
        "hub->w3",
        "w3->hub",
    ]
    link = topology.links[0]
    assert (link.bandwidth_bit_per_s, link.latency_s, link.medium_id, link.mtu_byte) == (20e6, 0.002, "cell", 1472)


def test_one_way_links_go_one_way(small: dict[str, Any]) -> None:
    """`from` and `to`."""
    rate = {"bandwidth": "1 Mbit/s"}
    small["topology"]["links"] = [{"from": "hub", "to": "w*", **rate}, {"from": "w1", "to": "hub", **rate}]
    links = build(Scenario.from_data(small)).topology.links
    assert [link.link_id for link in links] == ["hub->w1", "hub->w2", "hub->w3", "w1->hub"]


def test_profiles_come_from_the_catalog_the_scenario_or_the_device(small: dict[str, Any]) -> None:
    """Extended ones keep what they do not change, and say what is assumed."""
    small["profiles"] = {"fast": {"extends": "wearable", "compute_rate": {"conv": "9 GFLOP/s"}}}
    small["topology"]["devices"] = [
        {"id": "hub", "profile": "phone"},
        {"id": "w1", "profile": "fast"},
        {"id": "w2", "profile": {"extends": "wearable", "memory": "1 MiB", "source": "data sheet"}},
        {"id": "w3", "profile": "wearable"},
    ]
    _, fast, inline, plain = (device.profile for device in build(Scenario.from_data(small)).topology.devices)
    assert (fast.flop_per_s["conv"], fast.flop_per_s["linear"]) == (9e9, plain.flop_per_s["linear"])
    assert (fast.name, fast.source) == ("fast", "wearable with assumed compute_rate")
    assert (inline.memory_byte, inline.idle_w, inline.source) == (2**20, plain.idle_w, "data sheet")


def test_every_number_of_a_profile_arrives(small: dict[str, Any]) -> None:
    """Each at its place."""
    small["topology"]["devices"][0]["profile"] = {
        "compute_rate": {"conv": "1 FLOP/s", "depthwise": "2 FLOP/s", "linear": "3 FLOP/s", "other": "4 FLOP/s"},
        "memory_bandwidth": "5 B/s", "layer_overhead": "6 s", "memory": "7 B",
        "power": {"idle": "8 W", "busy": "9 W", "transmit": "10 W", "receive": "11 W"},
    }  # fmt: skip
    profile = build(Scenario.from_data(small)).topology.devices[0].profile
    rates = {"conv": 1, "depthwise": 2, "linear": 3, "other": 4}
    assert profile == DeviceProfile("inline", rates, 5, 6, 7, 8, 9, 10, 11, "assumed")


def test_the_workload_and_plugins_are_passed_on(small: dict[str, Any]) -> None:
    """Nothing is loaded: the data set is only named."""
    small["workload"] |= {"training": {"epochs": 3}, "deadline": "1 s", "sink": "w1"}
    system = build(Scenario.from_data(small))
    assert (system.source_id, system.sink_id, system.deadline_s, system.seed) == ("hub", "w1", 1.0, 1)
    assert system.training == Training(epochs=3)
    assert list(system.strategies) == ["single"]


@pytest.mark.parametrize("key", ["bandwidth", "latency", "message_overhead", "mtu", "header"])
def test_every_quantity_of_a_link_arrives(small: dict[str, Any], key: str) -> None:
    """No knob is dropped on the way."""
    base = build(Scenario.from_data(small)).topology.links[0]
    small["topology"]["links"][0][key] = {"bandwidth": "1 bit/s", "mtu": "1 B", "header": "1 B"}.get(key, "1 s")
    changed = build(Scenario.from_data(small)).topology.links[0]
    name = {"bandwidth": "bandwidth_bit_per_s", "mtu": "mtu_byte", "header": "header_byte"}.get(key, f"{key}_s")
    assert getattr(changed, name) == 1
    assert getattr(base, name) != 1
