"""The folder that a study is written to: what it must hold, or not hold, so that the study begins or goes on in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.errors import ResultError
from edgesim.files.whole import TEMPORARY
from edgesim.study.cases.design import show_value
from edgesim.study.folder.contents import changed
from edgesim.study.folder.growth import EARLIER, is_growth
from edgesim.study.folder.lock import LOCK
from edgesim.study.folder.manifest_file import (
    EMPTIED,
    MANIFEST,
    DamagedManifestError,
    digest_of,
    read_manifest,
    write_manifest,
)
from edgesim.study.folder.names import ENUMERATED, TRIALS

if TYPE_CHECKING:
    from edgesim.scenario.scenario import Scenario

_ELSEWHERE = "choose another folder with --output"


def check_target(
    folder: Path, made_by: Mapping[str, Any], scenario: Scenario, *, is_fresh: bool = False, is_locked: bool = False
) -> str:
    """Refuse a folder that holds something else than this study, or that cannot be written, before any work is done.

    Parameters
    ----------
    folder : the result folder.
    made_by : what determines the results; see `edgesim.study.work.manifest.identity`.
    scenario : what is studied.
    is_fresh : whether a study that is there is to begin again.
    is_locked : whether the lock's file is there.

    Returns
    -------
    state
        ``"new"``, ``"emptied"``, ``"unfinished"``, ``"complete"``, ``"smaller"`` when it holds a study that this one has grown from, or
        ``"damaged"`` when the manifest is.

    Raises
    ------
    ResultError
        It says what differs, and how to write elsewhere.
    """
    state = _state(folder, made_by, scenario, is_fresh=is_fresh, is_locked=is_locked)
    parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if state != "complete" and not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise ResultError(f"{parent} cannot be written; {_ELSEWHERE}")
    return state


def is_done(folder: Path, state: str) -> bool:
    """Return whether a folder in this state of `check_target` holds the finished study as it was written."""
    return state == "complete" and not changed(folder)


def _state(folder: Path, made_by: Mapping[str, Any], scenario: Scenario, *, is_fresh: bool, is_locked: bool) -> str:
    """Return the state of a folder that holds nothing, this study, or a smaller one."""
    if folder.exists() and not folder.is_dir():
        raise ResultError(f"{folder} is a file; {_ELSEWHERE}")
    ours = {LOCK} if is_locked or not folder.is_dir() or (folder / LOCK).exists() else set()
    if not folder.is_dir() or not {path.name for path in folder.iterdir()} - ours - {f"{TEMPORARY}{MANIFEST}"}:
        return "new"
    if not (folder / MANIFEST).is_file():
        raise ResultError(f"{folder} holds files that are not a result of edgesim; {_ELSEWHERE}")
    try:
        other = read_manifest(folder)
    except DamagedManifestError as error:
        from edgesim.study.folder.parts import studies_in

        if studies_in(folder) != {digest_of(made_by)}:
            raise ResultError(
                f"{error}; no part in it is known to be of this scenario: remove it or {_ELSEWHERE}"
            ) from error
        return "new" if is_fresh else "damaged"
    return _state_by(folder, other, made_by, scenario, is_fresh=is_fresh)


def _state_by(
    folder: Path, other: Mapping[str, Any], made_by: Mapping[str, Any], scenario: Scenario, *, is_fresh: bool
) -> str:
    """Return the state of a folder by the manifest that stands in it."""
    is_same = other["hash"] == made_by["hash"]
    if not is_same and (is_fresh or not is_growth(other["scenario"], scenario)):
        differing = differences(other["scenario"], made_by["scenario"])
        raise ResultError(f"{folder} holds the results of another scenario ({differing}); remove it or {_ELSEWHERE}")
    if is_fresh:
        return "new"
    if not is_same and other["status"] == "unfinished" and (folder / EARLIER).is_dir():
        raise ResultError(f"{folder} holds a study that is growing already; go on with: {other['command']}")
    keys = ("format", "versions", "plugin_files", "invariants")
    before, now = ({key: about[key] for key in keys if key in about} for about in (other, made_by))
    if before != now:
        raise ResultError(
            f"{folder} holds the results of the same scenario, made with something else ({differences(before, now)}); "
            f"begin again with --fresh, or {_ELSEWHERE}"
        )
    return str(other["status"]) if is_same or other["status"] == EMPTIED else "smaller"


def clear(folder: Path, about: Mapping[str, Any]) -> None:
    """Remove the results in a folder, so that a study begins again; one that is killed on the way is cleared by the next.

    Parameters
    ----------
    folder : the result folder; what was set aside in it stays.
    about : what determines the results, and the command.
    """
    write_manifest(folder, {**about, "status": EMPTIED})
    for path in folder.iterdir():
        if path.is_dir() and path.name in {TRIALS, ENUMERATED, EARLIER}:
            shutil.rmtree(path)
        elif path.is_file() and path.name not in {LOCK, MANIFEST}:
            path.unlink()


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], n_most: int = 3, names: tuple[str, str] = ("there", "here")
) -> str:
    """Return in one line where two scenarios differ, e.g. ``"seed: 1 there, 2 here"``."""
    before, after = _flat(old), _flat(new)
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    shown = [
        f"{key}: "
        + ", ".join(
            f"{_short(of[key]) if key in of else 'nothing'} {name}"
            for of, name in zip((before, after), names, strict=True)
        )
        for key in keys[:n_most]
    ]
    more = f"and {len(keys) - n_most} more" if len(keys) > n_most else ""
    return "; ".join([*shown, *([more] if more else [])]) or "written by another version"


def _flat(value: object, path: str = "") -> dict[str, object]:
    if isinstance(value, Mapping) and value:
        items = [(f"{path}.{key}" if path else str(key), part) for key, part in value.items()]
    elif isinstance(value, list) and any(isinstance(part, (dict, list)) for part in value):
        items = [(f"{path}[{index}]", part) for index, part in enumerate(value)]
    else:
        return {path: value}
    return {key: leaf for name, part in items for key, leaf in _flat(part, name).items()}


def _short(value: object, n_most: int = 40) -> str:
    text = show_value(value)
    return text if len(text) <= n_most else text[: n_most - 3] + "..."
