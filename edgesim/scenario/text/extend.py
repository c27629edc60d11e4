"""``extends: other.yaml``: a file that says only what it changes.

Mappings are merged key by key. Lists, texts and numbers are replaced as a whole. A plug-in with another ``type`` replaces the
whole plug-in. A key with nothing behind it takes the key of the other file away. Every value keeps its place, so that findings
point into the file in which it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgesim.errors import ScenarioError
from edgesim.scenario.text.source import DataPath, Mark, Source, Text
from edgesim.scenario.text.yaml import read_file

KEY = "extends"
_NAMES_A_PROFILE = ("profile", "hub_profile")


def read_with_bases(path: Path) -> Source:
    """Read a scenario file and those that it extends.

    Raises
    ------
    ScenarioError
        When one of them cannot be read, or a file extends itself, also by way of others.
    """
    return extended(read_file(path), (path.resolve(),))


def extended(source: Source, chain: tuple[Path, ...] = ()) -> Source:
    """Return the source merged with the file that it extends, if it extends one. Raises as `read_with_bases`.

    Parameters
    ----------
    source : what was read.
    chain : the files that led here.
    """
    if KEY not in source.data:
        return source
    name = source.data[KEY]
    if not isinstance(name, str) or not name.strip():
        raise _refusal(source, "the file that is extended is named by a text", expected="a scenario file")
    path = source.folder / name
    resolved = path.resolve()
    if resolved in chain:
        names = " -> ".join(one.name for one in (*chain[chain.index(resolved) :], resolved))
        raise _refusal(source, f"files extend each other in a circle: {names}")
    if not path.is_file():
        raise _refusal(source, f"no file {name!r} to extend", remedy="the path starts at the folder of this file")
    base = extended(read_file(path), (*chain, resolved))
    merging = _Merging(source, base, dict(source.marks))
    own = {key: value for key, value in source.data.items() if key != KEY}
    data = merging.merged(dict(base.data), own, ())
    findings = (*base.findings, *source.findings)
    return replace(source, data=data, marks=merging.marks, findings=findings)


def _refusal(source: Source, message: str, expected: str = "", remedy: str = "") -> ScenarioError:
    return ScenarioError((source.finding((KEY,), message, expected=expected, remedy=remedy),))


@dataclass
class _Merging:
    """Two sources that become one; `marks` are those of the first and grow by those of the base."""

    own: Source
    base: Source
    marks: dict[DataPath, Mark]

    def merged(self, base: dict[str, Any], own: dict[str, Any], path: DataPath) -> dict[str, Any]:
        """Merge two mappings that stand at the same path."""
        result: dict[str, Any] = {}
        for key in (*base, *(key for key in own if key not in base)):
            place = (*path, key)
            if key not in own:
                result[key] = base[key]
                self._keep_marks(place)
            elif key not in base:
                result[key] = own[key]
            elif own[key] is not None:
                result[key] = self._one(base[key], own[key], place)
        return result

    def _one(self, base: Any, own: Any, path: DataPath) -> Any:
        if not isinstance(own, dict):
            return own
        if isinstance(base, str) and "type" not in own:  # the bare name of a plug-in or profile gets options
            key = "extends" if path[-1] in _NAMES_A_PROFILE else "type"
            self._keep_marks(path, at=(*path, key))
            return {key: base, **own}
        if not isinstance(base, dict):
            return own
        if "type" in own and own["type"] != base.get("type", path[-1]):
            return own
        return self.merged(base, own, path)

    def _keep_marks(self, path: DataPath, at: DataPath | None = None) -> None:
        """Take over the marks of what comes from the base."""
        text = Text(self.base.file, self.base.folder, self.base.lines)
        for place, mark in self.base.marks.items():
            if place[: len(path)] == path:
                self.marks[(*(at or path), *place[len(path) :])] = replace(mark, text=mark.text or text)
