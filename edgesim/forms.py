"""What plug-ins of each seam must be able to do: method names and their parameters, checked when a plug-in is registered.

A plug-in has one of the forms of its seam: all methods of it, each callable with the parameters that are named. The protocols that
say what the methods mean are in `edgesim.interfaces` and `edgesim.domain`; a test holds both against each other.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from edgesim.errors import EdgesimError

Form = Mapping[str, tuple[str, ...] | None]
"""Parameters by method; None for what may be an attribute or a property."""

FORMS: Mapping[str, Sequence[Form]] = {
    "strategies": ({"deploy": ("context",)},),
    "failures": (
        {"outages": ("topology", "streams"), "outcomes": ("topology",)},
        {"renewals": ("topology", "streams")},
        {"applies_to": ("link",), "is_lost": ("link", "n_packets", "streams")},
        {"applies_to": ("link",), "losses": ("link", "streams")},
        {"slows": ("device",), "factor": ("device", "streams")},
        {"speeds": ("topology",)},
    ),
    "transports": (
        {"cross": ("n_packets", "n_lost", "latency_s")},
        {"bursts": ("n_packets", "round_trip_s")},
    ),
    "rates": ({"changes": ()},),
    "arrivals": ({"releases_s": ("streams",)}, {"clients": None, "thinks_s": ("streams",)}),
    "tasks": (
        {
            "scores": None, "output": None, "fault": ("targets",), "loss": ("answers", "targets"),
            "imitation": ("answers", "wanted", "temperature"), "guess": ("targets",),
        },
    ),
    "datasets": ({"load": ()},),
    "models": ({"build": ("inputs", "output"), "filter_layer": ()},),
    "partitioners": ({"partition": ("affinity", "n_parts", "rng", "activities")},),
    "filter-graphs": ({"affinity": ("activities",)},),
}  # fmt: skip
OPTIONAL: Mapping[str, Form] = {
    "strategies": {"check": ("topology",), "needs_training": None},
    "failures": {
        "check": ("topology",), "strikes": ("topology", "used", "duration_s"), "are_down": ("topology", "streams"),
        "are_lost": ("link", "is_sent", "streams"), "loss_probability": ("link", "n_packets"),
        "strike_probability": ("link", "n_packets"), "batch_losses": ("link", "streams"),
        "factors": ("device", "is_begun", "streams"),
    },
    "transports": {"cross_batch": ("n_packets", "n_lost", "latency_s")},
    "arrivals": {"is_finite": None},
    "datasets": {"find": ()},
    "models": {"find": (), "content": ()},
}  # fmt: skip
"""What plug-ins may have besides."""
ALIKE = 0.85
"""A public method whose name is so like one that it is not is taken for misspelt."""


def check_form(seam: str, kind: str, name: str, plugin: Any) -> None:
    """Refuse a plug-in that has none of the forms of its seam, a part of one, or a method that is hardly spelt as meant.

    Raises
    ------
    EdgesimError
        It names the missing methods and what the plug-in has instead, or the method that takes other parameters.

    Examples
    --------
    >>> class Misspelt:
    ...     def outage(self, topology, streams): ...
    >>> check_form("failures", "failure model", "mine", Misspelt)
    Traceback (most recent call last):
        ...
    edgesim.errors.EdgesimError: failure model 'mine' (Misspelt) has 'outage'; is 'outages' meant?
    """
    subject = f"{kind} {name!r} ({getattr(plugin, '__qualname__', type(plugin).__name__)})"
    if not isinstance(plugin, type):
        raise EdgesimError(f"{subject} is no class; a plug-in is a frozen dataclass whose fields are its options")
    forms, optional = FORMS[seam], OPTIONAL.get(seam, {})
    _check_spelling(subject, plugin, {*optional, *(method for form in forms for method in form)})
    members = {**optional, **_met(subject, plugin, forms)}
    for member in [name for name in members if name in _known(plugin)]:
        _check_member(subject, plugin, member, members[member])


def _met(subject: str, plugin: type, forms: Sequence[Form]) -> Form:
    """Return the members of all forms that are there in full; a member of none of them would never be asked, and is refused."""
    members = {name: found for form in forms if not _missing(plugin, form) for name, found in form.items()}
    idle = {name for form in forms for name in form if name not in members} & _known(plugin)
    if members and not idle:
        return members
    lacking = min((_missing(plugin, form) for form in forms if not idle or idle & {*form}), key=len)
    beside = f" beside {', '.join(map(repr, sorted(idle)))}" if idle else ""
    plural = "s" if len(lacking) > 1 else ""
    raise EdgesimError(f"{subject} lacks the method{plural} {', '.join(map(repr, lacking))}{beside}; {_wanted(forms)}")


def _check_spelling(subject: str, plugin: type, members: set[str]) -> None:
    """Refuse a public method that is no member of the seam but is called almost like one that the plug-in lacks."""
    lacking = members - _known(plugin)
    fields = getattr(plugin, "__dataclass_fields__", {})
    for own in _public(plugin):
        near = difflib.get_close_matches(own, sorted(lacking), n=1, cutoff=ALIKE)
        if near and own not in members and own not in fields:
            raise EdgesimError(f"{subject} has {own!r}; is {near[0]!r} meant?")


def _public(plugin: type) -> list[str]:
    return [name for name in dir(plugin) if not name.startswith("_")]


def _known(plugin: type) -> set[str]:
    """Return the names that a plug-in has: methods, properties, and fields without a default, which are no attributes."""
    return {*_public(plugin), *getattr(plugin, "__dataclass_fields__", {}), *getattr(plugin, "__annotations__", {})}


def _missing(plugin: type, form: Form) -> list[str]:
    known = _known(plugin)
    return [method for method in form if method not in known]


def _wanted(forms: Sequence[Form]) -> str:
    return "it must have " + ", or ".join(" and ".join(form) for form in forms)


def _check_member(subject: str, plugin: type, member: str, parameters: tuple[str, ...] | None) -> None:
    """Refuse a method with other parameters than those that it is called with, and a method in place of a property."""
    found = inspect.getattr_static(plugin, member, None)
    if parameters is None:
        if inspect.isfunction(found):
            raise EdgesimError(f"{subject}: {member!r} must be an attribute or a property, not a method")
        return
    if not callable(getattr(plugin, member, None)):
        raise EdgesimError(f"{subject} has {member!r}, which is no method")
    taken = inspect.signature(getattr(plugin, member))
    own = list(taken.parameters.values())
    if not isinstance(found, (staticmethod, classmethod)):
        own = own[1:]
    named = [one.name.lstrip("_") for one in own if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    n_needed = sum(one.default is one.empty for one in own if one.kind is not one.VAR_POSITIONAL)
    takes_any = any(one.kind is one.VAR_POSITIONAL for one in own)
    if not takes_any and (tuple(named[: len(parameters)]) != parameters or n_needed > len(parameters)):
        wanted = ", ".join(("self", *parameters))
        raise EdgesimError(
            f"{subject}: its method {member}{taken} must take the parameters of {member}({wanted}), in this order"
        )
