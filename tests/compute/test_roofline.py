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
