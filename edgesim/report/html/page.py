"""The report: one HTML page with everything a reader of a study wants to know, without scripts and without network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.columns import BUDGET_PARTS
from edgesim.domain.metrics import Metric, metric_named
from edgesim.domain.plan import TRAFFIC_KINDS
from edgesim.files.whole import write_text
from edgesim.report.answer import answer
from edgesim.report.assumed.effects import effects_sentence, effects_table
from edgesim.report.citation import references
from edgesim.report.draw.select import (
    NO_FIT,
    at_first,
    crossed_factors,
    factors_of,
    loss_factor,
    strategies_of,
    unfit_in,
    unfit_rows,
)
from edgesim.report.draw.style import figure_of
from edgesim.report.draw.svg import inline_svg
from edgesim.report.draw.timeline import timeline
from edgesim.report.goals import all_tables
from edgesim.report.html.assumptions import assumptions
from edgesim.report.table import SAME
from edgesim.report.templates import render
from edgesim.report.texts import REPORT, short, words
from edgesim.scenario.catalog.devices import cited
from edgesim.scenario.text.docstrings import plain
from edgesim.study.cases.design import INFEASIBLE
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from edgesim.report.result import Result
    from edgesim.report.table import Table

N_RARE = 20


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    name: str
    svg: str
    caption: str


def write_page(result: Result, path: Path | None = None, *, drawn: Mapping[str, Axes] | None = None) -> Path:
    """Write the report of a result, by default into its folder, and return where it is.

    Parameters
    ----------
    result : what is reported.
    path : of the page.
    drawn : its figures ``tradeoff`` and ``resilience``, where they are drawn already.

    Raises
    ------
    ResultError
        When the result lacks something, because it is of an older version, or the file cannot be written.
    """
    path = path or result.folder / REPORT
    write_text(path, page(result, drawn))
    return path


def page(result: Result, drawn: Mapping[str, Axes] | None = None) -> str:
    """Return the report as the text of an HTML page; `drawn` as of `write_page`."""
    from markupsafe import Markup

    pictures = {"figures": _figures(result, drawn or {}), "timelines": _timelines(result)}
    topology = _picture("topology", result.plot_topology(), "Devices and links", _topology_text(result.manifest))
    safe = {key: [_safe(one, Markup) for one in value] for key, value in pictures.items()}
    return written(texts(result), topology=_safe(topology, Markup), **safe)


def written(values: dict[str, Any], **pictures: Any) -> str:
    """Return the page with these texts and pictures."""
    from markupsafe import Markup

    css = Markup(files("edgesim.report").joinpath("page.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    return render("page.html.j2", css=css, plain=plain, **values, **pictures)


def texts(result: Result) -> dict[str, Any]:
    """Return all that the page says in words and numbers."""
    about = result.manifest
    sources = _sources(about["scenario"])
    shown = all_tables(result)
    named = dict.fromkeys(result.metric(name) for name in result.summary()["metric"].unique())
    return {
        "name": about["name"],
        "question": about["question"],
        "answer": answer(result),
        "facts": facts(about),
        "doubts": result.doubts(),
        "tables": shown,
        "rare": list(dict.fromkeys(result.rare()["what"]))[:N_RARE],
        "has_best": any(table.best for table in shown),
        "replications": _count(about["replications"], "replication"),
        "place": at_first(result.summary(), factors_of(result.summary()))[1],
        "uncalibrated": _uncalibrated(sources),
        "sources": sources,
        "effects": _effects(result),
        "assumptions": assumptions(about["scenario"], is_asked=result.main_metric in result.scores),
        "metrics": [(metric, "share" if metric.unit == "1" else metric.unit) for metric in named],
        "command": about["command"],
        "hash": about["hash"],
        "seed": about["seed"],
        "versions": ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
        "platform": f"{about['platform']['system']}, {about['platform']['processors']} processors",
        "version": about["versions"]["edgesim"],
        "citation": _citation(about),
        "references": references(about["scenario"]),
        "scenario": json.dumps(about["scenario"], indent=1, ensure_ascii=False),
        "deployments": json.dumps(about["deployments"], indent=1, ensure_ascii=False),
    }


def _effects(result: Result) -> tuple[str, Table | None]:
    """Return which assumed numbers matter, in a sentence and a table."""
    rows: list[Any] = result.sensitivity().to_dict(orient="records")
    return effects_sentence(rows), effects_table(rows) if rows else None


def _safe(picture: Picture, markup: Any) -> Picture:
    return Picture(picture.name, markup(picture.svg), picture.caption)


def _picture(name: str, ax: Axes, title: str, description: str, caption: str = "") -> Picture:
    return Picture(
        name, inline_svg(figure_of(ax), f"svg-{name}", title, description), caption or f"{title}. {description}"
    )


def facts(about: dict[str, Any]) -> str:
    """Return in one line how large a study is, what simulated it, and when."""
    strategies = list(about["scenario"]["strategies"])
    trials = f"{_count(about['replications'], 'replication')} of {_count(len(strategies), 'strategy', 'strategies')}"
    by = f", by {', '.join(words(name) for name in about['factors'])}" if about["factors"] else ""
    engines = " and ".join(sorted({entry["engine"] for entry in about["engines"]}))
    checked = ", invariants checked" if about.get("invariants") else ""
    return f"{trials}{by}; {engines} engine{checked}; seed {about['seed']}; edgesim {about['versions']['edgesim']}; {about['finished'][:10]}"


def _count(n: int | str, singular: str, plural: str = "") -> str:
    """Return a number with its noun; a study with a rule has a text of how many replications."""
    return f"{n} {singular if n == 1 else plural or singular + 's'}"


def _figures(result: Result, drawn: Mapping[str, Axes]) -> list[Picture]:
    made = [_tradeoff(result, drawn)]
    first = loss_factor(result)
    for factor in sorted(result.factors, key=lambda name: name != first):
        made += _by_factor(result, factor, drawn)
    for kind, title, shown in (
        ("latency", "Distribution of the latency", "latency"),
        ("energy", "Energy per inference", "energy"),
        ("memory", "Memory of the fullest device", "peak_memory"),
    ):
        said = _means(result.summary(), shown)
        if kind == "energy":
            said += _batteries(result.summary())
        made.append(_picture(kind, getattr(result, f"plot_{kind}")(), title, said))
        if kind == "latency":
            made += _traffic(result)
            made.append(_picture("budget", result.plot_budget(), "Where the latency goes", _largest(result)))
    if "load" in result.manifest["scenario"]["workload"] and len(result.queues()):
        made += [
            _over_time(result, "waiting", result.plot_queues()),
            _over_time(result, "utilisation", result.plot_utilisation()),
        ]
    return made


def _traffic(result: Result) -> list[Picture]:
    """Return the figure of the bytes of a request where its plan depends on the sample, with their spread in words."""
    is_shown = "sample" in result.dataset().schema.names and "load" not in result.manifest["scenario"]["workload"]
    if not is_shown:
        return []
    parts = [f"{kind}_byte" for kind in TRAFFIC_KINDS]
    trials, place = at_first(result.frame(columns=[*result.factors, "strategy", *parts]), result.factors)
    n_byte = trials[parts].sum(axis=1)
    said = []
    for strategy, own in trials.assign(n_byte=n_byte).groupby("strategy", sort=False)["n_byte"]:
        least, median, upper, most = (show(float(own.quantile(share)), "byte") for share in (0, 0.5, 0.95, 1))
        said.append(
            f"{strategy} {least} to {most}, median {median}, mean {show(float(own.mean()), 'byte')}, 95th percentile {upper}"
        )
    text = f"Bytes of a request{f' at {place}' if place else ''}: {'; '.join(said)}."
    return [_picture("traffic", result.plot_traffic(), "Distribution of the traffic", text)]


def _over_time(result: Result, column: str, ax: Axes) -> Picture:
    """Return the figure of what waits, or how busy something is, over time; and the resources with most of it in words."""
    rows = result.queues()
    place = at_first(result.summary(), result.factors)[1]
    said = []
    for strategy in strategies_of(rows):
        means = rows[rows["strategy"] == strategy].groupby("resource", sort=False)[column].agg(["mean", "max"])
        name, mean, most = max(means.itertuples(), key=lambda row: row[1])
        said.append(f"{strategy} {name} {mean:.3g} in the mean, at most {most:.3g}")
    title = "What waits over time" if column == "waiting" else "Utilisation over time"
    where = f" at {place}" if place else ""
    text = f"Of every strategy the resource with most of it, in the first trial{where}: {'; '.join(said)}."
    return _picture({"waiting": "queues"}.get(column, column), ax, title, text)


def _largest(result: Result) -> str:
    """Say which part of the latency of each strategy is largest."""
    rows, place = at_first(result.budget(), result.factors)
    unfit = unfit_in(at_first(result.summary(), result.factors)[0])
    said = []
    for strategy in strategies_of(rows):
        here = rows[rows["strategy"] == strategy].set_index("part")["share"]
        missing = NO_FIT if strategy in unfit else "no answer"
        largest = missing if here.isna().any() else f"{BUDGET_PARTS[str(here.idxmax())]} {100 * here.max():.0f} %"
        said.append(f"{strategy} {largest}")
    return f"The largest part{f' at {place}' if place else ''}: {', '.join(said)}."


def _tradeoff(result: Result, drawn: Mapping[str, Axes]) -> Picture:
    metric = result.metric(result.main_metric)
    best = at_first(result.intact(), result.factors)[0]
    best = best[best["outcome"] != INFEASIBLE]
    points = "; ".join(
        f"{row['strategy']}: {show(row['traffic'], 'byte')}, {metric.name} {_value(row[metric.name], metric)}"
        for row in best.to_dict(orient="records")
    )
    title = f"{_title(metric)} against traffic"
    return _picture("tradeoff", drawn.get("tradeoff") or result.plot_tradeoff(), title, f"With nothing lost, {points}.")


def _by_factor(result: Result, factor: str, drawn: Mapping[str, Axes]) -> list[Picture]:
    """Return the figures of what a factor changes: scores, latency, who answers, throughput; without what never varies."""
    summary, made = result.summary(), []
    place = at_first(summary, crossed_factors(summary, factor))[0]
    for name in (*result.scores, "latency", "answered", "throughput"):
        metric, is_main = result.metric(name), name == result.main_metric and name in result.scores
        rows = place[place["metric"] == name]
        varies = rows.groupby("strategy")["mean"].agg(lambda means: means.max() > means.min() * (1 + SAME)).any()
        if len(rows) and (varies or (is_main and factor == loss_factor(result))):
            key = "resilience" if is_main and factor == loss_factor(result) else f"{name}-by-{factor}"
            figure = drawn.get(key) or result.plot_resilience(metric=name, factor=factor)
            made.append(_picture(key, figure, f"{_title(metric)} by {words(factor)}", _ends(summary, factor, metric)))
    return made


def _title(metric: Metric) -> str:
    """Return the name of a metric as a heading begins."""
    return metric.title[:1].upper() + metric.title[1:]


def _value(value: float, metric: Metric) -> str:
    if value != value:  # noqa: PLR0124 - NaN
        return "no answer"
    if metric.is_share:
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if metric.unit == "1" else show(value, metric.unit)


def _ends(summary: Any, factor: str, metric: Metric) -> str:
    """Say where each strategy begins and ends."""
    summary = at_first(summary, crossed_factors(summary, factor))[0]
    rows = summary[summary["metric"] == metric.name]
    unfit, parts = unfit_rows(summary), []
    for strategy in strategies_of(rows):
        too_large = unfit.loc[unfit["strategy"] == strategy, factor]
        here = rows[(rows["strategy"] == strategy) & ~rows[factor].isin(too_large)]
        if not len(here):
            parts.append(f"{strategy} {NO_FIT}")
            continue
        first, last = here.iloc[0], here.iloc[-1]
        parts.append(f"{strategy} from {_value(first['mean'], metric)} to {_value(last['mean'], metric)}")
    first, last = rows[factor].iloc[0], rows[factor].iloc[-1]
    return f"From {words(factor)} {short(first)} to {short(last)}: {'; '.join(parts)}."


def _means(summary: Any, metric: str) -> str:
    summary, place = at_first(summary, factors_of(summary))
    unfit = unfit_in(summary)
    parts = [
        f"{row['strategy']} {NO_FIT if row['strategy'] in unfit else _value(row['mean'], metric_named(metric))}"
        for row in summary[summary["metric"] == metric].to_dict(orient="records")
    ]
    return f"Means{f' at {place}' if place else ''}: {', '.join(parts)}."


def _batteries(summary: Any) -> str:
    """Say which batteries were empty, and when; nothing where no device has one."""
    rows = summary[summary["metric"].str.startswith("lifetime of ")]
    if rows.empty:
        return ""
    rows, place = at_first(rows, factors_of(summary))
    parts = [
        f"{row['metric'].removeprefix('lifetime of ')} with {row['strategy']} after {show(row['mean'], 's')} in {_count(int(row['n']), 'trial')}"
        for row in rows[rows["n"] > 0].to_dict(orient="records")
    ]
    return f" Batteries that were empty{f' at {place}' if place else ''}: {', '.join(parts) or 'none'}."


def _timelines(result: Result) -> list[Picture]:
    made = []
    for number, one in enumerate(result.timelines(), start=1):
        if not one.bars:
            continue
        end_s = max(start + length for _, _, start, length, _ in one.bars)
        resources = len({bar[0] for bar in one.bars})
        stays, places = (
            _count(len(one.bars), "computation or message", "computations and messages"),
            "devices and channels",
        )
        text = f"{stays} on {_count(resources, 'device', places)} in {show(end_s, 's')}."
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
    profiles = scenario["profiles"].items()
    return [(name, numbers, text) for name, profile in profiles for numbers, text in cited(str(profile["source"]))]


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
