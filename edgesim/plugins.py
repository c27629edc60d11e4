"""The plug-ins of a seam by name, and how options name one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edgesim.errors import FOREIGN, EdgesimError, UnknownNameError, nearest_name
from edgesim.forms import check_form

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Plugin:
    """Marks an option as a nested plug-in of a seam: ``Annotated[Partitioner, Plugin("partitioners")]``."""

    seam: str


class Registry(Generic[T]):
    """The plug-ins of one seam, each of type T.

    Parameters
    ----------
    seam : plural name, also the suffix of the entry-point group, e.g. ``"strategies"``.
    kind : singular name for messages, e.g. ``"strategy"``.
    built_in : name -> ``"module:attribute"``.
    protocols : what a plug-in is one of: T, or what T unites.
    optional : protocols that say what a plug-in can do besides.
    """

    def __init__(
        self,
        seam: str,
        kind: str,
        built_in: Mapping[str, str],
        protocols: tuple[type, ...],
        optional: tuple[type, ...] = (),
    ) -> None:
        self.seam = seam
        self.kind = kind
        self.protocols = protocols
        self.optional = optional
        self._targets: dict[str, str] = dict(built_in)
        self._loaded: dict[str, type[T]] = {}
        self._has_entry_points = False

    def register(self, name: str) -> Callable[[C], C]:
        """Return a decorator that registers a plug-in under `name`.

        Raises
        ------
        EdgesimError
            When the name is taken by another plug-in, or the plug-in is none of this seam; see `edgesim.forms.check_form`.
        """

        def add(plugin: C) -> C:
            found = self._checked(name, plugin)
            self._read_entry_points()
            target = f"{found.__module__}:{found.__qualname__}"
            if name in self._targets and self._targets[name] != target:
                raise EdgesimError(
                    f"{self.kind} {name!r} is already registered as {self._targets[name]}; choose another name"
                )
            self._targets[name] = target
            self._loaded[name] = found
            return plugin

        return add

    def remove(self, name: str) -> None:
        """Forget a plug-in, e.g. at the end of a test.

        Raises
        ------
        UnknownNameError
            When the name is not registered.
        """
        if name not in self._targets:
            raise self.unknown(name)
        del self._targets[name]
        self._loaded.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted.

        Examples
        --------
        >>> from edgesim.registry import TRANSPORTS
        >>> TRANSPORTS.names()
        ('arq', 'datagram', 'tcp')
        """
        self._read_entry_points()
        return tuple(sorted(self._targets))

    def get(self, name: str) -> Any:
        """Return the plug-in of that name, imported if need be.

        Raises
        ------
        UnknownNameError
            When the name is not registered; it suggests the nearest one.

        Examples
        --------
        >>> from edgesim.registry import FAILURES
        >>> FAILURES.get("exactly_k")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        edgesim.errors.UnknownNameError: unknown failure model 'exactly_k'; expected one of ... names; nearest 'exactly-k'
        """
        if name not in self._targets:
            self._read_entry_points()
        if name not in self._targets:
            raise self.unknown(name)
        if name not in self._loaded:
            self._loaded[name] = self._imported(name)
        return self._loaded[name]

    def _imported(self, name: str) -> type[T]:
        module, _, attribute = self._targets[name].partition(":")
        try:
            plugin = getattr(importlib.import_module(module), attribute)
        except FOREIGN as error:
            if module.startswith("edgesim."):
                raise
            raise EdgesimError(
                f"{self.kind} {name!r} cannot be loaded from {self._targets[name]}: {type(error).__name__}: {error}; mend or "
                "uninstall the package"
            ) from error
        return self._checked(name, plugin)

    def _checked(self, name: str, plugin: Any) -> type[T]:
        check_form(f"{self.kind} {name!r}", plugin, self.protocols, self.optional)
        checked: type[T] = plugin
        return checked

    def name_of(self, plugin: type) -> str:
        """Return the name under which a plug-in is registered.

        Raises
        ------
        UnknownNameError
            When it is not registered.
        """
        target = f"{plugin.__module__}:{plugin.__qualname__}"
        for name in self.names():
            if self._loaded.get(name) is plugin or self._targets[name] == target:
                return name
        raise self.unknown(plugin.__qualname__)

    def unknown(self, name: str) -> UnknownNameError:
        """Return the error that says `name` is not registered."""
        known = self.names()
        return UnknownNameError(self.kind, name, known, nearest_name(name, known))

    def summary(self, name: str) -> str:
        """Return the first line of a plug-in's docstring.

        Examples
        --------
        >>> from edgesim.registry import TRANSPORTS
        >>> TRANSPORTS.summary("tcp")
        'Send as a new TCP connection does: handshake, slow start, retransmission of what was lost.'
        """
        return (self.get(name).__doc__ or "").strip().split("\n")[0]

    def _read_entry_points(self) -> None:
        if self._has_entry_points:
            return
        self._has_entry_points = True
        for point in _installed().select(group=f"edgesim.{self.seam}"):
            if self._targets.get(point.name, point.value) != point.value:
                raise EdgesimError(
                    f"{self.kind} {point.name!r} is registered twice: {self._targets[point.name]} and {point.value}; "
                    "uninstall one of the two packages"
                )
            self._targets[point.name] = point.value


@cache
def _installed() -> EntryPoints:
    """Return the entry points of all packages that are installed, which takes longer than anything that is done with them."""
    from importlib.metadata import entry_points

    return entry_points()  # type: ignore[return-value]
