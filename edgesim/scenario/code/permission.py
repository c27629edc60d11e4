"""Whose code runs: a scenario may name code, but none of it is run before its user allows it.

What was allowed once is remembered by place and content in the user's cache folder: another file, or another content, is asked
for anew. Packages that are installed, with their entry points, are the user's own and need no permission.
"""

from __future__ import annotations

import hashlib
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.nn.train.cache import NetworkCache
from edgesim.scenario.code.plugins import is_file, is_loaded
from edgesim.scenario.form.paths import split, with_value
from edgesim.scenario.form.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgesim.scenario.text.source import DataPath

_allowed: set[str] = set()
"""Marks of what may run in this process."""
_NAMES_CODE = ("target", "type", "model", "path")
"""Last keys of paths whose sweep may name code."""


@dataclass(frozen=True)
class Code:
    """Code that a scenario names.

    Parameters
    ----------
    path : where.
    name : a file, a module, the target of a model of type ``import``, or the file of one of type ``exported``.
    """

    path: DataPath
    name: str

    @property
    def is_plugin(self) -> bool:
        """Whether it may register names, rather than be a network."""
        return self.path[:1] == ("plugins",)

    @property
    def is_program(self) -> bool:
        """Whether it is a program of `torch.export`, which may run code where it is read."""
        return self.name.endswith(".pt2")

    def mark(self) -> str:
        """Return the SHA-256 of name, place and content, in hex."""
        file = Path(self.name) if self.is_program or is_file(self.name) else _file_of(self.name.partition(":")[0])
        digest = hashlib.sha256(f"{self.name}\0{file}\0".encode(errors="surrogatepass"))
        if file and file.is_file():  # what is none cannot be imported either, which is a finding of its own
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def is_allowed(self) -> bool:
        """Whether it may run: the user has allowed it, it is not there, or it has been imported and would not run again."""
        if self.is_plugin and (is_loaded(self.name) or (is_file(self.name) and not Path(self.name).is_file())):
            return True
        mark = self.mark()
        return mark in _allowed or (_folder() / mark).is_file()

    def allow(self) -> None:
        """Remember that it may run; only for this process where nothing can be written."""
        mark = self.mark()
        _allowed.add(mark)
        with suppress(OSError):
            _folder().mkdir(parents=True, exist_ok=True)
            (_folder() / mark).write_text(f"{self.name}\n", encoding="utf-8", errors="backslashreplace")

    def problem(self, written: object) -> Problem:
        """Return what is said where it may not run; `written` is how the scenario names it."""
        return Problem(
            self.path,
            f"{written!r} is code, which runs only when you allow it",
            remedy="read it, then add --allow-code, in Python allow_code=True; it is remembered until the file changes",
            is_unchecked=True,
        )


def code_in(data: dict[str, Any]) -> list[Code]:
    """Return all code that a scenario names: in ``plugins:``, and as target of models of type ``import``."""
    plugins = data.get("plugins")
    entries = enumerate(plugins if isinstance(plugins, list) else ())
    found = [Code(("plugins", index), name) for index, name in entries if isinstance(name, str)]
    found += _targets(data, ())
    for place, path, value in _swept(data):
        found += [Code(place, one.name) for one in _targets(with_value(data, path, value), ()) if one not in found]
    return found


def withheld(data: dict[str, Any], *, allow_code: bool) -> list[Code]:
    """Return the code in a scenario that may not run; with `allow_code` all may, and it is remembered."""
    found = code_in(data)
    for code in found if allow_code else ():
        code.allow()
    return [code for code in found if not code.is_allowed()]


def excused(problems: list[Problem], *, has_idle_plugin: bool) -> list[Problem]:
    """Return the problems where a plug-in has not run, or not to its end: names that it may register are not checked, rather than unknown."""
    if not has_idle_plugin:
        return problems
    unknown = [problem for problem in problems if problem.may_be_registered]
    plugins = {problem.path[:-1] if problem.path[-1:] == ("type",) else problem.path for problem in unknown}
    return [
        replace(
            problem,
            message=f"not checked, since it may be one of the code that did not run: {problem.message}",
            expected="",
            remedy="",
            is_unchecked=True,
        )
        if problem.may_be_registered
        else problem
        for problem in problems
        if not any(problem.meant[: len(path)] == path for path in plugins)
    ]


def _targets(data: Any, path: DataPath) -> Iterator[Code]:
    """Yield the targets of imported models and the programs of exported ones at any depth."""
    if isinstance(data, dict):
        if data.get("type") == "import" and isinstance(data.get("target"), str):
            yield Code((*path, "target"), data["target"])
        if data.get("type") == "exported" and isinstance(data.get("path"), str):
            yield Code((*path, "path"), data["path"])
        for key, value in data.items():
            yield from _targets(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _targets(value, (*path, index))


def _swept(data: dict[str, Any]) -> Iterator[tuple[DataPath, str, str]]:
    """Yield place, path and value of what factors may name code with."""
    sweep = data.get("sweep")
    for name, factor in sweep.items() if isinstance(sweep, dict) else ():
        path, values = (factor.get("path"), factor.get("values")) if isinstance(factor, dict) else (None, None)
        if isinstance(path, str) and split(path)[-1] in _NAMES_CODE and isinstance(values, list):
            texts = enumerate(values)
            yield from (
                (("sweep", name, "values", index), path, value) for index, value in texts if isinstance(value, str)
            )


def _file_of(module: str) -> Path | None:
    """Return the file of a module, found without running anything: packages around it are not imported."""
    places: Sequence[str] = [*sys.path, str(Path.cwd())]
    parts = module.split(".")
    for position in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:position]), places)
        if found is None:
            return None
        places = list(found.submodule_search_locations or ())
    return Path(found.origin) if found and found.origin else None


def _folder() -> Path:
    return NetworkCache.default().folder.parent / "allowed"
