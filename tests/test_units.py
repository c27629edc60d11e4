"""Quantities as texts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.units import EXAMPLES, Quantity, dimension_of, parse, plain_name, show


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("20 Mbit/s", "bit/s", 2e7), ("1 MB/s", "bit/s", 8e6), ("2Mbps", "bit/s", 2e6), ("30 us", "s", 3e-5),
        ("1.5 min", "s", 90.0), ("1 h", "s", 3600.0), ("256 KiB", "byte", 262144.0), ("8 bit", "byte", 1.0),
        ("4 GB/s", "byte/s", 4e9), ("13.6 GFLOPS", "FLOP/s", 1.36e10), ("-2 km", "m", -2000.0), (".5 W", "W", 0.5),
        ("1e3 mJ", "J", 1.0), ("1 Wh", "J", 3600.0), ("5/s", "Hz", 5.0),
    ],
)  # fmt: skip
def test_texts_are_read_exactly(text: str, unit: str, value: float) -> None:
    """As if the number had been written in base units: 30 us is the float 3e-05."""
    assert parse(text, unit) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (20, "bare number"), (0.5, "bare number"), ("20", "bare number"), ("1e3", "bare number"), (True, "not a quantity"), (None, "not a quantity"),
        ("fast", "is not a quantity"), ("", "is not a quantity"), ("20 parsec", "unknown unit 'parsec'"),
        ("20 MB", "is an amount of data, not a data rate"), ("1e400 bit/s", "out of range"),
        ("1e99999999999999999999 bit/s", "out of range"), ("nan bit/s", "is not a quantity"), ("1,5 bit/s", "is not a quantity"),
    ],
)  # fmt: skip
def test_what_is_no_quantity_is_refused_with_an_example(text: object, message: str) -> None:
    """A bare number, another dimension, an unknown unit, no finite number."""
    with pytest.raises(ValueError, match=message) as caught:
        parse(text, "bit/s")
    assert EXAMPLES["bit/s"] in str(caught.value) or "did you mean" in str(caught.value)


@given(st.floats(-1e18, 1e18), st.sampled_from(["s", "bit/s", "byte/s", "FLOP/s", "W", "J", "m"]))
def test_what_is_written_reads_back_as_the_same_float(value: float, unit: str) -> None:
    """Bit for bit, so that a resolved scenario is the same scenario."""
    quantity = Quantity(unit, minimum=-math.inf)
    assert quantity.read(quantity.write(value)) == value


@given(st.floats(1e-9, 1e14))
def test_shown_values_are_right_to_three_digits(value: float) -> None:
    """With whatever prefix."""
    assert parse(show(value, "s"), "s") == pytest.approx(value, rel=6e-3)


def test_only_unit_suffixes_are_dropped() -> None:
    """The longest first."""
    names = {"step_deadline_s": "step_deadline", "rate_bit_per_s": "rate", "epochs": "epochs", "size_byte": "size"}
    assert {name: plain_name(name) for name in names} == names


@pytest.mark.parametrize("text", ["1e19 s", "-1e19 m", "1e400 s"])
def test_absurdly_large_quantities_are_refused(text: str) -> None:
    """They would overflow in a simulation."""
    with pytest.raises(ValueError, match="out of range"):
        parse(text, text[-1])


def test_rates_that_are_nearly_zero_are_refused() -> None:
    """Times are sizes over rates."""
    with pytest.raises(ValueError, match="at least 1e-15 bit/s"):
        Quantity("bit/s", is_minimum_excluded=True).read("1e-300 bit/s")
    assert Quantity("s").read("1e-300 s") == 1e-300


@pytest.mark.parametrize(
    ("text", "unit", "likely"),
    [
        ("20 mbit/s", "bit/s", "'Mbit/s'"), ("10 mbps", "bit/s", "'Mbps'"), ("1 mbit", "byte", "'Mbit'"), ("5 mB", "byte", "'MB'"),
        ("20 Mb/s", "bit/s", "'Mbit/s' or 'MB/s'"), ("1 KB/s", "byte/s", "'kB/s'"), ("1 Gbit", "bit/s", "'Gbit/s'"),
        ("20 MB/s", "byte", "'MB'"), ("10 mFLOP/s", "FLOP/s", "'MFLOP/s'"), ("3 MFLOPS", "FLOP", "'MFLOP'"), ("5 Ms", "s", "'ms'"),
        ("5 MSEC", "s", "'ms'"), ("3 hours", "s", "'h'"), ("3 MW", "W", "'mW'"), ("3 MJ", "J", "'mJ'"), ("2 Mm", "m", "'mm'"),
        ("5 percent", "1", "'%'"),
    ],
)  # fmt: skip
def test_a_unit_that_is_mixed_up_is_refused_with_the_likely_one(text: str, unit: str, likely: str) -> None:
    """Millibits and megaseconds are slips of the shift key: 20 mbit/s would be 0.02 bit/s."""
    with pytest.raises(ValueError, match="; did you mean ") as caught:
        parse(text, unit)
    assert str(caught.value).endswith(f"did you mean {likely}?")


@pytest.mark.parametrize("prefix", ["n", "u", "µ", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi"])
@pytest.mark.parametrize(
    ("units", "sensible"),
    [
        (("byte", "bit", "B", "bit/s", "byte/s", "B/s"), "k M G T Ki Mi Gi"), (("FLOP", "FLOP/s", "FLOPS", "bps"), "k M G T"),
        (("s",), "n u µ m"), (("W", "J"), "n u µ m k"), (("m",), "m k"), (("Hz",), "m k M"), (("min", "h", "/s", "%"), ""),
    ],
)  # fmt: skip
def test_only_prefixes_that_make_sense_are_read(units: tuple[str, ...], sensible: str, prefix: str) -> None:
    """Every unit with every prefix."""
    for unit in units:
        if prefix in sensible.split():
            assert dimension_of(f"1 {prefix}{unit}")[0] > 0
        else:
            with pytest.raises(ValueError, match=r"makes no sense|unknown unit"):
                dimension_of(f"1 {prefix}{unit}")


def test_values_are_shown_with_prefixes_that_make_sense() -> None:
    """No kiloseconds, no millibits."""
    assert [show(7200, "s"), show(0.02, "bit/s"), show(5e6, "W")] == ["7200 s", "0.02 bit/s", "5000 kW"]
