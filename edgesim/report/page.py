"""The report: one HTML page with everything a reader of a study wants to know, without scripts and without network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.metrics import METRICS
from edgesim.errors import ResultError, UnknownNameError
from edgesim.registry import REGISTRIES
from edgesim.report.select import at_first, factors_of, loss_factor, strategies_of
from edgesim.report.style import figure_of, words
from edgesim.report.svg import inline_svg
from edgesim.report.table import tables
from edgesim.report.templates import render
from edgesim.report.timeline import timeline
from edgesim.scenario.docstrings import plain, read_docstring
from edgesim.units import show

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from edgesim.report.result import Result

REPORT = "report.html"
ASSUMPTIONS = (
    "Computing time is the larger of work / rate and bytes / memory bandwidth, plus a fixed time per layer; nothing else runs on a device.",
    "A link is busy for its overhead per message and for size / bandwidth; its latency comes on top. Links of one medium take turns.",
    "Nobody is told that a message is lost: a receiver waits until its deadline.",
    "Accuracy is that of the real networks on the test split, given exactly what arrived. A request without an answer counts as answered wrongly.",
    "All strategies meet the same failures in the same replication. Intervals cover these draws, not the choice of the data or of the training seed.",
)


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    name: str
    svg: str
    caption: str


def write_page(result: Result, path: Path | None = None) -> Path:
    """Write the report of a result, by default into its folder, and return where it is.

    Raises
    ------
    ResultError
        When the result lacks something, because it is of an older version, or the file cannot be written.
    """
    path = path or result.folder / REPORT
    try:
        path.write_text(page(result), encoding="utf-8")
    except OSError as error:
        raise ResultError(f"the report cannot be written to {path}: {error.strerror or error}") from error
    return path


def page(result: Result) -> str:
    """Return the report as the text of an HTML page."""
    from markupsafe import Markup

    about = result.manifest
    pictures = {
        "figures": _figures(result),
        "timelines": _timelines(result),
    }
    safe = {key: [_safe(one, Markup) for one in value] for key, value in pictures.items()}
    sources = _sources(about["scenario"])
    topology = _picture("topology", result.plot_topology(), "Devices and links", _topology_text(about))
    return render(
        "page.html.j2",
        **safe,
        topology=_safe(topology, Markup),
        css=Markup(files("edgesim.report").joinpath("page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        name=about["name"],
        question=about["question"],
        facts=_facts(about),
        tables=tables(result),
        replications=about["replications"],
        place=at_first(result.summary(), factors_of(result.summary()))[1],
        uncalibrated=_uncalibrated(sources),
        sources=sources,
        assumptions=ASSUMPTIONS,
        metrics=tuple(METRICS.values()),
        command=about["command"],
        hash=about["hash"],
        seed=about["seed"],
        versions=", ".join(f"{name} {version}" for name, version in about["versions"].items()),
        platform=f"{about['platform']['system']}, {about['platform']['processors']} processors",
        version=about["versions"]["edgesim"],
        citation=_citation(about),
        references=_references(about["scenario"]),
        scenario=json.dumps(about["scenario"], indent=1, ensure_ascii=False),
        deployments=json.dumps(about["deployments"], indent=1, ensure_ascii=False),
    )


def _safe(picture: Picture, markup: Any) -> Picture:
    return Picture(picture.name, markup(picture.svg), picture.caption)


def _picture(name: str, ax: Axes, title: str, description: str, caption: str = "") -> Picture:
    return Picture(
        name, inline_svg(figure_of(ax), f"svg-{name}", title, description), caption or f"{title}. {description}"
    )


def _facts(about: dict[str, Any]) -> str:
    strategies = list(about["scenario"]["strategies"])
    trials = f"{about['replications']} replications of {len(strategies)} strategies"
    by = f", by {', '.join(words(name) for name in about['factors'])}" if about["factors"] else ""
    return f"{trials}{by}; seed {about['seed']}; edgesim {about['versions']['edgesim']}; {about['finished'][:10]}"


def _figures(result: Result) -> list[Picture]:
    summary, whole = result.summary(), result.intact()
    factor = loss_factor(result)
    best = at_first(whole, factors_of(summary))[0]
    points = "; ".join(
        f"{row['strategy']}: {show(row['traffic'], 'byte')}, accuracy {100 * row['accuracy']:.1f} %"
        for row in best.to_dict(orient="records")
    )
    made = [_picture("tradeoff", result.plot_tradeoff(), "Accuracy against traffic", f"With nothing lost, {points}.")]
    if factor is not None:
        text = _ends(summary, factor, "accuracy")
        made.append(_picture("resilience", result.plot_resilience(), f"Accuracy by {words(factor)}", text))
        if (summary.loc[summary["metric"] == "answered", "mean"] < 1).any():
            text = _ends(summary, factor, "answered")
            title = f"Share of requests with an answer by {words(factor)}"
            made.append(_picture("answered", result.plot_resilience(metric="answered"), title, text))
    for kind, ax, title, shown in (
        ("latency", result.plot_latency(), "Distribution of the latency", "latency"),
        ("energy", result.plot_energy(), "Energy per inference", "energy"),
        ("memory", result.plot_memory(), "Memory of the fullest device", "peak_memory"),
    ):
        made.append(_picture(kind, ax, title, _means(summary, shown)))
    return made


def _value(value: float, metric: str) -> str:
    if value != value:  # noqa: PLR0124 - NaN
        return "no answer"
    unit = METRICS[metric].unit
    return f"{100 * value:.1f} %" if unit == "1" else show(value, unit)


def _ends(summary: Any, factor: str, metric: str) -> str:
    """Say where each strategy begins and ends."""
    rows = at_first(summary[summary["metric"] == metric], [name for name in factors_of(summary) if name != factor])[0]
    parts = []
    for strategy in strategies_of(rows):
        here = rows[rows["strategy"] == strategy]
        first, last = here.iloc[0], here.iloc[-1]
        parts.append(f"{strategy} from {_value(first['mean'], metric)} to {_value(last['mean'], metric)}")
    first, last = rows[factor].iloc[0], rows[factor].iloc[-1]
    return f"From {words(factor)} {first} to {last}: {'; '.join(parts)}."


def _means(summary: Any, metric: str) -> str:
    rows, place = at_first(summary[summary["metric"] == metric], factors_of(summary))
    parts = [f"{row['strategy']} {_value(row['mean'], metric)}" for row in rows.to_dict(orient="records")]
    return f"Means{f' at {place}' if place else ''}: {', '.join(parts)}."


def _timelines(result: Result) -> list[Picture]:
    made = []
    for number, one in enumerate(result.timelines(), start=1):
        if not one.bars:
            continue
        end_s = max(start + length for _, _, start, length, _ in one.bars)
        resources = len({bar[0] for bar in one.bars})
        text = f"{len(one.bars)} computations and messages on {resources} devices and channels in {show(end_s, 's')}."
        title = f"Timeline of a request with {one.strategy}"
        made.append(_picture(f"timeline-{number}", timeline(one), title, text, f"{one.strategy}: {text}"))
    return made


def _topology_text(about: dict[str, Any]) -> str:
    workload = about["scenario"]["workload"]
    return (
        f"Requests start at {workload['source']} and are answered at {workload['sink']}. Devices by profile, links by rate; "
        "dashed links share a medium."
    )


def _sources(scenario: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return profile, numbers and their source, a line for each source."""
    found = []
    for name, profile in scenario["profiles"].items():
        source = str(profile["source"])
        parts = [part.split(": ", 1) for part in source.split("; ")]
        if all(len(part) == 2 for part in parts):
            found += [(name, numbers, text) for numbers, text in parts]
        else:
            found.append((name, "all", source))
    return found


def _uncalibrated(sources: list[tuple[str, str, str]]) -> str:
    assumed = [f"{name} ({numbers})" for name, numbers, source in sources if "assumed" in source]
    if not assumed:
        return "Every number of the device profiles has a reference; links are as the scenario says."
    return (
        f"Assumed and calibrated by nobody: {'; '.join(assumed)}. Latency and energy are as good as these numbers; compare "
        "strategies rather than trust absolute values. Links are as the scenario says."
    )


def _citation(about: dict[str, Any]) -> str:
    return (
        f"edgesim {about['versions']['edgesim']}: discrete-event simulation of distributed neural networks on edge devices. "
        f"Study {about['name']!r}, seed {about['seed']}, {about['replications']} replications, scenario {about['hash'][:16]}."
    )


def _references(scenario: dict[str, Any]) -> list[tuple[str, str]]:
    """Return where strategies and failure models come from, by label, those that are installed here."""
    found = []
    for seam in ("strategies", "failures"):
        for label, options in scenario[seam].items():
            try:
                docstring = REGISTRIES[seam].get(options["type"]).__doc__
            except UnknownNameError:
                continue
            text = read_docstring(docstring).sections.get("References")
            if text:
                found.append((label, plain(" ".join(text.split()))))
    return found
