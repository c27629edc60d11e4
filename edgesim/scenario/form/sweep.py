"""The factors of a study: the values that each takes, which move together, and which combinations are left out."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from edgesim.errors import nearest_name
from edgesim.scenario.form.options import mistake, mistake_at
from edgesim.scenario.form.problems import Problem
from edgesim.scenario.form.spec import Spec, without_defaults
from edgesim.units import dimension_of, show_exactly

Scalar = bool | int | float | str
_RANGE = frozenset({"from_", "to", "n", "scale"})
_SAFE_DIGITS = 12
"""Values of a range are rounded to so many digits, so that 1e-05 is not 9.999999999999999e-06."""
_COMPARISONS = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_COMPARISON = re.compile(r"\s*(\S+)\s*(<=|>=|==|!=|<|>)\s*(\S.*?)\s*")


class FactorSpec(Spec):
    """A value of the scenario that a study varies: listed values, or `n` values from `from` to `to`."""

    path: str = Field(description="keys and list positions with dots between", examples=["failures.device_loss.k"])
    values: Annotated[tuple[Scalar, ...], Len(1)] | None = Field(
        None, description="values it takes", examples=[[0, 1, 2]]
    )
    from_: int | float | str | None = Field(
        None, alias="from", description="first value of a range, a number or a quantity", examples=["1 ms"]
    )
    to: int | float | str | None = Field(None, description="last value of a range", examples=["1 s"])
    n: Annotated[int, Ge(2), Le(10_000)] | None = Field(None, description="number of values of a range", examples=[4])
    scale: Literal["linear", "log"] = Field(
        "linear", description="whether the values of a range have equal differences or equal ratios", examples=["log"]
    )
    with_: str | None = Field(
        None,
        alias="with",
        description="factor that this one moves with, value by value; by default it is crossed with all others",
        examples=["devices"],
    )

    @model_serializer(mode="wrap")
    def _without_later_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not given, so that a further form of factor changes no hash."""
        later = _RANGE | {"values", "with_"}
        written: dict[str, Any] = write(self)
        names = {info.alias or name: name for name, info in type(self).model_fields.items()}
        kept = without_defaults(self, {names.get(key, key): value for key, value in written.items()}, later)
        return {key: value for key, value in written.items() if names.get(key, key) in kept}

    @model_validator(mode="after")
    def _has_one_form(self) -> FactorSpec:
        given = [name.rstrip("_") for name in ("from_", "to", "n") if getattr(self, name) is not None]
        if (self.values is None) == (not given) or (given and len(given) < 3):
            found = ", ".join([*(["`values`"] if self.values is not None else []), *(f"`{name}`" for name in given)])
            raise mistake(
                f"a factor with {found or 'neither values nor a range'}",
                expected="`values:`, or all of `from:`, `to:` and `n:`",
            )
        try:
            levels = self.levels
        except ValueError as error:
            raise mistake(str(error), expected="two numbers, or two quantities of one kind") from None
        met: set[str] = set()
        for position, value in enumerate(levels):
            text = json.dumps(value)  # 1 and 1.0 are two values, and so are 1 and true
            if text in met:
                twice = mistake(f"value {value!r} is given twice")
                raise twice if self.values is None else mistake_at(("values", position), value, twice)
            met.add(text)
        return self

    @property
    def levels(self) -> tuple[Scalar, ...]:
        """The values that the factor takes, in order. Raises `ValueError` when a range has none."""
        if self.values is not None:
            return self.values
        if self.from_ is None or self.to is None or self.n is None:
            raise ValueError("a range needs `from`, `to` and `n`")
        return spread(self.from_, self.to, self.n, is_log=self.scale == "log")


def spread(first: Scalar, last: Scalar, n: int, *, is_log: bool) -> tuple[Scalar, ...]:
    """Return n values from `first` to `last`, both included: with equal differences, or with equal ratios.

    Whole numbers stay whole where all values are. Quantities are written in base units, rounded to twelve digits.

    Raises
    ------
    ValueError
        When the ends are not two numbers or two quantities of one kind, or not positive on a log scale.

    Examples
    --------
    >>> spread(0, 8, 5, is_log=False), spread(1e-6, 1e-3, 4, is_log=True), spread("1 ms", "1 s", 4, is_log=True)
    ((0, 2, 4, 6, 8), (1e-06, 1e-05, 0.0001, 0.001), ('0.001 s', '0.01 s', '0.1 s', '1 s'))
    """
    (start, unit), (stop, other) = _measured(first), _measured(last)
    if unit != other:
        raise ValueError(f"a range from {first!r} to {last!r} has no values between")
    if start == stop:
        raise ValueError(f"a range from {first!r} to {last!r} has one value")
    if is_log and min(start, stop) <= 0:
        raise ValueError(f"a log range from {first!r} to {last!r} does not exist; both ends must be positive")
    shares = [index / (n - 1) for index in range(n)]
    found = [start * (stop / start) ** share if is_log else start + (stop - start) * share for share in shares]
    rounded = [start, *(float(f"{value:.{_SAFE_DIGITS}g}") for value in found[1:-1]), stop]
    if unit:
        return tuple(show_exactly(value, unit) for value in rounded)
    if isinstance(first, int) and isinstance(last, int) and all(value.is_integer() for value in rounded):
        return tuple(int(value) for value in rounded)
    return tuple(rounded)


