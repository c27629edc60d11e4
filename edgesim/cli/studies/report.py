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
        typer.Option("-o", "--output", metavar="FILE", help="HTML file to write. Default: report.html in the folder."),
    ] = None,
) -> None:
    """Write one self-contained HTML page about a result: tables, figures, timelines, assumptions, how to repeat and cite.

    `edgesim run` writes it too. It needs no network and no scripts, and can be printed.

    \b
    Examples:
      edgesim report results/wearables
      edgesim report results/wearables --output wearables.html
    """
    from edgesim.report.html.page import write_page
    from edgesim.report.result import Result

    read = Result(result)
    read.check()
    typer.echo(str(write_page(read, output)))
