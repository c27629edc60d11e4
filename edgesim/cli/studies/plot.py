"""`edgesim plot`: one figure of a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

KINDS = (
    "tradeoff",
    "resilience",
    "latency",
    "traffic",
    "budget",
    "energy",
    "memory",
    "timeline",
    "queues",
    "utilisation",
    "topology",
)
FORMATS = ("png", "svg", "pdf")
BY_METRIC = ("tradeoff", "resilience")
"""Figures that take a factor and a metric."""
OF_ONE = ("timeline", "queues", "utilisation")
"""Figures of one strategy."""
WIDTHS_IN = {"column": 3.5, "page": 7.16}
"""Of a column and of both of a paper, as IEEE has them."""


def plot(  # noqa: PLR0917 - typer passes options by name
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Result folder of `edgesim run`.", show_default=False)
    ],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")] = "tradeoff",
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="png, svg or pdf.")] = "png",
    strategy: Annotated[str | None, typer.Option(metavar="LABEL", help="Of timeline, queues and utilisation.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write; its suffix says the format. Default: KIND.FORMAT here.",
        ),
    ] = None,
    x: Annotated[
        str | None, typer.Option("--x", metavar="FACTOR", help="Whose values tradeoff and resilience show.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="METRIC", help="Of tradeoff and resilience, e.g. latency.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="FACTOR=VALUE", help="Another value of a factor than its first; may be given again."),
    ] = None,
    limits: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="Of the metric, e.g. 90 %:100 %, or 0 s:300 ms.")
    ] = None,
    width: Annotated[
        str, typer.Option(metavar="WIDTH", help="Of a column or a page of a paper with two columns.")
    ] = "column",
) -> None:
    """Draw one figure of a result in the house style, one column of a paper wide, or a page.

    \b
    Examples:
      edgesim plot results/wearables --kind resilience --format pdf
      edgesim plot results/wearables --kind resilience --metric latency --limits "0 s:100 ms" --width page
      edgesim plot results/wearables --kind timeline --strategy nonn --output nonn.svg
    """
    hint = "--output" if output else "--format"
    output = output or Path(f"{kind}.{form}")
    form = output.suffix.removeprefix(".")
    if kind not in KINDS:
        raise typer.BadParameter(f"there is no figure {kind!r}; there are {', '.join(KINDS)}", param_hint="--kind")
    if form not in FORMATS:
        raise typer.BadParameter(f"{output} ends in none of .{', .'.join(FORMATS)}", param_hint=hint)
    if strategy is not None and kind not in OF_ONE:
        raise typer.BadParameter(
            f"of one strategy are {', '.join(OF_ONE)}; add --kind {OF_ONE[0]}", param_hint="--strategy"
        )
    if kind not in BY_METRIC and (x or metric or limits):
        raise typer.BadParameter(f"--x, --metric and --limits are for {' and '.join(BY_METRIC)}", param_hint="--kind")
    if width not in WIDTHS_IN:
        raise typer.BadParameter(f"{width!r} is none of {' and '.join(WIDTHS_IN)}", param_hint="--width")
    from edgesim.report.draw.style import figure_of, save
    from edgesim.report.result import Result
    from edgesim.report.where import At

    read = Result(result)
    read.check()
    if where:
        read = At(read, _values(where))
    options = {"factor": x, "metric": metric} if kind in BY_METRIC else {"strategy": strategy} if kind in OF_ONE else {}
    ax = getattr(read, f"plot_{kind}")(**options)
    if limits is not None:
        low, high = _limits(limits, read.metric(metric or read.main_metric).unit)
        if low <= 0 and ax.get_yscale() == "log":
            raise typer.BadParameter("the axis is logarithmic here; LOW must be above 0", param_hint="--limits")
        ax.set_ylim(low, high)
    figure_of(ax).set_figwidth(WIDTHS_IN[width])
    save(figure_of(ax), output, (form,))
    typer.echo(str(output))


def _values(where: list[str]) -> dict[str, str]:
    """Return the values that a user gives of some factors."""
    found = {}
    for text in where:
        name, has_value, value = text.partition("=")
        if not has_value:
            raise typer.BadParameter(
                f"{text!r} is no factor and value; expected e.g. lost_devices=2", param_hint="--where"
            )
        found[name] = value
    return found


def _limits(text: str, unit: str) -> tuple[float, float]:
    """Return both ends of an axis, in the metric's unit."""
    from edgesim.units import parse

    try:
        low, high = (_number(part.strip(), unit, parse) for part in text.split(":"))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no LOW:HIGH: {error}", param_hint="--limits") from None
    if low >= high:
        raise typer.BadParameter(f"{text!r} does not go up", param_hint="--limits")
    return low, high


def _number(text: str, unit: str, parse: Callable[[object, str], float]) -> float:
    try:
        return float(text)
    except ValueError:
        return parse(text, "Hz" if unit == "/s" else unit)
