"""Whether a module holds a class, seen without running any of its code."""

from __future__ import annotations

import ast
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from edgesim.errors import DataError


def find_class(target: str) -> None:
    """Refuse a target that names no module that can be found, or a class that its file does not mention.

    Nothing is imported: the file is looked for where Python looks for modules and in the working directory, and only parsed. A file
    that is no Python source is not looked into.

    Parameters
    ----------
    target : ``"package.module:Class"``.

    Raises
    ------
    DataError
        It says what is not there.

    Examples
    --------
    >>> find_class("edgesim.nn.models.lookup:find_class")
    >>> find_class("edgesim.nn.models.lookup:Nobody")
    Traceback (most recent call last):
        ...
    edgesim.errors.DataError: model 'edgesim.nn.models.lookup:Nobody': the module has no 'Nobody'
    >>> find_class("edgesim.nowhere:Nobody")
    Traceback (most recent call last):
        ...
    edgesim.errors.DataError: model 'edgesim.nowhere:Nobody': there is no module 'edgesim.nowhere'
    """
    module, _, name = target.partition(":")
    spec = _found(module)
    if spec is None:
        raise DataError(f"model {target!r}: there is no module {module!r}")
    if spec.origin is None or not spec.origin.endswith(".py"):
        return
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"model {target!r}: {spec.origin} is no Python source: {error}") from error
    if not {name, "*"} & _bound(tree):
        raise DataError(f"model {target!r}: the module has no {name!r}")


def _found(module: str) -> ModuleSpec | None:
    """Return where a module lies, package by package, without running the packages."""
    path: list[str] = [*sys.path, str(Path.cwd())]
    spec = None
    for depth in range(1, module.count(".") + 2):
        name = ".".join(module.split(".")[:depth])
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec


def _bound(tree: ast.Module) -> set[str]:
    """Return the names that a module may have: all that its source binds somewhere; ``*`` for a star import."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
