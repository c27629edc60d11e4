"""Cards of trained networks: what determined the weights, the key that follows from it, and the check of cards of others.

A card names edgesim's own models and options by the names under which scenarios know them. Nothing that a card names is
imported: of plug-ins of others the class is written as a text, which only counts for the key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from edgesim import __version__
from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.training import Distillation, Training
from edgesim.errors import DataError, UnknownNameError
from edgesim.files.untrusted import read_json
from edgesim.interfaces import Sourced
from edgesim.registry import MODELS, OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

RECIPE = 2
"""Part of every key. Raise it when a change of the training code, or of a default, changes the weights that come out."""
MAX_BYTE = 4 << 20
"""A card of more is none: the largest published one has 10 kB."""
_MOST = 1 << 63
_OPTIONS: dict[str, type] = {"training": Training, "distillation": Distillation}
_HASHED_AS = {
    "training": "edgesim.domain.training:Training",
    "distillation": "edgesim.domain.training:Distillation",
    "models/small-cnn": "edgesim.nn.zoo:SmallCNN",
    "models/strided-cnn": "edgesim.nn.zoo:StridedCNN",
    "models/wrn": "edgesim.nn.zoo:WideResNet",
    "models/vgg": "edgesim.nn.zoo:VGG",
    "models/vgg16": "edgesim.nn.untrained:VGG16",
    "models/import": "edgesim.nn.zoo:Imported",
    "objectives/distillation": "objectives/distillation",
    "objectives/failout": "objectives/failout",
    "objectives/mel": "objectives/mel",
    "objectives/expectation": "objectives/expectation",
    "objectives/adversarial": "objectives/adversarial",
    "objectives/ard": "objectives/ard",
    "objectives/rslad": "objectives/rslad",
}
"""What stands for a name in the hash: keys of published networks were made of the places where classes once stood."""
_ONCE_OPTIONS = frozenset(("failout", "adversarial", "ard", "rslad"))
_TOLD_BY_SURVIVORS = frozenset(("failure",))
"""Options of objectives that say who survives, which stands in the provenance itself."""
_RETIRED = {"survival": 1.0, "objective": "distillation"}
"""Options of the distillation in older cards that are objectives now, with what was their default."""


@cache
def _torch_version() -> str:
    """Return the release of torch; looking it up takes as long as some epochs of a small network."""
    return version("torch")


def provenance(kind: str, **determinants: object) -> dict[str, Any]:
    """Return what determines a network's weights, as plain JSON values, versions included.

    Parameters
    ----------
    kind : what is trained, e.g. ``"teacher"``.
    determinants : data set fingerprint, model, options, seed. Plug-ins are written with their name and fields.

    Raises
    ------
    DataError
        When a value is neither a JSON value nor a dataclass, since its content cannot be hashed.
    """
    versions = {"edgesim": __version__, "torch": _torch_version(), "recipe": RECIPE}
    return {"kind": kind, "versions": versions, **{name: _plain(value) for name, value in determinants.items()}}


def content_key(determinants: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a provenance, in hex.

    Of the versions only the recipe counts: another release of torch gives other last digits, not another network, and
    published networks stay usable. Options of edgesim's own that have their default are left out, so that an option that is
    added later, with a default that changes nothing, changes no key.
    """
    recipe = determinants.get("versions", {}).get("recipe")
    content = {name: _hashed(value) for name, value in determinants.items() if name != "versions"}
    _hash_as_distillation(content)
    return hashlib.sha256(json.dumps([recipe, content], sort_keys=True).encode()).hexdigest()


def read_card(path: Path) -> dict[str, Any]:
    """Return the card in a file.

    Raises
    ------
    DataError
        When it is missing or damaged; the message has all that is wrong with it.
    """
    try:
        card = read_json(path, most_byte=MAX_BYTE)
    except DataError as error:
        raise DataError(f"{path} is no card of a network: {error}") from error
    faults = list(_faults(card, path.stem))
    if faults:
        raise DataError(f"{path} is no card of a network: {'; '.join(faults)}")
    return dict(card)


