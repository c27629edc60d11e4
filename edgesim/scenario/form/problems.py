"""What is wrong with a scenario, in the words of its author: pydantic's errors -> problems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesim.errors import nearest_name
from edgesim.scenario.form.options import describe
from edgesim.scenario.form.paths import keys_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from edgesim.errors import UnknownNameError
    from edgesim.scenario.text.source import DataPath


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake at a path of the data; a source text turns it into a finding.

    Parameters
    ----------
    path, message, expected, remedy : see `edgesim.errors.Finding`.
    is_key : whether the key is wrong rather than its value.
    meant : of an unknown key, the path that its author probably meant; of a factor's path that leads nowhere, this path.
    may_be_registered : whether a plug-in's name is unknown, which code that has not run may register.
    is_unchecked : see `edgesim.errors.Finding`.
    """

    path: DataPath
    message: str
    expected: str = ""
    remedy: str = ""
    is_key: bool = False
    meant: DataPath = ()
    may_be_registered: bool = False
    is_unchecked: bool = False


_WANTED = {
    "string_type": "a text", "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "dict_type": "a mapping", "model_type": "a mapping", "model_attributes_type": "a mapping",
    "tuple_type": "a list", "list_type": "a list", "finite_number": "a finite number", "set_type": "a list",
    "frozen_set_type": "a list",
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("greater than", "gt"), "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"), "less_than_equal": ("at most", "le"), "multiple_of": ("a multiple of", "multiple_of"),
}  # fmt: skip
_MOST_LISTED = 4  # keys that are listed although one of them is near
_LABEL = "letters, digits and _ -, at most 60, beginning with a letter or digit"


def unknown(path: DataPath, error: UnknownNameError, remedy: str = "") -> Problem:
    """Return the problem that a name is not known."""
    return Problem(path, f"unknown {error.kind} {error.name!r}", error.expected().removeprefix("expected "), remedy)


def problems_of(error: ValidationError, form: type[BaseModel], data: dict[str, Any]) -> list[Problem]:
    """Return the problems behind a validation error of `data`, one per place and kind."""
    found: dict[tuple[DataPath, str], Problem] = {}
    missing: dict[DataPath, list[str]] = {}
    for detail in _meant(error.errors(include_url=False), data):
        loc = detail["loc"][:-1] if _is_scalar_for_mapping(detail, data) else detail["loc"]
        path = _data_path(loc, data, is_key=detail["type"] in {"missing", "extra_forbidden"})
        if detail["type"] == "missing":
            missing.setdefault(path[:-1], []).append(str(path[-1]))
            continue
        problem = _problem(detail, path, form, data)
        key = (problem.path, problem.message)
        if key in found and problem.expected not in found[key].expected:  # alternatives of one value
            either = _either(found[key].expected, problem.expected)
            problem = Problem(path, problem.message, either, problem.remedy, problem.is_key)
        found.setdefault(key, problem)
        found[key] = problem
    meant = {one.meant for one in found.values()}  # a misspelt key is not missing too
    for path, names in missing.items():
        if rest := [name for name in names if (*path, name) not in meant]:
            found[path, "missing"] = _missing(path, rest)
    return list(found.values())


def _meant(details: Sequence[ErrorDetails], data: dict[str, Any]) -> list[ErrorDetails]:
    """Leave out what only follows from other mistakes.

    That a mapping is no number or text, where the form of a mapping is allowed too and has mistakes of its own; that a list is too
    short, since entries with mistakes are left out of it.
    """

    def is_alternative(detail: ErrorDetails) -> bool:
        place = detail["loc"][:-1]
        others = (one for one in details if one["loc"][: len(place)] == place)
        return _is_scalar_for_mapping(detail, data) and any(not _is_scalar_for_mapping(one, data) for one in others)

    def is_consequence(detail: ErrorDetails) -> bool:  # only entries without mistakes are counted
        written = _value_at(detail["loc"], data)
        return (
            detail["type"] == "too_short" and isinstance(written, list) and len(written) >= detail["ctx"]["min_length"]
        )

    return [detail for detail in details if not (is_alternative(detail) or is_consequence(detail))]


def _is_scalar_for_mapping(detail: ErrorDetails, data: Any) -> bool:
    """Say whether a mapping stands where one of several alternatives, a number or text, is allowed; `loc` ends with its name."""
    is_scalar = detail["type"] in {"int_type", "float_type", "string_type", "bool_type"}
    return is_scalar and isinstance(detail["input"], dict) and _value_at(detail["loc"][:-1], data) == detail["input"]


