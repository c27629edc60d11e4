"""How often failures strike a plan, known from the models."""

from __future__ import annotations

from math import comb, exp

import pytest

from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.gilbert_elliott import GilbertElliott
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.failures.sampling.strikes import strikes_of
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.failures.stragglers import ShiftedExponential

USED = frozenset({"hub", "w1", "w2", "w1->hub", "w2->hub"})


@pytest.fixture(name="topology")
def four() -> Topology:
    """A star of four devices, of which a plan uses two."""
    profile = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 1, 1.0, 1.0, 1.0, 1.0, "assumed")
    ids = ["hub", "w1", "w2", "w3", "w4"]
    links = tuple(Link(f"{name}->hub", name, "hub", 1e6) for name in ids[1:])
    return Topology(tuple(Device(name, profile) for name in ids), links)


def crossings(topology: Topology) -> list[tuple[Link, int]]:
    """Two messages of five packets, one over each of two links."""
    return [(link, 5) for link in topology.links if link.link_id in USED]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (CommonCause(0.01, 0.2, "w*"), [0.002, 1 - 0.992**2]),
        (CommonCause(0.01, 1.0, "w3"), []),
        (ExactlyK(1, "w*"), [0.5]),
        (ExactlyK(2, "w*"), [1 - 1 / comb(4, 2)]),
        (ExactlyK(0, "w*"), []),
        (ExactlyK(4, "w*"), []),
        (Scripted((ScriptedOutage("w1"),)), []),
        (OnOff(90.0, 10.0, "w*"), [1 - (0.9 * exp(-2.0 / 90.0)) ** 2]),
        (Bernoulli(0.1), [1 - 0.9**2]),
        (Bernoulli(0.1, "w3->hub"), []),
        (PacketBernoulli(0.1), [1 - 0.9**10]),
        (GilbertElliott(1.0, 1.0, 1.0), [1.0]),
        (GilbertElliott(0.0, 1.0, 1.0, 0.1), [1 - 0.9**10]),
        (ShiftedExponential(1.0), [1.0]),
    ],
)
def test_how_often_a_model_strikes(topology: Topology, model, expected: list[float]) -> None:
    """Only what the plan uses counts; what is certain, or cannot be, is no strike."""
    found = strikes_of({"it": model}, topology, USED, crossings(topology), 2.0)
    assert [strike.probability for strikes in found.values() for strike in strikes] == pytest.approx(expected)


def test_importance_sampling_strikes_as_often_as_it_draws(topology: Topology) -> None:
    found = strikes_of({"it": Bernoulli(1e-9, sampled_at=0.5)}, topology, USED, crossings(topology), 2.0)
    [strike] = found["it"]
    assert strike.probability == pytest.approx(2e-9, rel=1e-6)
    assert strike.drawn_at == 0.75
    [common, _] = strikes_of({"it": CommonCause(0.01, 0.2, sampled_at=0.3)}, topology, USED, [], 2.0)["it"]
    assert (common.probability, common.drawn_at) == (0.002, 0.3)


def test_many_requests_are_struck_more_often(topology: Topology) -> None:
    [strike] = strikes_of({"it": Bernoulli(0.1)}, topology, USED, crossings(topology), 2.0, n_requests=3)["it"]
    assert strike.probability == pytest.approx(1 - 0.9**6)
