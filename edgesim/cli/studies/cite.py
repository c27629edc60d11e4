"""``edgesim cite``: a result, the tool and the papers behind its strategies as BibTeX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def cite(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Result folder of `edgesim run`.", show_default=False)
    ],
) -> None:
    """Write BibTeX entries of a result: the release of edgesim, the study with its scenario's hash, and what its strategies and failures come from.

    \b
    Examples:
      edgesim cite results/wearables > wearables.bib
    """
    from edgesim.report.citation import bibtex
    from edgesim.study.folder.store import Result

    read = Result(result)
    read.check()
    typer.echo(bibtex(read), nl=False)
