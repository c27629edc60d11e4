"""The short forms that a scenario may have, written out."""

from __future__ import annotations

from typing import Any

from edgesim.scenario.topology import catalog
from edgesim.scenario.topology.references import named_profiles


def complete(data: dict[str, Any]) -> dict[str, Any]:
    """Write out the short forms: labels that are types, bare names of plug-ins, catalog profiles that devices name."""
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
    if isinstance(topology, dict) and isinstance(profiles, dict):
        used = [name for _, name in named_profiles(topology)]
        missing = {name: {"extends": name} for name in used if name in catalog.names()}
        completed["profiles"] = missing | profiles
    return {key: value for key, value in completed.items() if value is not None or key not in _EMPTY_MAY_STAND}


_EMPTY_MAY_STAND = ("failures", "sweep", "skip", "plugins", "profiles")  # `failures:` with nothing after it means none


def _typed(options: Any, label: str | None) -> Any:
    if isinstance(options, str):
        return {"type": options}
    if options is None and label is not None:
        return {"type": label}
    if isinstance(options, dict) and "type" not in options and label is not None:
        return {"type": label, **options}
    return options
