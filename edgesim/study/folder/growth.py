"""A study that has grown: what an earlier one with fewer replications, factor values or strategies has simulated is kept.

The parts and the manifest of the earlier study stand in the folder `EARLIER` of the result folder until the grown one is finished, so
that a growth that is killed goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.errors import EdgesimError
from edgesim.files.whole import write_text
from edgesim.study.cases.design import show_point
from edgesim.study.folder.manifest_file import MANIFEST
from edgesim.study.folder.names import ENUMERATED, TRIALS

if TYPE_CHECKING:
    from edgesim.scenario.scenario import Scenario

EARLIER = "earlier"
"""Folder of the earlier study in the result folder."""
_GROWING = ("replications", "question", "goals", "search", "strategies", "sweep")
"""Keys of a scenario in which a grown study may differ."""


def is_growth(before: Mapping[str, Any], scenario: Scenario) -> bool:
    """Return whether a scenario is another one with more replications, factor values or strategies, or another question or goals.

    At every factor point of the other one everything else has to be the same.

    Parameters
    ----------
    before : the other scenario, resolved, in plain data.
    scenario : the scenario.
    """
    now = scenario.resolved()
    if not _has_more(before, now):
        return False
    try:
        old = type(scenario).from_data(dict(before))
        most_before = old.rule if isinstance(old.rule, int) else old.rule.ceiling
        most_now = scenario.rule if isinstance(scenario.rule, int) else scenario.rule.ceiling
        known = {show_point(point) for point in scenario.points()}
        return most_before <= most_now and all(
            show_point(point) in known and _has_more(old.at(point).resolved(), scenario.at(point).resolved())
            for point in old.points()
        )
    except EdgesimError:
        return False


def _has_more(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether one scenario is another one with more strategies, but for its sweep and replications."""
    fixed = ({key: value for key, value in one.items() if key not in _GROWING} for one in (before, now))
    strategies = now["strategies"]
    return (
        next(fixed) == next(fixed)
        and list(before["sweep"]) == list(now["sweep"])
        and all(strategies.get(label) == options for label, options in before["strategies"].items())
    )


def put_earlier(folder: Path, about: Mapping[str, Any]) -> None:
    """Move a study's parts to where a grown one finds them; one that is killed on the way is moved by the next.

    Parameters
    ----------
    folder : the result folder.
    about : the manifest that stands in it.
    """
    earlier = folder / EARLIER
    if (earlier / MANIFEST).is_file() and json.loads((earlier / MANIFEST).read_bytes())["hash"] != about["hash"]:
        shutil.rmtree(earlier)
    earlier.mkdir(exist_ok=True)
    if not (earlier / MANIFEST).is_file():
        write_text(earlier / MANIFEST, (folder / MANIFEST).read_text(encoding="utf-8"))
    for kind in (TRIALS, ENUMERATED):
        if (folder / kind).is_dir():
            if (earlier / kind).is_dir():
                shutil.rmtree(earlier / kind)
            (folder / kind).rename(earlier / kind)


def remove_earlier(folder: Path) -> None:
    """Remove what the finished study does not need any more."""
    if (folder / EARLIER).is_dir():
        shutil.rmtree(folder / EARLIER)