_FORM: dict[str, type] = {
    "created": str,
    "determined_by": dict,
    "about": dict,
    "metrics": dict,
    "weights_sha256": str,
    "weights_byte": int,
}
_DETERMINED_BY: dict[str, type] = {"kind": str, "versions": dict}
_ABOUT: dict[str, type] = {"dataset": str, "licence_of_data": str, "source_of_data": str, "n_parameters": int}
_WORDS = {str: "a text", dict: "a mapping", int: "a whole number"}


def _faults(card: object, key: str) -> Iterator[str]:
    """Yield what is wrong with the form of a card."""
    if not isinstance(card, dict):
        yield "it is no mapping"
        return
    if card.get("key") != key:
        yield "`key` is not the name of the file"
    wrong = [*_missing(card, _FORM), *_wrong_types(card, _FORM)]
    yield from wrong
    if wrong:
        return
    yield from _missing(card["determined_by"], _DETERMINED_BY)
    yield from _wrong_types(card["determined_by"], _DETERMINED_BY)
    yield from _wrong_types(card["about"], _ABOUT)
    for name, value in card["metrics"].items():
        if not _is_number(value):
            yield f"`{name}` is no number"


def _missing(values: Mapping[str, Any], form: Mapping[str, type]) -> list[str]:
    return [f"`{name}` is missing" for name in form if name not in values]


def _wrong_types(values: Mapping[str, Any], form: Mapping[str, type]) -> Iterator[str]:
    for name, wanted in form.items():
        value = values.get(name)
        is_right = _is_count(value) if wanted is int else type(value) is wanted
        if name in values and not is_right:
            yield f"`{name}` is not {_WORDS[wanted]}"


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _is_number(value: object) -> bool:
    return (type(value) is int and abs(value) < _MOST) or (type(value) is float and math.isfinite(value))


def _hash_as_distillation(content: dict[str, Any]) -> None:
    """Move the options of objectives that once were options of the distillation to where they stood, in what is hashed."""
    objective = content.get("objective")
    name = str(objective.get("class", "")).removeprefix("objectives/") if isinstance(objective, dict) else ""
    if name not in _ONCE_OPTIONS:
        return
    once = {} if name == "failout" else {"objective": name}
    content["distillation"] = {
        **content["distillation"],
        **content.pop("objective"),
        **once,
        "class": _HASHED_AS["distillation"],
    }


def _hashed(value: Any) -> Any:
    """Return a value as it is hashed: without options at their defaults, where edgesim knows these."""
    if isinstance(value, list):
        return [_hashed(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = value.get("type")
    if not isinstance(name, str) or name not in _HASHED_AS or "class" in value:
        return {key: _hashed(item) for key, item in value.items()}
    defaults = _defaults(name)
    options = {key: item for key, item in value.items() if key != "type"}
    known = {
        *(_TOLD_BY_SURVIVORS if name.startswith("objectives/") else ()),
        *(key for key, item in options.items() if key in defaults and defaults[key] == item),
    }
    kept = {key: _hashed(item) for key, item in options.items() if key not in known}
    return {"class": _HASHED_AS[name], **kept}


@cache
def _defaults(name: str) -> dict[str, Any]:
    seam, _, own = name.partition("/")
    owner: Any = _OPTIONS.get(name) or (OBJECTIVES if seam == "objectives" else MODELS).get(own)
    once = {**_RETIRED, "attack": _plain(Attack())} if name == "distillation" else {}
    return once | {
        field.name: _plain(field.default)
        for field in dataclasses.fields(owner)
        if field.default is not dataclasses.MISSING
    }


def _name(owner: type) -> dict[str, str]:
    """Return what a card calls a class: by name if it is edgesim's own."""
    for name, options in _OPTIONS.items():
        if owner is options:
            return {"type": name}
    name = ""
    for registry in (MODELS, OBJECTIVES):
        with suppress(UnknownNameError):
            name = f"{registry.seam}/{registry.name_of(owner)}"
    return {"type": name} if name in _HASHED_AS else {"class": f"{owner.__module__}:{owner.__qualname__}"}


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        content = {"content": value.content()} if isinstance(value, Sourced) else {}
        return {**_name(type(value)), **fields, **content}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise DataError(f"{type(value).__name__} cannot be part of a network's provenance; make the plug-in a dataclass")
