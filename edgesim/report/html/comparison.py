"""The page that compares two results, without scripts and without network."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.files.whole import write_text
from edgesim.report.compare import compare, comparison_tables, what_differs
from edgesim.report.draw.style import figure_of
from edgesim.report.draw.svg import inline_svg
from edgesim.report.html.page import facts
from edgesim.report.templates import render
from edgesim.report.texts import words

if TYPE_CHECKING:
    from edgesim.report.result import Result

COMPARISON = "compare.html"


def write_comparison(first: Result, second: Result, path: Path | None = None) -> Path:
    """Write the page that compares two results, by default `COMPARISON` in the working directory, and return where it is."""
    path = path or Path(COMPARISON)
    write_text(path, comparison(first, second))
    return path


def comparison(first: Result, second: Result) -> str:
    """Return the page that compares two results: their differences with intervals, and the same figures side by side."""
    from markupsafe import Markup

    found = compare(first, second)
    there = set(found.dropna(subset="difference")["metric"])
    metrics = [
        name
        for name in (*first.scores, "latency", "latency_p95", "traffic", "energy", "answered", "throughput")
        if name in there
    ]
    css = Markup(files("edgesim.report").joinpath("page.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    results = {"A": first, "B": second}
    shared = [name for name in first.factors if name in second.factors]
    figures = []
    for label, result in results.items():
        figures.append((f"tradeoff-{label}", f"{label}: trade-off", result.plot_tradeoff()))
    for factor in shared:
        for label, result in results.items():
            ax = result.plot_resilience(factor=factor)
            figures.append((f"by-{factor}-{label}", f"{label}: {result.main_metric} by {words(factor)}", ax))
    return render(
        "compare.html.j2",
        css=css,
        results=[
            (label, str(one.folder), one.manifest["question"], facts(one.manifest)) for label, one in results.items()
        ],
        title=" and ".join(dict.fromkeys(one.manifest["name"] for one in results.values())),
        differs=what_differs(first, second),
        tables=comparison_tables(found, first, metrics),
        figures=[
            (name, Markup(inline_svg(figure_of(ax), f"svg-{name}", caption, caption)), caption)  # noqa: S704 - texts in it are escaped
            for name, caption, ax in figures
        ],
        version=first.manifest["versions"]["edgesim"],
    )
