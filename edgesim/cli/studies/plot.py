"""`edgesim plot`: one figure of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

KINDS = ("tradeoff", "resilience", "latency", "budget", "energy", "memory", "timeline", "topology")
FORMATS = ("png", "svg", "pdf")


def plot(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Result folder of `edgesim run`.", show_default=False)
    ],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")] = "tradeoff",
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="png, svg or pdf.")] = "png",
    strategy: Annotated[str | None, typer.Option(metavar="LABEL", help="Of the timeline.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write; its suffix says the format. Default: KIND.FORMAT here.",
        ),
    ] = None,
) -> None:
    """Draw one figure of a result in the house style, one column of a paper wide.

    \b
    Examples:
      edgesim plot results/wearables --kind resilience --format pdf
      edgesim plot results/wearables --kind timeline --strategy nonn --output nonn.svg
    """
    hint = "--output" if output else "--format"
    output = output or Path(f"{kind}.{form}")
    form = output.suffix.removeprefix(".")
    if kind not in KINDS:
        raise typer.BadParameter(f"there is no figure {kind!r}; there are {', '.join(KINDS)}", param_hint="--kind")
    if form not in FORMATS:
        raise typer.BadParameter(f"{output} ends in none of .{', .'.join(FORMATS)}", param_hint=hint)
    if strategy is not None and kind != "timeline":
        raise typer.BadParameter("only the timeline is of one strategy; add --kind timeline", param_hint="--strategy")
    from edgesim.report.draw.style import figure_of, save
    from edgesim.report.result import Result

    read = Result(result)
    read.check()
    ax = read.plot_timeline(strategy=strategy) if kind == "timeline" else getattr(read, f"plot_{kind}")()
    save(figure_of(ax), output, (form,))
    typer.echo(str(output))
