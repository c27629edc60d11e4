"""Options of a plug-in: its dataclass fields -> a pydantic model that reads them from plain data and writes them back.

In plain data an option has the field's name without its unit suffix, quantities are texts, and a nested plug-in is either its
bare name or a mapping with ``type`` and its options.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import MISSING, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from edgesim.domain.system.topology import Reference
from edgesim.errors import EdgesimError, UnknownNameError
from edgesim.plugins import Plugin
from edgesim.registry import REGISTRIES
from edgesim.scenario.text.docstrings import plain, read_docstring
from edgesim.units import Quantity, parse, plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
"""Unknown keys are refused, a text is no number, ``true`` is not 1."""


def mistake(message: str, *, expected: str = "", remedy: str = "", is_key: bool = False) -> PydanticCustomError:
    """Return an error that keeps the parts of a finding."""
    context = {"message": message, "expected": expected, "remedy": remedy, "is_key": is_key}
    return PydanticCustomError("edgesim", "{message}", context)


def mistake_at(path: tuple[str | int, ...], value: object, error: PydanticCustomError) -> ValidationError:
    """Return a validation error whose place is `path` below the value that is being validated."""
    return ValidationError.from_exception_data("scenario", [InitErrorDetails(type=error, loc=path, input=value)])


def unknown_name(error: UnknownNameError, plural: str, command: str) -> PydanticCustomError:
    """Return the mistake that a name is not known, with the nearest one."""
    made = mistake(
        f"unknown {error.kind} {error.name!r}",
        expected=error.expected().removeprefix("expected "),
        remedy=f"`{command}` shows all {plural}",
    )
    return PydanticCustomError("edgesim", "{message}", {**(made.context or {}), "may_be_registered": True})


@dataclass(frozen=True, slots=True)
class PluginOf:
    """Annotation of a pydantic field that holds a plug-in of a seam."""

    seam: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"x-edgesim-plugin": self.seam}  # written out by `edgesim.scenario.help.json_schema`

    def read(self, value: object) -> Any:
        """Make the plug-in from its name, or from a mapping with ``type`` and its options."""
        kind = REGISTRIES[self.seam].kind
        data = {"type": value} if isinstance(value, str) else value
        if not isinstance(data, dict):
            raise mistake(
                f"a {kind} is a name or a mapping, not {describe(value)}", expected="a name, or `type:` and options"
            )
        options = dict(data)
        name = options.pop("type", None)
        if name is None:
            raise mistake(f"this {kind} has no type", expected=f"`type:` with the name of a {kind}")
        if not isinstance(name, str):
            raise mistake_at(("type",), name, mistake(f"the type of a {kind} is a text, not {describe(name)}"))
        try:
            plugin = find_plugin(self.seam, name)
        except PydanticCustomError as error:
            raise mistake_at(("type",), name, error) from None
        return read_options(plugin, options)

    def write(self, plugin: Any) -> dict[str, Any]:
        """Return the plain data that makes the same plug-in."""
        return {"type": REGISTRIES[self.seam].name_of(type(plugin)), **write_options(plugin)}


@dataclass(frozen=True, slots=True)
class OptionsOf:
    """Annotation of a pydantic field that holds a dataclass of options."""

    owner: type

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(write_options)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        place = f"{self.owner.__module__}:{self.owner.__qualname__}"
        return {"x-edgesim-options": place}  # written out by `edgesim.scenario.help.json_schema`

    def read(self, value: object) -> Any:
        """Make the dataclass from a mapping of its options."""
        if not isinstance(value, dict):
            raise mistake(f"this is a mapping of options, not {describe(value)}", expected=", ".join(names(self.owner)))
        return read_options(self.owner, value)


@dataclass(frozen=True, slots=True)
class Share:
    """Annotation of a number from 0 to 1: it may be written in per cent."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "string", "pattern": r"^\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?\s*%\s*$"}]}

    def read(self, value: object) -> object:
        """Return the number that a percentage is; anything else as it is."""
        return parse(value, "1") if isinstance(value, str) and "%" in value else value

    @staticmethod
    def is_meant(number: object, bounds: tuple[Any, ...]) -> bool:
        """Say whether an annotated number has bounds within 0 and 1."""
        least: list[Any] = [one.ge if isinstance(one, Ge) else one.gt for one in bounds if isinstance(one, (Ge, Gt))]
        most: list[Any] = [one.le if isinstance(one, Le) else one.lt for one in bounds if isinstance(one, (Le, Lt))]
        return number is float and any(bound >= 0 for bound in least) and any(bound <= 1 for bound in most)


def find_plugin(seam: str, name: str) -> type:
    """Return the class of a plug-in.

    Raises
    ------
    PydanticCustomError
        When the name is unknown, or the class cannot be imported or has options that cannot be read.
    """
    registry = REGISTRIES[seam]
    try:
        plugin = registry.get(name)
    except UnknownNameError as error:
        raise unknown_name(error, seam, f"edgesim list {seam}") from None
    except EdgesimError as error:
        raise mistake(str(error)) from None
    try:
        options_model(plugin)
    except (TypeError, NameError) as error:
        raise mistake(
            f"{registry.kind} {name!r} is not usable: {error}",
            expected="a dataclass whose annotations exist at run time",
        ) from None
    return typing.cast("type", plugin)


