"""Discrete-event simulation of distributed neural networks on edge devices.

Examples
--------
>>> import edgesim as es
>>> es.Scenario.from_text("name: nothing")  # doctest: +IGNORE_EXCEPTION_DETAIL
Traceback (most recent call last):
edgesim.errors.ScenarioError: ...
"""

from __future__ import annotations

from typing import Any

__version__ = "0.2.0"
__all__ = ["Result", "Scenario", "__version__", "run"]

_PLACES = {
    "Result": "edgesim.report.result", "Scenario": "edgesim.scenario.scenario", "run": "edgesim.report.run",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load the public names on first use, so that `import edgesim` needs neither numpy nor torch."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, also those that are not loaded yet."""
    return sorted({*globals(), *__all__})
