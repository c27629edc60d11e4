"""Draws a topology: devices by profile and role, links by rate, names where they fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from edgesim.report.draw.labels import Label, place_labels
from edgesim.report.draw.layout import layout
from edgesim.report.draw.style import COLOURS, MARKERS, TEXT, house_style, new_axes
from edgesim.units import show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from edgesim.domain.system.topology import Link, Topology

N_MOST_RATE_LABELS = 16
"""Links up to this number carry their rates; beyond, or when all are equal, the legend has them."""
_WIDTHS = (2.4, 1.6, 1.0, 0.6)


def topology(data: Topology, ax: Axes | None = None, *, roles: Mapping[str, Sequence[str]] | None = None) -> Axes:
    """Draw devices and links.

    A colour and a marker stand for a device profile, an empty square for a switch, the width of a line for the rate of a link, dashes for a shared medium.
    Devices with a position stand there, others where the distances in the graph put them. Names that find no free place are
    left out, those of devices with roles last; the caption says how many.

    Parameters
    ----------
    data : devices and links.
    ax : where to draw; by default a figure of its own, the larger the more devices there are.
    roles : what devices are for, by id; written below their names.
    """
    roles = roles or {}
    n_devices = len(data.devices)
    with house_style():
        ax = new_axes(*size_in(n_devices)) if ax is None else ax
        places = layout(data)
        handles = _draw_links(ax, data, places)
        handles = [*_draw_devices(ax, data, places, n_devices), *handles]
        ax.set_axis_off()
        ax.margins(0.1)
        ax.set_aspect("equal", adjustable="datalim")
        legend = ax.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, alignment="left", handlelength=1.8,
        )  # fmt: skip
        labels = [
            *_names(data, places, roles, only_roles=True),
            *_rates(data, places),
            *_names(data, places, roles, only_roles=False),
        ]
        radius_pt = _marker_pt(n_devices) / 2 + 0.5
        lines = [(places[src], places[dst]) for src, dst in _pairs(data)]
        caption = f"{n_devices} devices, {len(data.links)} links"
        title = ax.set_title(caption, loc="left")
        placed = place_labels(
            ax, labels, avoid=list(places.values()), radius_pt=radius_pt, lines=lines, others=[legend, title]
        )
        n_left_out = sum(note is None for note in placed)
        if n_left_out:
            title.set_text(f"{caption}; {n_left_out} of {len(labels)} labels left out")
    return ax


def size_in(n_devices: int) -> tuple[float, float]:
    """Return width and height of a figure in which so many devices are readable, in inches."""
    side = float(np.clip(1.2 * np.sqrt(n_devices), 3.5, 14.0))
    return side, side * 0.9


def _marker_pt(n_devices: int) -> float:
    return 10.0 if n_devices <= 30 else 7.0 if n_devices <= 80 else 5.0


def _draw_devices(ax: Axes, data: Topology, places: Mapping[str, tuple[float, float]], n_devices: int) -> list[Line2D]:
    counts = Counter(device.profile.name for device in data.devices)
    handles = []
    for position, (profile, count) in enumerate(counts.items()):
        here = [places[device.device_id] for device in data.devices if device.profile.name == profile]
        (line,) = ax.plot(
            *zip(*here, strict=True), linestyle="none", color=COLOURS[position % len(COLOURS)],
            marker=MARKERS[position % len(MARKERS)], markersize=_marker_pt(n_devices), markeredgecolor="white",
            markeredgewidth=0.6, zorder=3, label=f"{profile} ({count})",
        )  # fmt: skip
        handles.append(line)
    if data.switches:
        (line,) = ax.plot(
            *zip(*(places[name] for name in data.switch_of), strict=True), linestyle="none", marker="s",
            markersize=0.8 * _marker_pt(n_devices), markerfacecolor="white", markeredgecolor="0.3", markeredgewidth=1.2, zorder=3,
            label=f"switch ({len(data.switches)})",
        )  # fmt: skip
        handles.append(line)
    return handles


Pairs = dict[tuple[str, str], list["Link"]]


def _pairs(data: Topology) -> Pairs:
    """Return the links by pair of devices, whichever way they lead."""
    pairs: Pairs = {}
    for link in data.links:
        pairs.setdefault((min(link.src_id, link.dst_id), max(link.src_id, link.dst_id)), []).append(link)
    return pairs


def _rate(links: Sequence[Link]) -> str:
    """Return the rate of a pair: one where both directions are equal, else both in order of the ids of their sources."""
    rates = [show(link.bandwidth_bit_per_s, "bit/s") for link in sorted(links, key=lambda link: link.src_id)]
    if len(rates) == 1:
        return f"{rates[0]} one way"
    return rates[0] if len(set(rates)) == 1 else " / ".join(rates)


def _draw_links(ax: Axes, data: Topology, places: Mapping[str, tuple[float, float]]) -> list[Line2D]:
    from matplotlib.collections import LineCollection

    pairs = _pairs(data)
    fastest = {pair: max(link.bandwidth_bit_per_s for link in links) for pair, links in pairs.items()}
    kinds: dict[tuple[str, str | None], list[tuple[str, str]]] = {}
    for pair, links in pairs.items():
        kinds.setdefault((_rate(links), links[0].medium_id), []).append(pair)
    ranks = sorted(set(fastest.values()), reverse=True)
    handles = []
    for (rate, medium), members in sorted(kinds.items(), key=lambda item: -fastest[item[1][0]]):
        rank = ranks.index(fastest[members[0]])
        width = _WIDTHS[min(rank * len(_WIDTHS) // max(len(ranks), 1), len(_WIDTHS) - 1)] if len(ranks) > 1 else 1.2
        style: Any = "solid" if medium is None else (0, (4, 1.5))
        faint = 1.0 if len(pairs) <= 200 else 0.45
        lines = [(places[src], places[dst]) for src, dst in members]
        ax.add_collection(
            LineCollection(lines, colors="#8A8A8A", linewidths=width * faint, linestyles=[style], zorder=1)
        )
        name = rate if medium is None else f"{rate}, all share {medium}"
        handles.append(Line2D([], [], color="#8A8A8A", linewidth=width, linestyle=style, label=name))
    if len(handles) > 8:
        more = Line2D([], [], linestyle="none", label=f"and {len(handles) - 7} more rates")
        handles = [*handles[:7], more]
    return handles


def _names(
    data: Topology, places: Mapping[str, tuple[float, float]], roles: Mapping[str, Sequence[str]], *, only_roles: bool
) -> list[Label]:
    return [
        Label(
            "\n".join([name, *_wrapped(roles.get(name, ()))]),
            *places[name],
            TEXT,
            is_bold=only_roles,
            narrow="\n".join([name, *roles[name]]) if only_roles else "",
        )
        for name in (*data.device_of, *data.switch_of)
        if bool(roles.get(name)) is only_roles
    ]


def _wrapped(roles: Sequence[str]) -> list[str]:
    return [", ".join(roles[start : start + 2]) for start in range(0, len(roles), 2)]


def _rates(data: Topology, places: Mapping[str, tuple[float, float]]) -> list[Label]:
    """Label the links with their rates where they differ and are few."""
    pairs = _pairs(data)
    rates = {pair: _rate(links) for pair, links in pairs.items()}
    if len(set(rates.values())) < 2 or len(pairs) > N_MOST_RATE_LABELS:
        return []
    middles: dict[tuple[str, str], NDArray[np.float64]] = {
        (src, dst): (np.array(places[src]) + np.array(places[dst])) / 2 for src, dst in pairs
    }
    return [Label(rates[pair], float(x), float(y), "#555555", is_centred=True) for pair, (x, y) in middles.items()]


def roles_of(source_id: str, sink_id: str, strategies: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what devices are for: source, sink, and what strategies call them in their options, e.g. owner or merger."""
    roles: dict[str, list[str]] = {}
    for name, role in ((source_id, "source"), (sink_id, "sink")):
        roles.setdefault(name, []).append(role)
    for strategy in strategies.values():
        named = {field.name: getattr(strategy, field.name) for field in fields(strategy)}
        for option in ("owner", "merger"):
            device_id = named.get(option)
            if isinstance(device_id, str) and option not in roles.setdefault(device_id, []):
                roles[device_id].append(option)
    return roles
