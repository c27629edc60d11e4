"""Every key of scenario files as a page of Markdown, from their JSON schema."""

from __future__ import annotations

import json
from typing import Any

from edgesim.registry import REGISTRIES

_FIRST = {
    "Scenario": "The file", "TopologySpec": "topology", "DeviceSpec": "topology.devices", "LinkSpec": "topology.links",
    "MediumSpec": "topology.media", "SwitchSpec": "topology.switches", "WifiSpec": "topology.wifi", "Routing": "topology.routing", "FileSpec": "topology.file", "NamesSpec": "topology.file.names", "AttributeSpec": "topology.file.attributes",
    "StarSpec": "topology.star", "LineSpec": "topology.line",
    "RingSpec": "topology.ring", "GridSpec": "topology.grid", "TreeSpec": "topology.tree", "MeshSpec": "topology.mesh",
    "GeometricSpec": "topology.geometric", "RangeSpec": "topology.geometric.path_loss", "ServiceSpec": "service of a shape", "HostOverhead": "host_overhead of a device",
    "ProfileSpec": "profiles", "RatesSpec": "compute_rate of a profile", "PowerSpec": "power of a profile",
    "WorkloadSpec": "workload", "Training": "workload.training", "Load": "workload.load", "Evaluation": "workload.evaluation", "Escalation": "workload.escalate", "People": "workload.escalate.people",
    "ReplicationsSpec": "replications", "FactorSpec": "sweep", "SearchSpec": "search", "ChoiceSpec": "search.choices",
    "ScriptedOutage": "outages of scripted failures", "RateStep": "steps of a changing rate",
    "SlowdownStep": "steps of slowdowns",
}  # fmt: skip
"""Definitions of the schema and where they stand in a file."""
_HEAD = """\
# Every key of a scenario

Made by `edgesim schema --markdown`; in the repository equal to it by a test. *required* keys have no default. `edgesim explain NAME`
says more about each plug-in: formula, validity, source.
"""


def markdown(schema: dict[str, Any]) -> str:
    """Return the page.

    Parameters
    ----------
    schema : as of `edgesim.scenario.help.json_schema.json_schema`.
    """
    forms = schema["$defs"]
    parts = [
        _HEAD,
        *(_section(f"`{title}`" if name != "Scenario" else title, forms[name]) for name, title in _FIRST.items()),
    ]
    for seam, registry in REGISTRIES.items():
        found = [name for name in registry.names() if f"{seam}: {name}" in forms]
        parts += [_section(f"{registry.kind} `{name}`", forms[f"{seam}: {name}"]) for name in found]
    return "\n".join(parts)


def _section(title: str, form: dict[str, Any]) -> str:
    rows = [_row(name, field, form.get("required", ())) for name, field in form.get("properties", {}).items()]
    rows = [row for row in rows if row]
    table = ["", "| key | default | what it is | e.g. |", "|---|---|---|---|", *rows] if rows else []
    return "\n".join([f"\n## {title}\n", _said(str(form.get("description", ""))), *table])


def _row(name: str, field: dict[str, Any], required: list[str]) -> str:
    if "const" in field:  # the type, which the heading says
        return ""
    default = "*required*" if name in required else _code(field["default"]) if field.get("default") is not None else ""
    choices = field.get("enum")
    example = ", ".join(_code(one) for one in (choices or field.get("examples") or ())[:4])
    return f"| `{name}` | {default} | {_said(str(field.get('description', '')))} | {example} |"


def _code(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{text}`".replace("|", "\\|") if text else ""


def _said(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")
