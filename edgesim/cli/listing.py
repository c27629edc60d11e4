"""`edgesim list`: what a scenario can name."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import MISSING
from typing import Any

import typer

from edgesim.cli.exit_codes import DONE, INCOMPLETE
from edgesim.errors import EdgesimError, UnknownNameError, nearest_name
from edgesim.plugins import Registry
from edgesim.registry import REGISTRIES
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.catalog import links as link_classes
from edgesim.units import plain_name

DEVICES, LINKS = "devices", "links"
_KINDS = {
    "strategies": "methods that distribute a network over devices",
    "failures": "what takes devices and links down, loses messages and packets, or slows devices",
    "compute": "how long devices compute",
    "transports": "how the packets of a message get across",
    "rates": "how rates of links and media change with time",
    "arrivals": "when requests are released",
    "recoveries": "what is done about what was lost",
    "tasks": "what answers mean: scores, losses",
    "datasets": "samples that networks are trained and asked on",
    "models": "network architectures",
    "partitioners": "ways to divide the filters of a network into parts",
    "filter-graphs": "ways to say which filters of a network belong together",
    "objectives": "what student networks learn",
    DEVICES: "device profiles of the catalog",
    LINKS: "link classes of the catalog",
}


def list_kinds(*, is_json: bool = False) -> int:
    """Show what can be listed, and return the exit code."""
    kinds = {kind: _KINDS.get(kind, "") for kind in (*REGISTRIES, DEVICES, LINKS)}
    if is_json:
        typer.echo(json.dumps([{"kind": kind, "summary": text} for kind, text in kinds.items()], indent=2))
    else:
        _show_table([[kind, text] for kind, text in kinds.items()])
    return DONE


def list_kind(kind: str, *, is_json: bool = False) -> int:
    """Show all names of a kind, and return the exit code.

    Raises
    ------
    UnknownNameError
        When there is no such kind.
    """
    if kind == DEVICES:
        return _list_devices(is_json=is_json)
    if kind == LINKS:
        return _list_links(is_json=is_json)
    if kind not in REGISTRIES:
        known = (*REGISTRIES, DEVICES, LINKS)
        raise UnknownNameError("kind", kind, known, nearest_name(kind, known))
    registry = REGISTRIES[kind]
    entries = [_describe(registry, name) for name in registry.names()]
    if is_json:
        typer.echo(json.dumps(entries, indent=2))
    else:
        for entry in entries:
            typer.echo(f"{entry['name']}\n  {entry['summary'] or entry['error']}")
            if entry["options"]:
                typer.echo(f"  options: {', '.join(_option_text(option) for option in entry['options'])}")
    return INCOMPLETE if any(entry["error"] for entry in entries) else DONE


def _describe(registry: Registry[Any], name: str) -> dict[str, Any]:
    try:
        plugin = registry.get(name)
        summary = registry.summary(name)
    except EdgesimError as error:
        return {"name": name, "summary": "", "options": [], "error": str(error)}
    options: list[dict[str, Any]] = []
    for field in dataclasses.fields(plugin) if dataclasses.is_dataclass(plugin) else ():
        is_required = field.default is MISSING and field.default_factory is MISSING
        option: dict[str, Any] = {"name": plain_name(field.name), "is_required": is_required}
        options.append(option)
    return {"name": name, "summary": summary, "options": options, "error": ""}


def _option_text(option: dict[str, Any]) -> str:
    return str(option["name"]) if option["is_required"] else f"[{option['name']}]"


def _list_devices(*, is_json: bool) -> int:
    names = catalog.names()
    if is_json:
        entries = [
            {"name": name, "summary": catalog.summary(name), **catalog.entry(name)}
            | {"source": catalog.references(name)}
            for name in names
        ]
        typer.echo(json.dumps(entries, indent=2))
        return DONE
    rows = [["name", "conv", "depthwise", "memory", "busy", "what it is"]]
    for name in names:
        data, references = catalog.entry(name), catalog.references(name)
        shown = {
            "compute_rate.conv": data["compute_rate"]["conv"],
            "compute_rate.depthwise": data["compute_rate"]["depthwise"],
            "memory": data["memory"],
            "power.busy": data["power"]["busy"],
        }
        marked = [text + (" *" if references[key].startswith("assumed") else "") for key, text in shown.items()]
        rows.append([name, *marked, catalog.summary(name)])
    _show_table(rows)
    typer.echo("\n* assumed; all numbers and their references: edgesim list devices --json", err=True)
    return DONE


def _list_links(*, is_json: bool) -> int:
    names = link_classes.names()
    if is_json:
        entries = [
            {"name": name, "summary": link_classes.summary(name), **link_classes.entry(name)}
            | {"source": link_classes.references(name)}
            for name in names
        ]
        typer.echo(json.dumps(entries, indent=2))
        return DONE
    keys = ("bandwidth", "latency", "message_overhead", "mtu", "header")
    rows = [["name", *keys, "what it is"]]
    for name in names:
        data, references = link_classes.entry(name), link_classes.references(name)
        marked = [data[key] + (" *" if references[key].startswith("assumed") else "") for key in keys]
        rows.append([name, *marked, link_classes.summary(name)])
    _show_table(rows)
    typer.echo("\n* assumed; all numbers and their references: edgesim list links --json", err=True)
    return DONE


def _show_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())
