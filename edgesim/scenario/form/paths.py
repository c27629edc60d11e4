"""Paths into a scenario, such as ``failures.device_loss.k``: what they may say, and setting what they point to."""

from __future__ import annotations

import types
import typing
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from edgesim.scenario.form.options import OptionsOf, PluginOf, find_plugin, options_model

if TYPE_CHECKING:
    from edgesim.scenario.text.source import DataPath


def split(path: str) -> DataPath:
    """Return the keys and list positions of a dotted path.

    Examples
    --------
    >>> split("topology.devices.0.profile")
    ('topology', 'devices', 0, 'profile')
    """
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))


def with_value(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return plain data with another value at a dotted path; what lies beside the path is shared, not copied.

    Examples
    --------
    >>> with_value({"failures": {"loss": {"k": 1}}, "seed": 1}, "failures.loss.k", 2)
    {'failures': {'loss': {'k': 2}}, 'seed': 1}
    """
    return with_item(data, split(path), value)


def with_item(data: dict[str, Any], path: DataPath, value: object) -> dict[str, Any]:
    """Return plain data with another value at a path; see `with_value`."""
    return typing.cast("dict[str, Any]", _set(data, path, value))


def _set(data: Any, path: DataPath, value: object) -> Any:
    if not path:
        return value
    head, *rest = path
    if isinstance(data, list) and isinstance(head, int) and head < len(data):
        return [*data[:head], _set(data[head], tuple(rest), value), *data[head + 1 :]]
    mapping = data if isinstance(data, dict) else {"type": data} if isinstance(data, str) else {}
    key = str(head)
    return {**mapping, key: _set(mapping.get(key), tuple(rest), value)}


def keys_at(model: type[BaseModel], data: Any, path: DataPath) -> tuple[str, ...] | None:
    """Return the keys that the scenario form knows at a path, or None when nothing with keys can stand there.

    Parameters
    ----------
    model : the form of the whole scenario.
    data : plain data, which says what plug-ins, labels and list entries there are.
    path : keys and list positions.
    """
    form = form_at(model, data, path)
    for part in path:
        data = _item(data, part if isinstance(data, list) else str(part))
    return tuple(str(key) for key in parts_of(form, data)) or None if form is not None else None


def form_at(model: type[BaseModel], data: Any, path: DataPath) -> Any:
    """Return the annotation of what may stand at a path of the scenario form, None when nothing may; see `keys_at`."""
    form: Any = model
    for part in path:
        inside = parts_of(form, data)
        key = part if isinstance(data, list) else str(part)
        if key not in inside:
            return None
        form = inside[key]
        data = _item(data, key)
    return form


def marks_of(form: Any, data: Any) -> tuple[Any, ...]:
    """Return the markers of an annotation, given the data there."""
    return _unwrapped(form, data)[1]


def _item(data: Any, key: str | int) -> Any:
    if isinstance(data, list) and isinstance(key, int):
        return data[key] if key < len(data) else None
    return data.get(key) if isinstance(data, dict) else None


def parts_of(form: Any, data: Any) -> dict[str | int, Any]:
    """Return what stands inside a form, by key or list position, given the data there."""
    form, marks = _unwrapped(form, data)
    for mark in marks:
        if isinstance(mark, OptionsOf):
            return _options(mark.owner)
        if isinstance(mark, PluginOf):
            return _plugin_parts(mark.seam, data)
    if isinstance(form, type) and issubclass(form, BaseModel):
        return _fields(form)
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if origin is dict:
        return dict.fromkeys(data, arguments[1]) if isinstance(data, dict) else {}
    if origin is tuple and isinstance(data, list):
        return dict.fromkeys(range(len(data)), arguments[0])
    return {}


@lru_cache(maxsize=256)
def _fields(form: type[BaseModel]) -> dict[str | int, Any]:
    """Return the annotations of the keys of a form; it is asked at every factor point."""
    return {info.alias or name: _annotation(info) for name, info in form.model_fields.items()}


def _annotation(info: Any) -> Any:
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


@lru_cache(maxsize=256)
def _options(owner: type) -> dict[str | int, Any]:
    return {str(info.alias): _annotation(info) for info in options_model(owner).model_fields.values()}


def _plugin_parts(seam: str, data: Any) -> dict[str | int, Any]:
    name = data.get("type") if isinstance(data, dict) else data
    if not isinstance(name, str):
        return {"type": str}
    try:
        return {"type": str, **_options(find_plugin(seam, name))}
    except PydanticCustomError:  # an unknown plug-in is a finding of its own
        return {"type": str, **(dict.fromkeys(data, Any) if isinstance(data, dict) else {})}


def _unwrapped(form: Any, data: Any) -> tuple[Any, tuple[Any, ...]]:
    """Take annotations and optionality off a form; of a choice, the mapping when the data is one."""
    marks: tuple[Any, ...] = ()
    while True:
        if typing.get_origin(form) is Annotated:
            marks = (*marks, *form.__metadata__)
            form = typing.get_args(form)[0]
        elif typing.get_origin(form) in (typing.Union, types.UnionType):
            choices = [choice for choice in typing.get_args(form) if choice is not type(None)]
            models = [choice for choice in choices if isinstance(_unwrapped(choice, data)[0], type(BaseModel))]
            form = models[0] if models and isinstance(data, dict) else choices[0]
        else:
            return form, marks