def read_options(owner: type, data: Mapping[str, Any]) -> Any:
    """Make an instance of a dataclass from plain options.

    Raises
    ------
    pydantic.ValidationError, PydanticCustomError
        When options are unknown, missing or wrong.
    """
    model = options_model(owner)
    values = model.model_validate_json(json.dumps(data))
    given = {name.removeprefix(_PREFIX): getattr(values, name) for name in values.model_fields_set}
    try:
        return owner(**given)
    except (EdgesimError, ValueError) as error:
        raise mistake(str(error)) from None


def write_options(instance: Any) -> dict[str, Any]:
    """Return the plain options that make an equal instance; every option is written, defaults too."""
    owner: type = type(instance)
    model = options_model(owner)
    values = {name: getattr(instance, name.removeprefix(_PREFIX)) for name in model.model_fields}
    return model.model_construct(**values).model_dump(mode="json", by_alias=True, warnings=False)


def names(owner: type) -> tuple[str, ...]:
    """Return the names of a dataclass's options as scenarios write them."""
    return tuple(str(info.alias) for info in options_model(owner).model_fields.values())


_PREFIX = "option_"  # so that an option may be called `copy` or `json`, which pydantic's models use themselves


@lru_cache(maxsize=256)
def options_model(owner: type[Any]) -> type[BaseModel]:
    """Return the pydantic model of a dataclass's options.

    Raises
    ------
    TypeError, NameError
        When it is no dataclass, or its annotations do not resolve at run time.
    """
    if not dataclasses.is_dataclass(owner):
        raise TypeError(f"{owner.__qualname__} is not a dataclass")
    definitions: dict[str, Any] = {}
    texts = read_docstring(owner.__doc__).parameters
    for name, hint in option_hints(owner).items():
        definition = next(field for field in dataclasses.fields(owner) if field.name == name)
        description = texts.get(name, "")
        info: dict[str, Any] = {"alias": plain_name(name), "description": plain(description).rstrip(".") or None}
        if example := _examples(hint, definition.default):
            info["examples"] = example
        if definition.default is not MISSING:
            info["default"] = definition.default
        elif definition.default_factory is not MISSING:
            info["default_factory"] = definition.default_factory
        definitions[_PREFIX + name] = (_field_type(hint), Field(**info))
    return create_model(owner.__name__, __config__=CONFIG, **definitions)


_EXAMPLES: dict[Any, Any] = {int: 1, float: 0.5, bool: True, str: "name", dict: {"width": 4}}


def _examples(hint: Any, default: object) -> list[Any]:
    """Return an example of an option as scenarios write it, from its default or its annotation."""
    marked = _marked_example(hint)
    if marked is not None:
        return [marked]
    if isinstance(default, (bool, int, float, str)):
        return [default]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Annotated, typing.Union, types.UnionType):
        return next((found for argument in arguments if (found := _examples(argument, MISSING))), [])
    if origin in (tuple, list):
        return [_examples(arguments[0], MISSING)]
    example = arguments[0] if origin is typing.Literal else _EXAMPLES.get(origin or hint)
    return [] if example is None else [example]


def _marked_example(hint: Any) -> Any:
    """Return the example that the markers of an annotation suggest, or None."""
    if typing.get_origin(hint) is not Annotated:
        return None
    for mark in hint.__metadata__:
        if isinstance(mark, Quantity):
            return mark.example
        if isinstance(mark, Reference):
            return "hub->*" if mark.kind == "link" else "w*" if mark.is_pattern else "w1"
        if isinstance(mark, Ge) and isinstance(mark.ge, int) and typing.get_args(hint)[0] is int:
            return max(1, mark.ge)
    return None


@lru_cache(maxsize=256)
def option_hints(owner: type) -> Mapping[str, Any]:
    """Return the annotations of a dataclass's options by field name, with their markers; remembered."""
    hints = typing.get_type_hints(owner, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(owner) if field.init}


def _field_type(hint: Any) -> Any:
    """Replace nested plug-ins and dataclasses inside an annotation by what pydantic can read."""
    if dataclasses.is_dataclass(hint):
        return Annotated[Any, OptionsOf(typing.cast("type", hint))]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        seam = next((mark.seam for mark in hint.__metadata__ if isinstance(mark, Plugin)), None)
        if seam is not None:
            return Annotated[Any, PluginOf(seam)]
        marks = (*hint.__metadata__, Share()) if Share.is_meant(arguments[0], hint.__metadata__) else hint.__metadata__
        return Annotated[(_field_type(arguments[0]), *marks)]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_field_type(argument) for argument in arguments)]  # noqa: UP007 - made at run time
    if origin in (tuple, list, dict, frozenset, set):
        return origin[tuple(a if a is ... else _field_type(a) for a in arguments)]
    return hint


def describe(value: object) -> str:
    """Say in words what kind of plain value this is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:37] + '...'!r}"
    return "a list" if isinstance(value, (list, tuple)) else "a mapping"
