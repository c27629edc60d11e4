"""Quantities as texts with units: ``"20 Mbit/s"`` -> 2e7 bit/s.

A quantity is a number, an optional prefix and a unit. Binary prefixes (Ki, Mi, Gi) go with byte and bit, decimal ones with the
units for which they make sense: nobody means millibits by ``mbit``. A bare number is refused: a physical quantity without a unit
is a guess.

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
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class _Unit(NamedTuple):
    """A unit: what it measures, its size in that dimension's base unit, and the prefixes that make sense with it."""

    dimension: str
    factor: float
    prefixes: tuple[str, ...] = ()


_DECIMAL = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
_PREFIXES = _DECIMAL | _BINARY
_LARGE = ("k", "M", "G", "T")
_ALL_LARGE = (*_LARGE, *_BINARY)
_SMALL = ("n", "u", "µ", "μ", "m")
_UNITS = {
    "s": _Unit("s", 1.0, _SMALL), "min": _Unit("s", 60.0), "h": _Unit("s", 3600.0),
    "byte": _Unit("byte", 1.0, _ALL_LARGE), "B": _Unit("byte", 1.0, _ALL_LARGE), "bit": _Unit("byte", 0.125, _ALL_LARGE),
    "bit/s": _Unit("bit/s", 1.0, _ALL_LARGE), "bps": _Unit("bit/s", 1.0, _LARGE),
    "B/s": _Unit("bit/s", 8.0, _ALL_LARGE), "byte/s": _Unit("bit/s", 8.0, _ALL_LARGE),
    "FLOP": _Unit("FLOP", 1.0, _LARGE), "FLOP/s": _Unit("FLOP/s", 1.0, _LARGE), "FLOPS": _Unit("FLOP/s", 1.0, _LARGE),
    "W": _Unit("W", 1.0, (*_SMALL, "k")), "J": _Unit("J", 1.0, (*_SMALL, "k")), "Wh": _Unit("J", 3600.0, ("u", "µ", "μ", "m", "k")),
    "m": _Unit("m", 1.0, ("m", "k")), "Hz": _Unit("Hz", 1.0, ("m", "k", "M")), "/s": _Unit("Hz", 1.0), "%": _Unit("1", 0.01),
}  # fmt: skip
_BY_TEXT = {
    prefix + name: (unit, _PREFIXES[prefix]) for name, unit in _UNITS.items() for prefix in ("", *unit.prefixes)
}
_LEAST_RATE, _MOST = 1e-15, 1e18
"""Rates below and quantities above these, in base units, are slips of the pen, and would overflow in a simulation."""
_TEXT = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\s\d.,_].*?)\s*", re.ASCII)
EXAMPLES = {
    "s": "5 ms", "byte": "256 KiB", "bit/s": "20 Mbit/s", "FLOP/s": "13.6 GFLOP/s", "FLOP": "2 MFLOP",
    "W": "2.7 W", "J": "10 mJ", "m": "12 m", "Hz": "30 Hz", "1": "5 %", "byte/s": "4 GB/s",
}  # fmt: skip
_MEANING = {
    "s": "a time", "byte": "an amount of data", "bit/s": "a data rate", "FLOP": "an amount of arithmetic", "FLOP/s": "an arithmetic rate",
    "W": "a power", "J": "an energy", "m": "a distance", "Hz": "a number per second", "1": "a share",
}  # fmt: skip


def factor_of(name: str, unit: str) -> float:
    """Return how many `unit` one of the unit `name` is, e.g. 1e6 for ``"Mbit/s"`` in ``"bit/s"``.

    Raises
    ------
    ValueError
        When there is no such unit, its prefix makes no sense, or it measures something else; with the unit that is likely meant.

    Examples
    --------
    >>> factor_of("Mbit/s", "bit/s"), factor_of("kB", "byte"), factor_of("h", "s")
    (1000000.0, 1000.0, 3600.0)
    """
    wanted = "bit/s" if unit == "byte/s" else unit
    found = _BY_TEXT.get(name)
    if found is None:
        raise ValueError(f"{_strange(name)}; {_likely(name, wanted) or f'write a text such as {EXAMPLES[unit]!r}'}")
    known, scale = found
    if known.dimension != wanted:
        message = f"{name!r} is {_MEANING[known.dimension]}, not {_MEANING[wanted]}"
        raise ValueError(f"{message}; {_likely(name, wanted) or f'write a text such as {EXAMPLES[unit]!r}'}")
    factor = known.factor * scale
    return factor / 8.0 if unit == "byte/s" else factor


def _strange(name: str) -> str:
    """Say what is wrong with a unit that is none: its prefix, or all of it."""
    for prefix in sorted((one for one in _PREFIXES if one), key=len, reverse=True):
        unit = _UNITS.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if unit is not None and (unit.prefixes or prefix in _BINARY):
            return f"{name!r}: the prefix {prefix!r} makes no sense for {_MEANING[unit.dimension]}"
    return f"unknown unit {name!r}"


