"""Refusals of values that nothing in this world has, said where they are given and not where they do harm."""

from __future__ import annotations

from math import inf, isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeGuard, get_args

from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable


def positive(subject: str, **values: object) -> None:
    """Refuse what is no finite number above 0; `subject` says whose the values are, as all functions here do.

    Raises
    ------
    PlanError
        It names the subject, the field, the value and what is expected.

    Examples
    --------
    >>> positive("link 'a'", bandwidth=0)
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: link 'a' has bandwidth 0; it must be a finite number above 0
    """
    for name, value in values.items():
        if not (_is_number(value) and 0 < value < inf):
            _refuse(subject, name, value, "a finite number above 0")


def not_negative(subject: str, **values: object) -> None:
    """Refuse what is no finite number of at least 0. Raises `PlanError`.

    Examples
    --------
    >>> not_negative("link 'a'", latency_s=-0.001)
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: link 'a' has latency_s -0.001; it must be a finite number of at least 0
    """
    for name, value in values.items():
        if not (_is_number(value) and 0 <= value < inf):
            _refuse(subject, name, value, "a finite number of at least 0")


def finite(subject: str, **values: object) -> None:
    """Refuse what is no finite number. Raises `PlanError`.

    Examples
    --------
    >>> finite("a point", x=float("inf"))
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: a point has x inf; it must be a finite number
    """
    for name, value in values.items():
        if not (_is_number(value) and isfinite(value)):
            _refuse(subject, name, value, "a finite number")


def share(subject: str, **values: object) -> None:
    """Refuse what is no number from 0 to 1. Raises `PlanError`.

    Examples
    --------
    >>> share("a model", loss=1.5)
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: a model has loss 1.5; it must be a number from 0 to 1
    """
    for name, value in values.items():
        if not (_is_number(value) and 0 <= value <= 1):
            _refuse(subject, name, value, "a number from 0 to 1")


def whole(subject: str, least: int, **values: object) -> None:
    """Refuse what is no whole number of at least `least`. Raises `PlanError`.

    Examples
    --------
    >>> whole("a device", 1, n_cores=2.0)
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: a device has n_cores 2.0; it must be a whole number of at least 1
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
            _refuse(subject, name, value, f"a whole number of at least {least}")


def one_of(subject: str, choices: Any, **values: object) -> None:
    """Refuse what is not among the names of a `Literal`. Raises `PlanError`.

    Examples
    --------
    >>> from typing import Literal
    >>> one_of("a link", Literal["fifo", "fair"], sharing="fare")
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: a link has sharing 'fare'; it must be one of 'fifo', 'fair'
    """
    for name, value in values.items():
        if value not in get_args(choices):
            _refuse(subject, name, value, f"one of {', '.join(map(repr, get_args(choices)))}")


def named(kind: str, **values: object) -> None:
    """Refuse what is no text, or an empty one. Raises `PlanError`.

    Examples
    --------
    >>> named("a device", device_id="")
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: a device has device_id ''; it must be a text that is not empty
    """
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            _refuse(kind, name, value, "a text that is not empty")


def all_of(subject: str, kind: type | tuple[type, ...], **values: Iterable[object]) -> None:
    """Refuse what is no tuple, or holds something of another type. Raises `PlanError`.

    Examples
    --------
    >>> all_of("a step", str, inputs=("a", 1))
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: a step has inputs 1; it must be a tuple of str
    """
    for name, value in values.items():
        if not isinstance(value, tuple):
            _refuse(subject, name, value, "a tuple")
        for item in value:
            if not isinstance(item, kind):
                names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
                _refuse(subject, name, item, f"a tuple of {names}")


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) is float or (isinstance(value, Real) and not isinstance(value, bool))


def _refuse(subject: str, name: str, value: object, wanted: str) -> None:
    raise PlanError(f"{subject} has {name} {value!r}; it must be {wanted}")
