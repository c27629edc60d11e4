"""The roofline: the longer of arithmetic and memory traffic, plus an overhead, per layer."""

from __future__ import annotations

import pytest

from edgesim.compute.roofline import Roofline
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import DeviceProfile
from edgesim.errors import PlanError

PROFILE = DeviceProfile("p", {"conv": 1e9, "other": 1e8}, 1e8, 1e-3, 1, 0, 0, 0, 0, "assumed")


def duration_s(*work: LayerWork) -> float:
    return Roofline().duration_s(Compute("step", "d", work), PROFILE)


def test_layers_add_up_each_at_its_own_limit():
    """conv: 8 ms of arithmetic over 1 ms of traffic; other: 2 ms of traffic over 1 ms; twice 1 ms overhead: 12 ms."""
    assert duration_s(LayerWork("a", "conv", 8e6, 1e5), LayerWork("b", "other", 1e5, 2e5)) == pytest.approx(12e-3)


def test_a_step_without_layers_takes_no_time():
    """Arrivals and joins without work are free."""
    assert duration_s() == 0


def test_a_missing_rate_is_refused():
    """A profile without a rate for a class has no default."""
    with pytest.raises(PlanError, match="'p' has no rate for operator class 'linear', which layer 'fc' needs"):
        duration_s(LayerWork("fc", "linear", 1, 1))


def test_half_rate_serial_share_and_quantised_weights_by_hand():
    """8 ms of arithmetic becomes 9 ms with 1 MFLOP more; of 3 ms of traffic, 2 ms of weights become 0.25 ms at 4 bits: 1.25 ms."""
    layer = LayerWork("a", "conv", 8e6, 3e5, weight_byte=2e5)
    step = Compute("step", "d", (layer,))
    assert Roofline(half_rate_flop=1e6).duration_s(step, PROFILE) == pytest.approx(10e-3)
    assert Roofline(serial_share=0.5).duration_s(step, PROFILE) == pytest.approx(8e-3 + 1.5e-3 + 1e-3)
    assert Roofline(serial_share=1.0, weight_bits=4).duration_s(step, PROFILE) == pytest.approx(8e-3 + 1.25e-3 + 1e-3)


def test_at_half_rate_work_a_layer_reaches_half_of_the_rate_and_nothing_takes_no_arithmetic():
    """F = h: twice the time; a pure copy has no work that could be slow."""
    half = Roofline(half_rate_flop=4e6).duration_s(Compute("s", "d", (LayerWork("a", "conv", 4e6, 1),)), PROFILE)
    none = Roofline(half_rate_flop=4e6).duration_s(Compute("s", "d", (LayerWork("a", "conv", 0, 1e5),)), PROFILE)
    assert half == pytest.approx(2 * 4e-3 + 1e-3)
    assert none == pytest.approx(1e-3 + 1e-3)


@pytest.mark.parametrize(
    "options", [{"half_rate_flop": -1}, {"serial_share": 1.5}, {"weight_bits": 0}, {"weight_bits": 64}]
)
def test_options_out_of_range_are_refused(options: dict[str, float]):
    with pytest.raises(PlanError, match="a roofline has"):
        Roofline(**options)


def test_weights_are_part_of_what_is_moved():
    with pytest.raises(PlanError, match="weight_byte 2 above moved_byte 1"):
        LayerWork("a", "conv", 1, 1, weight_byte=2)
