"""Files that a machine gets over the standard input of its node, so that nothing else is needed to bring them there, and nothing stays."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgesim.errors import DataError

_SAMPLES = "samples"


def packed(folder: Path, samples: Path) -> dict[str, Any]:
    """Return the bundle in a folder, and samples, as JSON holds them, and the version of edgesim that made them."""
    files = {path.name: path for path in sorted(folder.iterdir())} | {_SAMPLES: samples}
    content = {name: base64.b64encode(path.read_bytes()).decode("ascii") for name, path in files.items()}
    return {"files": content, "version": version("edgesim")}


@contextmanager
def unpacked(setup: Mapping[str, Any]) -> Iterator[tuple[Path, Path]]:
    """Give the folder of the bundle and the file of the samples: those on this machine, or those that were sent, until the context is left.

    Raises
    ------
    DataError
        When they were sent by another version of edgesim.
    """
    if "files" not in setup:
        yield Path(setup["folder"]), Path(setup[_SAMPLES])
        return
    if setup["version"] != version("edgesim"):
        raise DataError(
            f"edgesim is {version('edgesim')} here and {setup['version']} where it was started; install the same"
        )
    with tempfile.TemporaryDirectory(prefix="edgesim-node-") as folder:
        for name, content in setup["files"].items():
            (Path(folder) / Path(name).name).write_bytes(base64.b64decode(content))
        yield Path(folder), Path(folder) / _SAMPLES
