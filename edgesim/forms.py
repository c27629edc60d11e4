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


def check_form(seam: str, kind: str, name: str, plugin: Any) -> None:
    """Refuse a plug-in that has none of the forms of its seam.

    Raises
    ------
    EdgesimError
        It names the missing methods and what the plug-in has instead, or the method that takes other parameters.

    Examples
    --------
    >>> class Misspelt:
    ...     def outage(self, topology, streams): ...
    ...     def outcomes(self, topology): ...
    >>> check_form("failures", "failure model", "mine", Misspelt)
    Traceback (most recent call last):
        ...
    edgesim.errors.EdgesimError: failure model 'mine' (Misspelt) lacks the method 'outages'; nearest it has is 'outage'
    """
    subject = f"{kind} {name!r} ({getattr(plugin, '__qualname__', type(plugin).__name__)})"
    if not isinstance(plugin, type):
        raise EdgesimError(f"{subject} is no class; a plug-in is a frozen dataclass whose fields are its options")
    forms = FORMS[seam]
    # that of which the least is missing, by names that are alike
    form = min(forms, key=lambda one: (len(_missing(plugin, one)), -_likeness(plugin, one)))
    missing = _missing(plugin, form)
    if missing:
        has = _public(plugin)
        near = [close for one in missing for close in difflib.get_close_matches(one, has, n=1, cutoff=0.5)]
        others = f"; nearest it has is {', '.join(map(repr, near))}" if near else f"; {_wanted(forms)}"
        plural = "s" if len(missing) > 1 else ""
        raise EdgesimError(f"{subject} lacks the method{plural} {', '.join(map(repr, missing))}{others}")
    for method, parameters in form.items():
        if parameters is not None:
            _check_signature(subject, plugin, method, parameters)


def _public(plugin: type) -> list[str]:
    return [name for name in dir(plugin) if not name.startswith("_")]


def _known(plugin: type) -> set[str]:
    """Return the names that a plug-in has: methods, properties, and fields without a default, which are no attributes."""
    return {*_public(plugin), *getattr(plugin, "__dataclass_fields__", {}), *getattr(plugin, "__annotations__", {})}


def _missing(plugin: type, form: Form) -> list[str]:
    known = _known(plugin)
    return [method for method in form if method not in known]


def _likeness(plugin: type, form: Form) -> float:
    has = _public(plugin)
    ratios = (
        max((difflib.SequenceMatcher(None, method, name).ratio() for name in has), default=0.0) for method in form
    )
    return sum(ratios) / len(form)


def _wanted(forms: Sequence[Form]) -> str:
    return "it must have " + ", or ".join(" and ".join(form) for form in forms)


def _check_signature(subject: str, plugin: type, method: str, parameters: tuple[str, ...]) -> None:
    found = inspect.getattr_static(plugin, method)
    if isinstance(found, (staticmethod, classmethod)):
        taken = inspect.signature(getattr(plugin, method))
        given: list[object] = [*parameters]
    else:
        function = getattr(plugin, method)
        if not callable(function):
            raise EdgesimError(f"{subject} has {method!r}, which is no method")
        taken, given = inspect.signature(function), [None, *parameters]
    try:
        taken.bind(*given)
    except TypeError as error:
        wanted = ", ".join(("self", *parameters))
        raise EdgesimError(
            f"{subject}: its method {method}{taken} cannot be called as {method}({wanted}): {error}"
        ) from error
