"""The files of a finished study: which they are, and whether they are as the study wrote them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesim.study.folder.lock import LOCK
from edgesim.study.folder.manifest_file import MANIFEST, read_manifest
from edgesim.study.folder.names import DAMAGED, ENUMERATED, TRIALS
from edgesim.study.folder.seal import set_aside

KINDS = (TRIALS, ENUMERATED)
"""Folders of parts."""
VIEWS = (".png", ".svg", ".html")
"""Endings of figures and the report."""


def file_entries(folder: Path) -> list[dict[str, Any]]:
    """Return name, size and SHA-256 of every file of a result but the manifest."""
    return [
        {
            "name": path.relative_to(folder).as_posix(),
            "size_byte": path.stat().st_size,
            "sha256": _sha256(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {MANIFEST, LOCK} and path.relative_to(folder).parts[0] != DAMAGED
    ]


def faults(
    folder: Path, entries: Sequence[Mapping[str, Any]], is_hashed: Callable[[str], bool] = lambda _: True
) -> dict[str, str]:
    """Return what is wrong with the files of a finished study, by name.

    Parameters
    ----------
    folder : the result folder.
    entries : of the manifest; those of figures and the report, which can be drawn again, are left out.
    is_hashed : whether a file of a name is read to compare its hash, or only its size is compared.
    """
    found = {}
    for entry in entries:
        path = folder / entry["name"]
        if path.suffix in VIEWS:
            continue
        if not path.is_file():
            found[entry["name"]] = "it is missing"
        elif not path.resolve().is_relative_to(folder.resolve()):
            found[entry["name"]] = "it is a link to a file outside of the folder"
        elif path.stat().st_size != entry["size_byte"] or (
            is_hashed(entry["name"]) and _sha256(path) != entry["sha256"]
        ):
            found[entry["name"]] = "it was changed after the study: its size or SHA-256 is not that in the manifest"
    return found


def changed(folder: Path) -> dict[str, str]:
    """Return what is wrong with the files of a finished study, by name; see `faults` and `strange`."""
    entries = read_manifest(folder)["files"]
    found = faults(folder, entries)
    for kind in KINDS:
        found |= strange(folder, kind, entries)
    return found


def strange(folder: Path, kind: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the parts of a finished study's folder that it did not write."""
    known = {folder / entry["name"] for entry in entries}
    others = [path for path in sorted((folder / kind).glob("*.parquet")) if path not in known]
    return {f"{kind}/{path.name}": "it is not of this study" for path in others}


def set_changed_aside(folder: Path) -> None:
    """Set aside what is not as the study wrote it, so that it is made again."""
    for name, fault in changed(folder).items():
        if (folder / name).is_file():
            set_aside(folder, folder / name, fault)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
