"""A scenario with other values at some paths: what they touch is read and checked again, each once, and nothing else."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Generic

from pydantic import ValidationError, create_model

from edgesim.scenario.check.form import F, plugin_problems
from edgesim.scenario.check.short_forms import complete
from edgesim.scenario.code.permission import withheld
from edgesim.scenario.files.contents import with_files
from edgesim.scenario.files.places import with_absolute_places
from edgesim.scenario.form.options import CONFIG
from edgesim.scenario.form.paths import split, with_value
from edgesim.scenario.text.source import Source
from edgesim.scenario.topology.build import build_topology
from edgesim.scenario.topology.outline import outline
from edgesim.scenario.topology.references import plugin_references, reference_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from pydantic import BaseModel

_TOGETHER = ("topology", "profiles")
"""Parts that are read together: a topology may name profiles of the catalog, which become the scenario's own."""
_PLACE = (*_TOGETHER, "seed")
"""What devices and links follow from."""


class Variants(Generic[F]):
    """The variants of a valid scenario, each part remembered by what changes it.

    Parameters
    ----------
    scenario : as it is written; its sweep is left out of its variants.
    """

    def __init__(self, scenario: F) -> None:
        self._scenario = scenario
        self._made: dict[Hashable, Any] = {}

    @cached_property
    def _data(self) -> dict[str, Any]:
        return {key: value for key, value in self._scenario.resolved().items() if key != "skip"} | {"sweep": {}}

    def at(self, changes: Mapping[str, Any]) -> F | None:
        """Return the scenario with other values at some paths, None where it needs the check of a whole scenario.

        It does where anything is wrong, and where a value names a file or code.
        """
        return self._once("scenario", changes, lambda: self._read(changes))  # type: ignore[no-any-return]

    def _once(self, what: str, changes: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """Return what was made for the same changes before; 1, 1.0 and true are three values."""
        key = (what, *sorted((path, json.dumps(value)) for path, value in changes.items()))
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _read(self, changes: Mapping[str, Any]) -> F | None:
        form = type(self._scenario)
        values = {name: getattr(self._scenario, name) for name in form.model_fields} | {"sweep": {}, "skip": ()}
        data = dict(self._data)
        for keys in {_TOGETHER if key in _TOGETHER else (key,) for key in map(_part_of, changes)}:
            own = _within(changes, keys)
            part = self._once(f"part {keys}", own, lambda own=own, keys=keys: self._part(own, keys))  # type: ignore[misc]
            if part is None:
                return None
            values |= part[0]
            data |= part[1]
        if not self._names_are_found(changes, data):
            return None
        made = form.model_construct(**values)
        vars(made)["built"] = self._topology(changes, made)  # where `cached_property` looks
        return None if any(plugin_problems(made)) else made

    def _part(self, changes: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the values of the parts that changes touch, and their plain data."""
        form = type(self._scenario)
        changed = self._data
        for path, value in changes.items():
            changed = with_value(changed, path, value)
        source = Source(changed)
        read, _, problems = with_files(changed, source)
        if problems or read != changed or withheld({key: changed[key] for key in keys}, allow_code=False):
            return None
        completed = complete(with_absolute_places(form, changed, source))
        part = {key: completed[key] for key in keys}
        try:
            values = {key: _form_of(form, key).model_validate_json(json.dumps({key: part[key]})) for key in part}
        except (ValidationError, TypeError, ValueError):
            return None
        return {key: getattr(value, key) for key, value in values.items()}, part

    def _names_are_found(self, changes: Mapping[str, Any], data: dict[str, Any]) -> bool:
        place = _within(changes, _PLACE)
        known = self._once("outline", place, lambda: outline(data["topology"], data["seed"]))
        ends = {key: data[key] for key in (*_PLACE, "workload")}
        is_linked = self._once("ends", _within(changes, tuple(ends)), lambda: not reference_problems(ends, known))
        return is_linked and all(
            self._once(
                f"names in {seam}",
                _within(changes, (*_PLACE, seam)),
                lambda seam=seam: not any(plugin_references(data[seam], seam, known)),  # type: ignore[misc]
            )
            for seam in ("strategies", "failures")
        )

    def _topology(self, changes: Mapping[str, Any], made: F) -> Any:
        place = _within(changes, _PLACE)
        if not place:
            return self._scenario.built
        return self._once("topology", place, lambda: build_topology(made.topology, made.profiles, made.seed))


def _part_of(path: str) -> str:
    return str(split(path)[0])


def _within(changes: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the changes of some parts."""
    return {path: value for path, value in changes.items() if _part_of(path) in keys}


@lru_cache(maxsize=64)
def _form_of(form: type[BaseModel], key: str) -> type[BaseModel]:
    """Return the form of one part of a scenario."""
    info = form.model_fields[key]
    return create_model(key, __config__=CONFIG, **{key: (info.annotation, info)})  # type: ignore[call-overload,no-any-return]
