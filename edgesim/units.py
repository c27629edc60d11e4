"""Quantities as texts with units: ``"20 Mbit/s"`` -> 2e7 bit/s.

A quantity is a number, an optional prefix and a unit. Decimal prefixes (k, M, G, T, m, u, n) go with every unit, binary
ones (Ki, Mi, Gi) with byte and bit. A bare number is refused: a physical quantity without a unit is a guess.

Examples
--------
>>> parse("20 Mbit/s", "bit/s")
20000000.0
>>> parse("256 KiB", "byte")
262144.0
>>> show(0.0231, "s")
'23.1 ms'
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

# unit text -> (dimension, factor to the dimension's base unit)
_UNITS: dict[str, tuple[str, float]] = {
    "s": ("s", 1.0), "min": ("s", 60.0), "h": ("s", 3600.0),
    "byte": ("byte", 1.0), "B": ("byte", 1.0), "bit": ("byte", 0.125),
    "bit/s": ("bit/s", 1.0), "bps": ("bit/s", 1.0), "B/s": ("bit/s", 8.0), "byte/s": ("bit/s", 8.0),
    "FLOP": ("FLOP", 1.0), "FLOP/s": ("FLOP/s", 1.0), "FLOPS": ("FLOP/s", 1.0),
    "W": ("W", 1.0), "J": ("J", 1.0), "Wh": ("J", 3600.0), "m": ("m", 1.0), "Hz": ("Hz", 1.0), "/s": ("Hz", 1.0),
}  # fmt: skip
_DECIMAL = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
_BINARY_UNITS = ("byte", "B", "bit", "bit/s", "B/s", "byte/s")
_NO_PREFIX = ("min", "h", "/s")
_LEAST_RATE, _MOST = 1e-15, 1e18
"""Rates below and quantities above these, in base units, are slips of the pen, and would overflow in a simulation."""
_TEXT = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\s\d.,_].*?)\s*")
EXAMPLES = {
    "s": "5 ms", "byte": "256 KiB", "bit/s": "20 Mbit/s", "FLOP/s": "13.6 GFLOP/s", "FLOP": "2 MFLOP",
    "W": "2.7 W", "J": "10 mJ", "m": "12 m", "Hz": "30 Hz",
}  # fmt: skip
_BYTE_RATE_EXAMPLE = "4 GB/s"


def _factor(text: str) -> tuple[str, float] | None:
    """Return (dimension, factor) of a unit text with prefix, or None."""
    if text in _UNITS:
        return _UNITS[text]
    for prefix, scale in (*_BINARY.items(), *_DECIMAL.items()):
        unit = text.removeprefix(prefix)
        if not prefix or unit == text or unit not in _UNITS or unit in _NO_PREFIX:
            continue
        if prefix in _BINARY and unit not in _BINARY_UNITS:
            continue
        dimension, factor = _UNITS[unit]
        return dimension, factor * scale
    return None


def parse(text: object, unit: str) -> float:
    """Read a quantity text and return its value in `unit`.

    Parameters
    ----------
    text : the quantity, e.g. ``"5 ms"``.
    unit : base unit of the result, a key of `EXAMPLES` or ``"byte/s"``.

    Raises
    ------
    ValueError
        When the text is no quantity, has no unit or one of another dimension, or is absurdly large.
    """
    wanted = "bit/s" if unit == "byte/s" else unit
    example = _BYTE_RATE_EXAMPLE if unit == "byte/s" else EXAMPLES[wanted]
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        raise ValueError(f"not a quantity; write a number with a unit such as '{example}'")
    if isinstance(text, (int, float)):
        raise ValueError(f"a bare number has no unit; write a text such as '{example}'")
    if re.fullmatch(r"\s*[-+]?[\d._]+(?:[eE][-+]?\d+)?\s*", text):
        raise ValueError(f"a bare number has no unit; write a text such as '{example}'")
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write a number with a unit such as '{example}'")
    found = _factor(match[2])
    if found is None:
        raise ValueError(f"unknown unit {match[2]!r}; write a text such as '{example}'")
    dimension, factor = found
    if dimension != wanted:
        raise ValueError(f"unit {match[2]!r} measures {dimension}, not {unit}; write a text such as '{example}'")
    try:  # decimal arithmetic, so that "30 us" is 3e-05 and not 2.9999999999999997e-05
        value = float(Decimal(match[1].replace("_", "")) * Decimal(repr(factor / 8.0 if unit == "byte/s" else factor)))
    except ArithmeticError:
        value = math.inf
    if not abs(value) <= _MOST:
        raise ValueError(f"{text!r} is out of range; write a text such as '{example}'")
    return value


def dimension_of(text: str) -> tuple[float, str]:
    """Read a quantity of any kind and return its value and its base unit. Raises `ValueError` when it is none.

    >>> dimension_of("20 Mbit/s")
    (20000000.0, 'bit/s')
    """
    match = _TEXT.fullmatch(text)
    found = match and _factor(match[2])
    if not found:
        raise ValueError(f"{text!r} is no quantity; write a number with a unit such as '5 ms'")
    return parse(text, found[0]), found[0]


def show_exactly(value: float, unit: str) -> str:
    """Return a quantity as a text that reads back as exactly the same value."""
    return f"{int(value)} {unit}" if float(value).is_integer() else f"{value!r} {unit}"


def show(value: float, unit: str) -> str:
    """Format a value in base units with a fitting prefix and three significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    scale = 1.0
    prefix = ""
    for candidate, size in sorted(_DECIMAL.items(), key=lambda item: item[1]):
        if candidate != "µ" and abs(value) >= size * 0.9995 and not (unit == "byte" and size < 1):
            prefix, scale = candidate, size
    if unit == "byte":
        unit = "B"
    return (
        f"{value / scale:.3g} {prefix}{unit}" if abs(value / scale) < 999.5 else f"{value / scale:.0f} {prefix}{unit}"
    )


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a number as a physical quantity: from a scenario it is read as a text with a unit.

    Parameters
    ----------
    unit : base unit of the stored number.
    minimum : smallest allowed value, in base units.
    is_minimum_excluded : whether the minimum itself is refused.
    """

    unit: str
    minimum: float = 0.0
    is_minimum_excluded: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": _pattern(self.unit), "examples": [self.example]}

    @property
    def example(self) -> str:
        """A text of this unit."""
        return _BYTE_RATE_EXAMPLE if self.unit == "byte/s" else EXAMPLES[self.unit]

    def read(self, text: object) -> float:
        """Parse a quantity text and check its range."""
        value = parse(text, self.unit)
        if value < self.minimum or (self.is_minimum_excluded and value == self.minimum):
            bound = "greater than" if self.is_minimum_excluded else "at least"
            raise ValueError(f"{text!r} is out of range; it must be {bound} {self.minimum:g} {self.unit}")
        if self.is_minimum_excluded and value < _LEAST_RATE:
            raise ValueError(f"{text!r} is out of range; it must be at least {_LEAST_RATE:g} {self.unit}")
        return int(value) if self.unit == "byte" and value.is_integer() else value

    def write(self, value: float) -> str:
        """Return a text that reads back as exactly the same value."""
        return show_exactly(value, self.unit)


def _pattern(unit: str) -> str:
    """Return a regular expression, also of JavaScript, that every text of this unit matches, and few others."""
    wanted = "bit/s" if unit == "byte/s" else unit
    names = []
    for name, (dimension, _) in _UNITS.items():
        if dimension == wanted:
            prefixes = [] if name in _NO_PREFIX else [prefix for prefix in _DECIMAL if prefix]
            prefixes += list(_BINARY) if name in _BINARY_UNITS else []
            names.append(f"(?:{'|'.join(prefixes)})?{name}" if prefixes else name)
    return rf"^\s*[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*(?:{'|'.join(names)})\s*$"


Seconds = Annotated[float, Quantity("s")]
Bytes = Annotated[int, Quantity("byte")]
BitPerSecond = Annotated[float, Quantity("bit/s", is_minimum_excluded=True)]
BytePerSecond = Annotated[float, Quantity("byte/s", is_minimum_excluded=True)]
FlopPerSecond = Annotated[float, Quantity("FLOP/s", is_minimum_excluded=True)]
Watt = Annotated[float, Quantity("W")]
Metre = Annotated[float, Quantity("m", minimum=float("-inf"))]
Hertz = Annotated[float, Quantity("Hz", is_minimum_excluded=True)]

SUFFIXES = ("_byte_per_s", "_bit_per_s", "_flop_per_s", "_byte", "_flop", "_hz", "_s", "_w", "_j", "_m")


def plain_name(field: str) -> str:
    """Return a field's name in scenario files: the unit suffix is dropped, since the text carries the unit.

    >>> plain_name("step_deadline_s")
    'step_deadline'
    """
    for suffix in SUFFIXES:
        if field.endswith(suffix):
            return field.removesuffix(suffix)
    return field
