"""Importing what a scenario's ``plugins:`` names, so that it can register its plug-ins."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path

from edgesim.errors import FOREIGN, EdgesimError

_OURS: dict[str, Path] = {}
"""Modules that were imported from files here, by name."""


class PluginImportError(EdgesimError):
    """A module that a scenario names cannot be imported.

    Parameters
    ----------
    message : what happened, with file and line of the module where known.
    remedy : what to do about it.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message, self.remedy = message, remedy
        super().__init__(message)

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.message, self.remedy)


def is_file(name: str) -> bool:
    """Say whether an entry of ``plugins:`` names a file rather than an importable module."""
    return name.endswith(".py") or "/" in name


def absolute(name: str, folder: Path) -> str:
    """Return an entry with its file path made absolute, so that it is found from any working directory."""
    return str((folder / name).resolve()) if is_file(name) else name


def is_loaded(name: str) -> bool:
    """Say whether an entry with an absolute path has been imported in this process, so that importing it runs nothing."""
    if not is_file(name):
        return name in sys.modules
    file = getattr(sys.modules.get(Path(name).stem), "__file__", None)
    return file is not None and Path(file).resolve() == Path(name)


def import_plugin(name: str, *, shown: str = "") -> None:
    """Import a module, or the module in a file; a file is imported once per process.

    `shown` is how messages name it. The folder of the file joins the end of the module search path, so that worker processes can import it too.

    Raises
    ------
    PluginImportError
        When it is missing, fails while it is imported, or has the name of another module.
    """
    shown = shown or name
    try:
        if is_file(name):
            _import_file(Path(name), shown)
        else:
            module = importlib.import_module(name)
            if getattr(module, "__file__", None) is None and hasattr(module, "__path__"):
                sys.modules.pop(name)
                raise PluginImportError(
                    f"plug-in {shown!r} is a folder", "name a .py file in it, or an installed module"
                )
    except ModuleNotFoundError as error:
        wanted = f": no module {error.name!r}" if error.name != name else ""
        raise PluginImportError(
            f"plug-in {shown!r} cannot be imported{wanted}",
            "install it, or name a .py file relative to the scenario file, e.g. `./my_strategy.py`",
        ) from None
    except PluginImportError:
        raise
    except FOREIGN as error:
        raise PluginImportError(f"plug-in {shown!r} fails while it is imported: {_where(error, name)}") from None


def _import_file(path: Path, shown: str) -> None:
    if not path.is_file():
        raise PluginImportError(f"plug-in file {shown!r} does not exist", "paths start at the scenario file")
    module = path.stem
    if _OURS.get(module) == path and module in sys.modules:
        return
    if module in _OURS:  # a file of the same name in another folder, e.g. of a scenario that was read before
        previous = str(_OURS.pop(module).parent)
        sys.modules.pop(module, None)
        if previous in sys.path:
            sys.path.remove(previous)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    importlib.invalidate_caches()
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None or Path(found.origin).resolve() != path:
        sys.path.remove(folder)
        taken = found.origin if found else "nothing"
        raise PluginImportError(f"plug-in file {shown!r}: the name {module!r} means {taken}", "rename the file")
    importlib.import_module(module)
    _OURS[module] = path


def _where(error: BaseException, name: str) -> str:
    """Say what was raised, and in which line of the plug-in's own file."""
    if isinstance(error, SyntaxError):
        return f"{error.msg} ({Path(error.filename or name).name}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    place = f" ({Path(name).name}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, EdgesimError):  # it says itself what is wrong
        return f"{error}{place}"
    return f"{type(error).__name__}: {error}{place}"
