"""Kernels that stay in the process that deploys: what simulates needs none, and gets no networks sent. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edgesim.errors import PlanError

if TYPE_CHECKING:
    from edgesim.interfaces import Kernel

    Kernels = Mapping[str, Kernel]

_SENT = "a deployment that was sent to another process has no networks, so it cannot say what runs where; deploy the strategy anew"


class Here:
    """Makes the kernels of a deployment; a pickled copy cannot.

    Parameters
    ----------
    make : returns the kernels by the ids of the computations; None makes none.
    refused : why there are none.

    Examples
    --------
    >>> import pickle
    >>> Here(dict).kernels()
    {}
    >>> pickle.loads(pickle.dumps(Here(dict))).kernels()
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: a deployment that was sent to another process has no networks, so it cannot say what runs where; deploy the strategy anew
    """

    def __init__(self, make: Callable[[], Kernels] | None = None, refused: str = _SENT) -> None:
        self._make = make
        self._refused = refused

    def kernels(self) -> Kernels:
        """Return them. Raises `PlanError` where there are none, as in a copy that was pickled."""
        if self._make is None:
            raise PlanError(self._refused)
        return self._make()

    def __reduce__(self) -> tuple[type[Here], tuple[None, str]]:
        return Here, (None, _SENT if self._make else self._refused)
