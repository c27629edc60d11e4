"""What a notebook shows of a scenario: a table of what is studied, as HTML that stands alone."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgesim.domain.system.topology import Topology
    from edgesim.scenario.schema import ScenarioSpec

N_MOST = 6
"""Kinds of links, and values of a factor, that are written out."""


def scenario_html(scenario: ScenarioSpec) -> str:
    """Return name, question, and a line each for devices, links, workload, strategies, failures, and what is varied."""
    data = scenario.resolved()
    topology = scenario.built
    profiles = Counter(device.profile.name for device in topology.devices)
    workload, n_points = data["workload"], len(scenario.points())
    factors = [(name, _some([str(value) for value in factor.levels])) for name, factor in scenario.sweep.items()]
    rows = [
        (f"{len(topology.devices)} devices", ", ".join(f"{count} {name}" for name, count in profiles.items())),
        (f"{len(topology.links)} links", _links(topology)),
        ("workload", f"{workload['model']['type']} on {workload['dataset']['type']}, {workload['source']} to {workload['sink']}"),
        ("strategies", ", ".join(_plugins(data["strategies"]))),
        ("failures", ", ".join(_plugins(data["failures"])) or "none"),
        *(("varied", f"{name}: {values}") for name, values in factors),
        ("trials", f"{n_points} factor point{'s' * (n_points != 1)}, {_replications(data)}, seed {scenario.seed}"),
    ]  # fmt: skip
    lines = "".join(f'<tr><th style="text-align: left">{escape(key)}</th><td style="text-align: left">{escape(text)}</td></tr>'
                    for key, text in rows)  # fmt: skip
    question = f": {escape(scenario.question)}" if scenario.question else ""
    return f"<div><p><strong>{escape(scenario.name)}</strong>{question}</p><table><tbody>{lines}</tbody></table></div>"


def _links(topology: Topology) -> str:
    """Return the kinds of links with their numbers, the commonest first."""
    kinds = Counter(
        f"{show(link.bandwidth_bit_per_s, 'bit/s')}, {show(link.latency_s, 's')}"
        + (f", share {link.medium_id}" if link.medium_id else "")
        for link in topology.links
    )
    return _some([f"{count} of {kind}" for kind, count in kinds.most_common()], "; ")


def _some(texts: list[str], between: str = ", ") -> str:
    """Join texts, or the first and the last of many."""
    shown = texts if len(texts) <= N_MOST else [*texts[: N_MOST - 2], "...", texts[-1]]
    return between.join(shown)


def _plugins(entries: Mapping[str, Any]) -> list[str]:
    """Return labels, with the type where it is another word."""
    return [label if entry["type"] == label else f"{label} ({entry['type']})" for label, entry in entries.items()]


def _replications(data: Mapping[str, Any]) -> str:
    rule = data["replications"]
    return f"{rule} replications" if isinstance(rule, int) else f"{rule['min']} to {rule['max']} replications"
