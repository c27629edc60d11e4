"""The catalog of link classes, each number with its reference or marked as assumed.

The numbers stand in ``links.toml`` beside this file, as texts with units, in the form that scenarios use; those of Wi-Fi are
of `edgesim.scenario.catalog.radio`, at the fastest rate.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from edgesim.errors import UnknownNameError, nearest_name
from edgesim.scenario.catalog import radio
from edgesim.scenario.catalog.radio import STANDARDS, Standard


@lru_cache(maxsize=1)
def _catalog() -> dict[str, dict[str, Any]]:
    text = files("edgesim.scenario.catalog").joinpath("links.toml").read_text(encoding="utf-8")
    return tomllib.loads(text) | {standard: _wifi(standard) for standard in STANDARDS}


def _wifi(standard: Standard) -> dict[str, Any]:
    known, references = radio.radio(standard), radio.references(standard)
    fastest_bit_per_s = max(known.rates_bit_per_s)
    return {
        "summary": f"A cell of {standard} near its access point ({radio.summary(standard)}); `wifi:` makes a whole cell, by distance",
        "bandwidth": f"{known.efficiency * fastest_bit_per_s / 1e6:.5g} Mbit/s",
        "latency": "0 s",
        "message_overhead": f"{known.message_overhead_s * 1e3:g} ms",
        "mtu": "1472 B",
        "header": "0 B",
        "transport": {"type": "arq", "retries": 7},
        "references": {
            "bandwidth": f"{known.efficiency:g} x {fastest_bit_per_s / 1e6:g} Mbit/s; {references['efficiency']}",
            "latency": "assumed: none besides the overhead",
            "message_overhead": references["message_overhead_s"],
            "mtu": "1,500 B of IEEE 802.3 less 28 B of IP (RFC 791) and UDP (RFC 768)",
            "header": "the bandwidth is that of data",
            "transport.retries": "IEEE 802.11, dot11ShortRetryLimit by default",
        },
    }


def names() -> tuple[str, ...]:
    """Return the names of all link classes, sorted."""
    return tuple(sorted(_catalog()))


def summary(name: str) -> str:
    """Return what a link class stands for, in one line."""
    return str(_catalog()[name]["summary"])


def references(name: str) -> dict[str, str]:
    """Return where each number of a link class comes from, by field; ``"assumed"`` without a reference."""
    return dict(_catalog()[name]["references"])


def entry(name: str) -> dict[str, Any]:
    """Return a link class as plain data in the form of a scenario's ``links:``.

    Raises
    ------
    UnknownNameError
        When the catalog has no such class.
    """
    if name not in _catalog():
        raise UnknownNameError("link class", name, names(), nearest_name(name, names()))
    return {key: value for key, value in _catalog()[name].items() if key not in {"summary", "references"}}
