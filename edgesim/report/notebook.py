"""What a notebook shows of a result: its tables as HTML that stands alone, on light and dark ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.report.table import tables
from edgesim.report.templates import render

if TYPE_CHECKING:
    from edgesim.study.folder.store import Result


def result_html(result: Result) -> str:
    """Return name, question, tables and folder of a result; of a study that is not finished, how it goes on."""
    about = result.manifest
    return render(
        "notebook.html.j2",
        name=about["name"],
        question=about["question"],
        tables=tables(result) if result.is_complete else [],
        folder=str(result.folder),
        command="" if result.is_complete else about["command"],
        is_complete=result.is_complete,
    )
