"""The catalog of device profiles."""

from __future__ import annotations

import json

import pytest

from edgesim.errors import UnknownNameError
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.topology.hardware import ProfileSpec


def leaves(data: dict[str, object], prefix: str = "") -> list[str]:
    """Return the dotted names of all numbers of a profile."""
    names: list[str] = []
    for key, value in data.items():
        names += leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


@pytest.mark.parametrize("name", catalog.names())
def test_every_number_has_a_reference_or_says_assumed(name: str) -> None:
    """Field by field, and no reference without a number."""
    data = catalog.entry(name)
    del data["source"]
    assert sorted(leaves(data)) == sorted(catalog.references(name))
    assert all(text.startswith("assumed") or len(text) > 10 for text in catalog.references(name).values())


@pytest.mark.parametrize("name", catalog.names())
def test_every_profile_is_valid_and_consistent(name: str) -> None:
    """Idle takes less power than computing, sending and receiving; dense work is not slower than depthwise."""
    profile = ProfileSpec.model_validate_json(json.dumps(catalog.entry(name)))
    power, rate = profile.power, profile.compute_rate
    assert power.idle < min(power.busy, power.transmit, power.receive)
    assert rate.conv >= rate.depthwise
    assert catalog.summary(name)


@pytest.mark.parametrize(
    ("name", "resnet_18_ms", "mobilenet_v2_ms", "clock_ratio"),
    [
        ("raspberry-pi-3b-plus", 271.9, 111.7, 1.0),
        ("raspberry-pi-4b", 123.1, 61.9, 1.0),
        ("jetson-nano-cpu", 83.4, 33.8, 1.0),
        ("raspberry-pi-zero-2w", 353.5, 147.4, 1.0),
        ("jetson-nano-gpu", 44.0, 13.0, 1.0),
        ("phone-2015", 95.33, 37.60, 1.0),
        ("laptop", 37.58, 13.36, 1.0),
        ("wearable", 379.6, 158.8, 1.0 / 1.4),  # one thread, scaled from 1.4 to 1.0 GHz
    ],
)
def test_rates_are_what_the_derivation_gives(
    name: str, resnet_18_ms: float, mobilenet_v2_ms: float, clock_ratio: float
) -> None:
    """FLOP/s = 2 x multiply-adds / time: 1.8 G for ResNet-18, 0.30 G for MobileNet v2; to three digits."""
    rate = ProfileSpec.model_validate_json(json.dumps(catalog.entry(name))).compute_rate
    assert rate.conv == pytest.approx(2 * 1.8e9 / (resnet_18_ms * 1e-3) * clock_ratio, rel=5e-3)
    assert rate.depthwise == pytest.approx(2 * 0.30e9 / (mobilenet_v2_ms * 1e-3) * clock_ratio, rel=5e-3)


def test_an_unknown_profile_suggests_the_nearest() -> None:
    """As every unknown name."""
    with pytest.raises(UnknownNameError, match="nearest 'jetson-nano-cpu'"):
        catalog.entry("jetson-nnao-cpu")
