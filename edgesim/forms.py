"""What plug-ins must be able to do, checked when they are registered.

A plug-in has one of the forms of its seam: all methods and attributes of a protocol, each method callable with the protocol's
parameters. It may have those of other protocols besides, which say what more it can. The protocols are in `edgesim.interfaces` and
`edgesim.domain`; `edgesim.registry` says which belong to which seam.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from typing import Any

from edgesim.errors import EdgesimError

Form = Mapping[str, tuple[str, ...] | None]
"""Parameters by method; None for what may be an attribute or a property."""


ALIKE = 0.85
"""A public method whose name is so like one that it is not is taken for misspelt."""


@cache
def form_of(protocol: type) -> Form:
    """Return what has to be there for a protocol: its methods and properties, and those that it inherits.

    Examples
    --------
    >>> from edgesim.interfaces import ClosedArrivals
    >>> form_of(ClosedArrivals)
    {'clients': None, 'thinks_s': ('streams',)}
    """
    return {
        name: None if isinstance(member, property) else tuple(inspect.signature(member).parameters)[1:]
        for one in protocol.__mro__
        for name, member in vars(one).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }


def check_form(
    subject: str,
    plugin: Any,
    protocols: Collection[type],
    optional: Collection[type] = (),
    *,
    also: Collection[str] = (),
) -> None:
    """Refuse a plug-in that has none of the forms of its seam, a part of one, or a method that is hardly spelt as meant.

    Parameters
    ----------
    subject : how messages name it.
    plugin : a class.
    protocols : it must be one of these, and may be several.
    optional : what it may be besides.
    also : names that an instance has, which are no options.

    Raises
    ------
    EdgesimError
        It names the missing methods and what the plug-in has instead, or the method that takes other parameters.

    Examples
    --------
    >>> from edgesim.interfaces import OutageModel
    >>> class Misspelt:
    ...     def outage(self, topology, streams): ...
    >>> check_form("failure model 'mine'", Misspelt, (OutageModel,))
    Traceback (most recent call last):
        ...
    edgesim.errors.EdgesimError: failure model 'mine' (Misspelt) has 'outage'; is 'outages' meant?
    """
    if not isinstance(plugin, type):
        kind = type(plugin).__name__
        raise EdgesimError(
            f"{subject} is a {kind}, no class; a plug-in is a frozen dataclass whose fields are its options"
        )
    candidate = _Candidate(f"{subject} ({plugin.__qualname__})", plugin, frozenset(also))
    forms = [form_of(protocol) for protocol in protocols]
    besides = {name: found for protocol in optional for name, found in form_of(protocol).items()}
    candidate.check_spelling({*besides, *(method for form in forms for method in form)})
    members = {**besides, **candidate.met(forms)}
    for protocol in optional:
        candidate.check_whole(protocol)
    for member in [name for name in members if name in candidate.known]:
        candidate.check_member(member, members[member])


@dataclass(frozen=True)
class _Candidate:
    """A class that wants to be a plug-in, and the names that an instance has, which are no options."""

    subject: str
    plugin: type
    also: frozenset[str]

    @cached_property
    def public(self) -> list[str]:
        return [name for name in dir(self.plugin) if not name.startswith("_")]

    @cached_property
    def known(self) -> set[str]:
        """The names that it has: methods, properties, and fields without a default, which are no attributes of the class."""
        annotated = (name for one in self.plugin.__mro__ for name in vars(one).get("__annotations__", ()))
        return {*self.public, *annotated, *self.also}

    def met(self, forms: Sequence[Form]) -> Form:
        """Return the members of the form that is there in full; one of another form might never be asked, and is refused."""
        members = next((form for form in forms if not self.missing(form)), {})
        idle = {name for form in forms for name in form if name not in members} & self.known
        wanted = "it must have " + ", or ".join(" and ".join(form) for form in forms)
        if members and idle:
            raise EdgesimError(
                f"{self.subject} has {_listed(idle)} beside {_listed(members)}; make a plug-in of each kind: {wanted}"
            )
        if members:
            return members
        lacking = min((self.missing(form) for form in forms if not idle or idle & {*form}), key=len)
        beside = f" beside {_listed(idle)}" if idle else ""
        plural = "s" if len(lacking) > 1 else ""
        raise EdgesimError(f"{self.subject} lacks the method{plural} {', '.join(map(repr, lacking))}{beside}; {wanted}")

    def check_whole(self, protocol: type) -> None:
        """Refuse a part of what it may be besides: the rest would be missed when it is asked."""
        own, lacking = {*vars(protocol)} & self.known & {*form_of(protocol)}, self.missing(form_of(protocol))
        if own and lacking:
            raise EdgesimError(f"{self.subject} has {_listed(own)}, but lacks {_listed(lacking)}, which goes with it")

    def missing(self, form: Form) -> list[str]:
        return [method for method in form if method not in self.known]

    def check_spelling(self, members: set[str]) -> None:
        """Refuse a public method that is no member of the seam but is called almost like one that the plug-in lacks."""
        lacking = sorted(members - self.known)
        options = ({field.name for field in fields(self.plugin)} if is_dataclass(self.plugin) else set()) - self.also
        for own in (*self.public, *sorted(self.also - {*self.public})):
            near = difflib.get_close_matches(own, lacking, n=1, cutoff=ALIKE)
            if near and own not in members and own not in options:
                raise EdgesimError(f"{self.subject} has {own!r}; is {near[0]!r} meant?")

    def check_member(self, member: str, parameters: tuple[str, ...] | None) -> None:
        """Refuse a method with other parameters than those that it is called with, and a method in place of a property."""
        found = inspect.getattr_static(self.plugin, member, None)
        if parameters is None:
            if inspect.isfunction(found):
                raise EdgesimError(f"{self.subject}: {member!r} must be an attribute or a property, not a method")
            return
        is_bound = isinstance(found, (staticmethod, classmethod))
        if not (is_bound or callable(found)):
            raise EdgesimError(f"{self.subject} has {member!r}, which is no method")
        taken = inspect.signature(getattr(self.plugin, member))
        own = list(taken.parameters.values())[0 if is_bound else 1 :]
        if not _takes(own, parameters):
            wanted = ", ".join(("self", *parameters))
            raise EdgesimError(
                f"{self.subject}: its method {member}{taken} must take the parameters of {member}({wanted}), in this order"
            )


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(repr, sorted(names)))


def _takes(own: Sequence[inspect.Parameter], parameters: tuple[str, ...]) -> bool:
    """Say whether a method takes these parameters, in order; more that it has need defaults."""
    if any(one.kind is one.VAR_POSITIONAL for one in own):
        return True
    named = [one.name.lstrip("_") for one in own if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    n_needed = sum(one.default is one.empty for one in own if one.kind is not one.VAR_KEYWORD)
    return tuple(named[: len(parameters)]) == parameters and n_needed <= len(parameters)