def _measured(value: Scalar) -> tuple[float, str]:
    """Return a number and its base unit, empty for a bare number. Raises `ValueError` when it is neither."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is no number")
    if isinstance(value, (int, float)):
        return float(value), ""
    number, unit = dimension_of(value)
    return number, "" if unit == "1" else unit


def as_number(value: Any) -> tuple[float, str] | None:
    """Return a number or quantity with its base unit, empty for a bare number; None where it is neither."""
    try:
        return _measured(value)
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One comparison of a condition, e.g. ``lost_devices >= devices``."""

    factor: str
    sign: str
    other: str

    def holds(self, point: Mapping[str, Scalar]) -> bool:
        """Return whether it holds at a factor point; numbers and quantities are compared by value, other texts as texts."""
        left, right = _comparable(point[self.factor]), _comparable(point.get(self.other, self.other))
        if left[0] != right[0]:
            return self.sign == "!="
        return bool(_COMPARISONS[self.sign](left[1], right[1]))


def _comparable(value: Scalar) -> tuple[str, Any]:
    if isinstance(value, str):
        if value in {"true", "false"}:
            return "truth", value == "true"
        try:
            return "number ", float(value)
        except ValueError:
            pass
        try:
            number, unit = _measured(value)
        except ValueError:
            return "text", value
        return f"number {unit}", number
    return ("truth", value) if isinstance(value, bool) else ("number ", float(value))


def _comparisons(condition: str) -> list[_Comparison]:
    """Read a condition. Raises `ValueError` when it is none."""
    found = []
    for text in re.split(r"\s+and\s+", condition):
        match = _COMPARISON.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no comparison")
        found.append(_Comparison(*match.groups()))
    return found


def points(sweep: Mapping[str, FactorSpec], skip: Sequence[str] = ()) -> tuple[dict[str, Scalar], ...]:
    """Return the factor points: every combination of values, the last factor fastest, without those that are skipped.

    Factors that move together give one value each to every combination.

    Parameters
    ----------
    sweep : the factors, by name.
    skip : conditions of the points that are left out.

    Examples
    --------
    >>> sweep = {"k": FactorSpec(path="failures.loss.k", values=(0, 1)), "seed": FactorSpec(path="seed", values=(1, 2))}
    >>> points(sweep, skip=("k == 1 and seed == 1",))
    ({'k': 0, 'seed': 1}, {'k': 0, 'seed': 2}, {'k': 1, 'seed': 2})
    """
    free = [name for name, factor in sweep.items() if factor.with_ is None]
    levels = {name: factor.levels for name, factor in sweep.items()}
    left_out = [_comparisons(condition) for condition in skip]
    found = []
    for positions in product(*(range(len(levels[name])) for name in free)):
        at = dict(zip(free, positions, strict=True))
        point = {name: levels[name][at[factor.with_ or name]] for name, factor in sweep.items()}
        if not any(all(one.holds(point) for one in condition) for condition in left_out):
            found.append(point)
    return tuple(found)


def read_factors(data: Mapping[str, Any]) -> dict[str, FactorSpec]:
    """Return the factors of plain data whose form is right."""
    read = {}
    for name, factor in data.items():
        try:
            read[str(name)] = FactorSpec.model_validate_json(json.dumps(factor))
        except (ValidationError, TypeError, ValueError):
            continue  # reported with the form
    return read


def design_problems(factors: Mapping[str, FactorSpec], skip: Sequence[Any]) -> Iterator[Problem]:
    """Yield what is wrong between factors: those that should move together but cannot, and conditions that name no factor."""
    n_before = sum(not isinstance(condition, str) for condition in skip)  # reported with the form
    for name, factor in factors.items():
        problem = _wrong_company(name, factor, factors)
        if problem:
            n_before += 1
            yield problem
    paths: dict[str, str] = {}
    for name, factor in factors.items():
        before = paths.setdefault(factor.path, name)
        if before != name:
            yield Problem(("sweep", name, "path"), f"{factor.path!r} is what the factor {before!r} varies already")
    for position, condition in enumerate(skip):
        if not isinstance(condition, str):
            continue
        try:
            names = [one.factor for one in _comparisons(condition)]
        except ValueError as error:
            n_before += 1
            expected = "a factor, one of <= >= == != < >, and a value or factor; several joined by `and`"
            yield Problem(("skip", position), str(error), expected)
            continue
        for unknown in (one for one in names if one not in factors):
            n_before += 1
            near = nearest_name(unknown, tuple(factors))
            expected = f"one of {', '.join(factors) or 'no factors'}" + (f"; nearest {near!r}" if near else "")
            yield Problem(("skip", position), f"no factor {unknown!r}", expected)
    if factors and skip and not n_before and not points(factors, tuple(skip)):
        yield Problem(("skip",), "every factor point is left out", remedy="loosen the conditions")


def _wrong_company(name: str, factor: FactorSpec, factors: Mapping[str, FactorSpec]) -> Problem | None:
    place = ("sweep", name, "with")
    if factor.with_ is None:
        return None
    if factor.with_ == name or factor.with_ not in factors:
        others = tuple(one for one in factors if one != name)
        near = nearest_name(factor.with_, others)
        expected = f"one of {', '.join(others) or 'no others'}" + (f"; nearest {near!r}" if near else "")
        return Problem(place, f"no other factor {factor.with_!r}", expected)
    other = factors[factor.with_]
    if other.with_ is not None:
        return Problem(place, f"{factor.with_!r} moves with {other.with_!r} itself", remedy=f"write {other.with_!r}")
    n, n_other = len(factor.levels), len(other.levels)
    if n != n_other:
        return Problem(place, f"{name!r} has {n} values, {factor.with_!r} has {n_other}", "the same number of values")
    return None