def _value_at(loc: Iterable[str | int], data: Any) -> Any:
    """Return the value at a place that pydantic names; names of alternatives in between are passed over."""
    for part in loc:
        if isinstance(data, dict):
            data = data.get(part, data)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
    return data


def _either(*wanted: str) -> str:
    """Join alternatives; a whole number is a number."""
    words = " or ".join(wanted).split(" or ")
    return " or ".join(word for word in words if word != "a whole number" or "a number" not in words)


def _data_path(loc: Iterable[str | int], data: Any, *, is_key: bool) -> DataPath:
    """Return where in the data an error is; names of alternatives, which pydantic puts in between, are left out."""
    parts = [part for part in loc if part != "[key]"]
    path: list[str | int] = []
    for position, part in enumerate(parts):
        is_inside = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if is_inside:
            data = data[part]
            path.append(part)
        elif position == len(parts) - 1 and (is_key or isinstance(data, dict)):
            path.append(part)
    return tuple(path)


def _problem(detail: ErrorDetails, path: DataPath, form: type[BaseModel], data: dict[str, Any]) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "edgesim":
        may_be_registered = context.get("may_be_registered", False)
        return Problem(
            path, context["message"], context["expected"], context["remedy"], context["is_key"],
            may_be_registered=may_be_registered,
        )  # fmt: skip
    if kind == "extra_forbidden":
        return _unknown_key(path, keys_at(form, data, path[:-1]) or ())
    if kind == "value_error":
        message, _, rest = str(context["error"]).partition("; ")
        return Problem(path, f"{_name(path)}: {message}", "", rest)
    if kind in {"string_pattern_mismatch", "string_too_long"}:
        return Problem(path, f"{describe(detail['input'])} is no usable name", _LABEL, is_key="[key]" in detail["loc"])
    return _wrong_value(detail, path)


def _wrong_value(detail: ErrorDetails, path: DataPath) -> Problem:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    name = _name(path)
    message = f"{name} is {describe(value)}"
    if kind == "literal_error":
        choices = tuple(choice.strip("'") for choice in context["expected"].replace(" or ", ", ").split(", "))
        near = nearest_name(value, choices) if isinstance(value, str) else None
        return Problem(path, message, context["expected"] + (f"; nearest {near!r}" if near else ""))
    if kind in _WANTED:
        return Problem(path, message, _WANTED[kind], _remedy_of_type(kind, value))
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return Problem(path, message, f"{word} {_number(context[key])}")
    if kind in {"too_short", "too_long"}:
        word, key = ("at least", "min_length") if kind == "too_short" else ("at most", "max_length")
        entries = "entry" if context["actual_length"] == 1 else "entries"
        return Problem(path, f"{name} has {context['actual_length']} {entries}", f"{word} {context[key]}")
    return Problem(path, f"{name}: {detail['msg']}")


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _remedy_of_type(kind: str, value: object) -> str:
    if isinstance(value, str) and kind in {"int_type", "float_type"} and value.replace(".", "", 1).isdecimal():
        return "leave out the quotes"
    if kind == "bool_type" and isinstance(value, str) and value in {"on", "off", "yes", "no"}:
        return "YAML 1.2 knows only true and false"
    return "put it in quotes" if kind == "string_type" and isinstance(value, (int, float)) else ""


def _name(path: DataPath) -> str:
    """Name the value at a path: its key, or its number in a list counted from 1."""
    if not path:
        return "the scenario"
    last = path[-1]
    return f"entry {last + 1} of {_name(path[:-1])}" if isinstance(last, int) else repr(last)


def _missing(path: DataPath, names: list[str]) -> Problem:
    keys = ", ".join(repr(name) for name in names)
    is_profile = path[-1:] == ("profile",) or path[:1] == ("profiles",)
    remedy = "`extends: NAME` takes what is left out from a profile of the catalog" if is_profile else ""
    return Problem(path, f"{_name(path)} lacks {keys}", f"`{names[0]}:` here", remedy)


def _unknown_key(path: DataPath, known: tuple[str, ...]) -> Problem:
    name = str(path[-1])
    near = nearest_name(name, known)
    where = _name(path[:-1])
    expected = f"one of its keys; nearest {near!r}" if near and len(known) > _MOST_LISTED else ", ".join(known)
    meant = (*path[:-1], near) if near else ()
    return Problem(path, f"unknown key {name!r} in {where}", expected, is_key=True, meant=meant)