def _likely(name: str, wanted: str) -> str:
    """Return a question with the units of a dimension that a text differs from only as people mix them up."""
    sensible = [one for one, (unit, _) in _BY_TEXT.items() if unit.dimension == wanted and not set(one) & {"µ", "μ"}]
    for read in (_without_case, _short, _without_bit_or_byte):
        near = {_BY_TEXT[one][0].factor: one for one in reversed(sensible) if read(one) == read(name)}
        if near and not (read is _short and _BIT_OR_BYTE.search(name)):
            return f"did you mean {' or '.join(map(repr, reversed(near.values())))}?"
    return ""


def reads_as_unit(text: str, unit: str) -> bool:
    """Say whether a text is a unit of any kind, or one of the kind of `unit` that is mixed up.

    Examples
    --------
    >>> reads_as_unit("ms", "s"), reads_as_unit("total", "s")
    (True, False)
    """
    return text in _BY_TEXT or bool(_likely(text, "bit/s" if unit == "byte/s" else unit))


_BIT_OR_BYTE = re.compile("b(?!it|yte|ps)")


def _without_case(name: str) -> str:
    """Return a unit without the case of its letters but that of B, and without "per second"."""
    return "".join(sign if sign == "B" else sign.casefold() for sign in name).removesuffix("/s")


def _short(name: str) -> str:
    """Return a unit without case, plurals and long words, and without "per second"."""
    text = name.casefold().replace("µ", "u")
    for long, short in _LONG:
        text = re.sub(long, short, text)
    return text.replace(" ", "").removesuffix("/s")


def _without_bit_or_byte(name: str) -> str:
    """Return a unit in which bit and byte are the same."""
    return _short(name).replace("bit", "b").replace("byte", "b")


_LONG = (
    ("bytes", "byte"), ("bits", "bit"), ("(?<=b)ps$|/sec(onds?)?$|persecond$", "/s"), ("seconds?$|secs?$", "s"), ("minutes?$|mins$", "min"),
    ("hours?$|hrs?$", "h"), ("met(re|er)s?$", "m"), ("watts?", "w"), ("joules?", "j"), ("hertz", "hz"), ("flops$", "flop/s"),
    ("^milli", "m"), ("^micro", "u"), ("^nano", "n"), ("^kilo", "k"), ("^mega", "m"), ("^giga", "g"), ("^tera", "t"),
    ("percent|per cent|pct", "%"),
)  # fmt: skip


def parse(text: object, unit: str) -> float:
    """Read a quantity text and return its value in `unit`.

    Parameters
    ----------
    text : the quantity, e.g. ``"5 ms"``.
    unit : unit of the result, a key of `EXAMPLES`.

    Raises
    ------
    ValueError
        When the text is no quantity, has no unit or one of another dimension, or is absurdly large.

    Examples
    --------
    >>> parse("1.5 MB/s", "bit/s")  # 1.5e6 x 8
    12000000.0
    """
    example = EXAMPLES[unit]
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        raise ValueError(f"not a quantity; write a number with a unit such as '{example}'")
    if isinstance(text, (int, float)):
        raise ValueError(f"a bare number has no unit; write a text such as '{example}'")
    if re.fullmatch(r"\s*[-+]?[\d._]+(?:[eE][-+]?\d+)?\s*", text):
        raise ValueError(f"a bare number has no unit; write a text such as '{example}'")
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write a number with a unit such as '{example}'")
    factor = factor_of(match[2], unit)
    try:  # decimal arithmetic, so that "30 us" is 3e-05 and not 2.9999999999999997e-05
        value = float(Decimal(match[1].replace("_", "")) * Decimal(repr(factor)))
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
    if match is None:
        raise ValueError(f"{text!r} is no quantity; write a number with a unit such as '5 ms'")
    found = _BY_TEXT.get(match[2])
    if found is None:
        near = [question for unit in _MEANING if (question := _likely(match[2], unit))]
        raise ValueError(f"{_strange(match[2])}; {near[0] if near else 'write a number with a unit such as 5 ms'}")
    return parse(text, found[0].dimension), found[0].dimension


def show_exactly(value: float, unit: str) -> str:
    """Return a quantity as a text that reads back as exactly the same value.

    Examples
    --------
    >>> show_exactly(0.1, "s")
    '0.1 s'
    """
    return f"{int(value)} {unit}" if float(value).is_integer() else f"{value!r} {unit}"


def show(value: float, unit: str) -> str:
    """Format a value in base units with a fitting prefix and three significant digits.

    Examples
    --------
    >>> show(2e7, "bit/s"), show(0.0231, "s")
    ('20 Mbit/s', '23.1 ms')
    >>> show(0.056, "/s"), show(12345.6, "/s")
    ('0.056 /s', '12346 /s')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    if unit == "/s":  # with a prefix it would read as metres or kilometres per second
        return f"{value:.3g} /s" if abs(value) < 999.5 else f"{value:.0f} /s"
    scale = 1.0
    prefix = ""
    sensible = ("", *_UNITS[unit].prefixes) if unit in _UNITS else tuple(_DECIMAL)
    for candidate, size in sorted(_DECIMAL.items(), key=lambda item: item[1]):
        if candidate in sensible and candidate not in {"µ", "μ"} and abs(value) >= size * 0.9995:
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
        return EXAMPLES[self.unit]

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
    names = [
        f"(?:{'|'.join(known.prefixes)})?{name}" if known.prefixes else name
        for name, known in _UNITS.items()
        if known.dimension == wanted
    ]
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
