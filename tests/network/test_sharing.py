"""Max-min fair sharing: textbook cases by hand, and what defines max-min fairness as a property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.network.sharing import max_min_rates


def test_k_equal_transfers_get_a_kth_each() -> None:
    """k transfers over one link of B: B / k each."""
    for k in (1, 2, 8, 64):
        assert max_min_rates([{0: 1e-7}] * k) == pytest.approx([1e7 / k] * k)


def test_three_links_of_the_textbook() -> None:
    """Line of two unit links: x0 over both, x1 on the first, x2 and x3 on the second.

    The second link is the first bottleneck: x0 = x2 = x3 = 1/3. The first link then leaves x1 = 1 - 1/3 = 2/3.
    """
    usages = [{0: 1.0, 1: 1.0}, {0: 1.0}, {1: 1.0}, {1: 1.0}]
    assert max_min_rates(usages) == pytest.approx([1 / 3, 2 / 3, 1 / 3, 1 / 3])


def test_relayed_message_uses_the_air_twice() -> None:
    """Over one medium of 10 Mbit/s, a message relayed by the access point gets 5 Mbit/s."""
    assert max_min_rates([{0: 2e-7}]) == pytest.approx([5e6])


def test_slow_station_slows_the_cell() -> None:
    """Stations of 54 and 6 Mbit/s in one medium get equal rates: 1 / (1/54 + 1/6) = 5.4 Mbit/s each."""
    assert max_min_rates([{0: 1 / 54e6}, {0: 1 / 6e6}]) == pytest.approx([5.4e6, 5.4e6])


def test_no_channel_means_no_limit() -> None:
    """A transfer that crosses nothing is not slowed."""
    assert max_min_rates([{}, {0: 1.0}]) == [float("inf"), 1.0]


@given(
    st.lists(
        st.dictionaries(st.integers(0, 5), st.floats(0.01, 100.0), min_size=1, max_size=4), min_size=1, max_size=10
    )
)
def test_every_transfer_has_a_bottleneck(usages: list[dict[int, float]]) -> None:
    """Max-min fair: no channel above its capacity, and each transfer crosses a full one on which no rate is higher."""
    rates = max_min_rates(usages)
    load: dict[int, float] = {}
    for rate, usage in zip(rates, usages, strict=True):
        for channel, time_per_bit in usage.items():
            load[channel] = load.get(channel, 0.0) + rate * time_per_bit
    assert all(value <= 1 + 1e-9 for value in load.values())
    for rate, usage in zip(rates, usages, strict=True):
        assert any(
            load[channel] >= 1 - 1e-9
            and all(
                other <= rate * (1 + 1e-9) for other, crossing in zip(rates, usages, strict=True) if channel in crossing
            )
            for channel in usage
        )


def test_what_little_is_left_of_a_channel_is_all_that_is_left() -> None:
    """The first transfer, held at 1 by a channel of its own, leaves 0.0005 of the second channel: 1 for who takes 0.0005 each."""
    assert max_min_rates([{0: 1.0, 1: 0.9995}, {1: 0.0005}]) == pytest.approx([1.0, 1.0])


def test_channels_that_fill_at_once_are_each_left_once() -> None:
    """One transfer over two links of 2 bit/s with one of 11 bit/s beside it on each: 1 / (1/2 + 1/11) = 22/13, to rounding.

    The second link fills a digit of rounding before the first; a transfer with its rate must not be counted again there.
    """
    assert max_min_rates([{0: 1 / 2, 1: 1 / 2}, {0: 1 / 11}, {1: 1 / 11}]) == pytest.approx([22 / 13] * 3)
