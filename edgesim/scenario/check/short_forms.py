"""The short forms that a scenario may have, written out."""

from __future__ import annotations

from typing import Any

from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.catalog import links as link_classes
from edgesim.scenario.topology.hardware import ChannelSpec, LinkSpec
from edgesim.scenario.topology.references import named_profiles
from edgesim.scenario.topology.shapes import SHAPES


def complete(data: dict[str, Any]) -> dict[str, Any]:
    """Write out the short forms: labels that are types, bare names of plug-ins, profiles and link classes of the catalog."""
    completed = dict(data)
    for seam in ("strategies", "failures"):
        plugins = data.get(seam)
        if isinstance(plugins, dict):
            completed[seam] = {label: _typed(options, label) for label, options in plugins.items()}
    workload = data.get("workload")
    if isinstance(workload, dict):
        named = {key: _typed(workload[key], None) for key in ("dataset", "model") if key in workload}
        completed["workload"] = workload | named
    topology = data.get("topology")
    profiles = data.get("profiles") or {}
    if isinstance(topology, dict):
        completed["topology"] = topology | _classed(topology)
    if isinstance(topology, dict) and isinstance(profiles, dict):
        used = [name for _, name in named_profiles(topology)]
        missing = {name: {"extends": name} for name in used if name in catalog.names()}
        completed["profiles"] = missing | profiles
    return {key: value for key, value in completed.items() if value is not None or key not in _EMPTY_MAY_STAND}


_EMPTY_MAY_STAND = ("failures", "sweep", "skip", "plugins", "profiles")  # `failures:` with nothing after it means none


def _classed(topology: dict[str, Any]) -> dict[str, Any]:
    """Return the links and shapes of a topology, those that extend a link class with its numbers."""
    found = {name: _extended(topology[name], SHAPES[name]) for name in SHAPES if name in topology}
    if isinstance(topology.get("links"), list):
        found["links"] = [_extended(link, LinkSpec) for link in topology["links"]]
    return found


def _extended(entry: Any, form: type[ChannelSpec]) -> Any:
    name = entry.get("extends") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        return entry
    if name not in link_classes.names():  # the form says so; without a rate it would say that this is missing, too
        return (
            entry if "bandwidth" in entry or "bandwidth" not in form.model_fields else entry | {"bandwidth": "1 bit/s"}
        )
    numbers = {key: value for key, value in link_classes.entry(name).items() if key in form.model_fields}
    return numbers | entry


def _typed(options: Any, label: str | None) -> Any:
    if isinstance(options, str):
        return {"type": options}
    if options is None and label is not None:
        return {"type": label}
    if isinstance(options, dict) and "type" not in options and label is not None:
        return {"type": label, **options}
    return options
