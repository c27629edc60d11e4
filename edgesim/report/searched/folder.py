"""A search whose trials are kept in a folder, with what was found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgesim.errors import ResultError
from edgesim.files.whole import write_text
from edgesim.report.draw.style import figure_of, save
from edgesim.report.searched.figure import pareto
from edgesim.report.searched.table import document
from edgesim.study.folder.lock import LOCK, locked
from edgesim.study.folder.manifest_file import json_text
from edgesim.study.search.search import CANDIDATES, search

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgesim.interfaces import Progress
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.search.search import Searched

FOUND = "search.json"
_OURS = {FOUND, CANDIDATES, LOCK, "pareto.png", "pareto.svg"}


def searched_into(folder: Path, scenario: Scenario, point: Mapping[str, Any], progress: Progress) -> Searched:
    """Search, and write what was found into a folder; trials that are there are not simulated again.

    Trials are found by all that determines them, so that a search with more choices or other goals goes on in the same folder.

    Raises
    ------
    ResultError
        When the folder holds something else, the search of a scenario of another name included, or cannot be written.
    """
    _check(folder, scenario)
    with locked(folder):
        started = {"format": 1, "name": scenario.name, "status": "unfinished"}
        write_text(folder / FOUND, json_text(started))
        found = search(scenario, point, folder, progress)
        save(figure_of(pareto(found)), folder / "pareto.png")
        about = {
            **started,
            "status": "complete",
            "point": dict(point),
            **document(found),
            "scenario": scenario.resolved(),
        }
        write_text(folder / FOUND, json_text(about))
    return found


def _check(folder: Path, scenario: Scenario) -> None:
    """Refuse a folder that is not this search's."""
    if not folder.exists():
        return
    strange = [] if not folder.is_dir() else sorted({path.name for path in folder.iterdir()} - _OURS)
    if not folder.is_dir() or strange:
        raise ResultError(
            f"{folder} holds what no search wrote ({', '.join(strange[:3])}); choose another with --output"
        )
    if (folder / FOUND).is_file():
        try:
            name = json.loads((folder / FOUND).read_bytes()).get("name")
        except ValueError:
            name = scenario.name  # damaged; it is written anew, and trials are checked one by one
        if name != scenario.name:
            raise ResultError(f"{folder} holds the search of {name!r}; choose another folder with --output")
