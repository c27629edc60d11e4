"""The engines against closed forms; each states its wrong rate, of which the simulation must be further away than of the right one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from closed_forms import FORMS, Found, mean_value_analysis


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_closed_form(form: Callable[[], Found]) -> None:
    """Within three standard errors, while the formula with a rate 5 % off is further away than that."""
    found = form()
    assert abs(found.expected_off / found.expected - 1) > 3 * found.error / found.mean, "no power"
    assert found.is_met(), f"{found.mean} +- {found.error} simulated, {found.expected} expected"


def test_mean_value_analysis_by_hand() -> None:
    """One client never waits; two at two servers of 1 s: each finds half a client there, so 1.5 s at each."""
    assert mean_value_analysis((1.0, 0.5), 1, 3.0) == pytest.approx(1.5)
    assert mean_value_analysis((1.0, 1.0), 2, 0.0) == pytest.approx(3.0)
