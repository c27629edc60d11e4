"""The catalog of device profiles, each number with its reference or marked as assumed.

The numbers stand in ``profiles.toml`` beside this file, as texts with units, in the form that scenarios use.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from edgesim.errors import UnknownNameError, nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable


@lru_cache(maxsize=1)
def _catalog() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("edgesim.scenario.catalog").joinpath("profiles.toml").read_text(encoding="utf-8"))


def names() -> tuple[str, ...]:
    """Return the names of all catalog profiles, sorted."""
    return tuple(sorted(_catalog()))


def summary(name: str) -> str:
    """Return what a catalog profile stands for, in one line."""
    return str(_catalog()[name]["summary"])


def references(name: str) -> dict[str, str]:
    """Return where each number of a catalog profile comes from, by field; ``"assumed"`` without a reference."""
    return dict(_catalog()[name]["references"])


def entry(name: str) -> dict[str, Any]:
    """Return a catalog profile as plain data in the form of a scenario's ``profiles:``.

    Raises
    ------
    UnknownNameError
        When the catalog has no such profile.
    """
    if name not in _catalog():
        raise unknown(name)
    data = {key: value for key, value in _catalog()[name].items() if key not in {"summary", "references"}}
    data["source"] = _cite(references(name))
    return data


def _cite(references: dict[str, str]) -> str:
    """Say all references in one text, fields of one source together."""
    fields: dict[str, list[str]] = {}
    for field, text in references.items():
        fields.setdefault(text, []).append(field)
    if len(fields) == 1:
        return next(iter(fields))
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in fields.items())


_FIELD = r"(?:(?:compute_rate|power|cores)(?:\.\w+)?|memory_bandwidth|layer_overhead|memory)"
_FIELDS = rf"{_FIELD}(?:, {_FIELD})*"
_NEXT_SOURCE = re.compile(rf"; (?={_FIELDS}: )")
"""Where one source ends and that of other numbers begins; a source may hold semicolons itself."""
_EXTENDED = re.compile(rf"(\S+) with assumed ({_FIELDS})")
"""What a profile that extends one of the catalog says of itself."""
ALL = "all"


def cited(source: str) -> list[tuple[str, str]]:
    """Return the parts of a profile's source: the fields, or `ALL`, and what is said of them.

    >>> cited("compute_rate.conv, memory: data sheet; power: assumed"), cited("assumed")
    ([('compute_rate.conv, memory', 'data sheet'), ('power', 'assumed')], [('all', 'assumed')])
    """
    found = []
    for part in _NEXT_SOURCE.split(source):
        fields, _, text = part.partition(": ")
        found.append((fields, text))
    return found if re.fullmatch(_FIELDS, found[0][0]) else [(ALL, source)]


def assumed_in(source: str) -> tuple[str, ...]:
    """Return the fields of a profile of which its source says "assumed", or `ALL`; a field such as ``power`` stands for all in it.

    A profile that extends one of the catalog has the catalog's assumed numbers, and its own.

    >>> assumed_in("compute_rate.conv, memory: data sheet; power: assumed"), assumed_in("measured")
    (('power',), ())
    """
    extended = _EXTENDED.fullmatch(source)
    if extended is not None and extended[1] in names():
        own = tuple(extended[2].split(", "))
        return (*own, *(name for name, text in references(extended[1]).items() if _is_assumed(text)))
    return tuple(name for fields, text in cited(source) if _is_assumed(text) for name in fields.split(", "))


def _is_assumed(text: str) -> bool:
    return "assumed" in text


def unknown(name: str, others: Iterable[str] = ()) -> UnknownNameError:
    """Return the error that no profile has this name, neither in the catalog nor among `others`."""
    known = tuple(sorted({*names(), *others}))
    return UnknownNameError("device profile", name, known, nearest_name(name, known))
