"""`edgesim report`: the HTML page of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Result folder of `edgesim run`.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="HTML file to write. Default: report.html in the folder; of two results compare.html here.",
        ),
    ] = None,
    other: Annotated[
        Path | None, typer.Argument(metavar="[OTHER]", help="A second result, to compare with.", show_default=False)
    ] = None,
) -> None:
    """Write one self-contained HTML page about a result: tables, figures, timelines, assumptions, how to repeat and cite.

    Of two results it has the differences with their intervals, and figures side by side. `edgesim run` writes the page of one too. It needs no network and no scripts, and can be printed.

    \b
    Examples:
      edgesim report results/wearables
      edgesim report results/wearables --output wearables.html
      edgesim report results/wearables results/quick
    """
    from edgesim.report.html.page import write_page
    from edgesim.report.result import Result

    read = Result(result)
    read.check()
    if other is None:
        typer.echo(str(write_page(read, output)))
        return
    from edgesim.report.html.comparison import write_comparison

    second = Result(other)
    second.check()
    typer.echo(str(write_comparison(read, second, output)))
