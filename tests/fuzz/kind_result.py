"""The files of a result folder, each sealed and listed as if a study had written it so."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parents[1] / "report"))
from example import example

from edgesim.cli.studies.results import _rows
from edgesim.report.html.page import Picture, texts, written
from edgesim.report.result import Result
from edgesim.report.table import tables
from edgesim.study.folder.contents import file_entries
from edgesim.study.folder.manifest_file import MANIFEST, SEAL, json_text
from edgesim.study.folder.names import SUMMARY, TIMELINE
from edgesim.study.folder.seal import OPEN_SEAL, sealed

from .harness import Kind

if TYPE_CHECKING:
    import pandas as pd


def _made() -> dict[str, bytes]:
    """Return the files of a finished study."""
    with TemporaryDirectory() as folder:
        example(Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


FILES = _made()
NOTHING = Picture("", "", "")


def read(name: str, use: Callable[[Result], object], path: Path) -> None:
    """Open a folder in which one file is the mutant, and use it."""
    with TemporaryDirectory() as folder:
        use(_folder(Path(folder), {**FILES, name: path.read_bytes()}))


def use_manifest(result: Result) -> None:
    """Do what `edgesim results list` and `edgesim report` do, but figures, which take too long."""
    for table in (result.stopping(), result.engines(), result.intact()):
        _shown(table)
    assert "<script" not in written(texts(result), topology=NOTHING, figures=[], timelines=[])


def use_summary(result: Result) -> None:
    """Do what `edgesim results show` and `edgesim run` do with a finished study."""
    _shown(result.summary())
    assert all(cell.isprintable() for table in tables(result) for row in table.rows for cell in row)


def use_timeline(result: Result) -> None:
    """Read the bars; names are texts."""
    assert all(isinstance(bar[0], str) for one in result.timelines() for bar in one.bars)


def _shown(table: pd.DataFrame) -> None:
    """Show a table in the terminal, and as JSON."""
    json.dumps(_rows(table.fillna(0), None), allow_nan=False, default=str)
    assert table.to_string().replace("\n", "").isprintable()


def _folder(folder: Path, files: dict[str, bytes]) -> Result:
    """Write the folder with a manifest that is sealed and knows the other files."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        manifest = json.loads(files[MANIFEST])
        manifest["files"] = [*manifest["files"], *file_entries(folder)]
        (folder / MANIFEST).write_bytes(sealed(json_text({**manifest, SEAL: OPEN_SEAL}).encode()))
    except (ValueError, LookupError, TypeError, RecursionError):  # it stays as it is, without a seal
        pass
    return Result(folder)


def of_json(content: bytes) -> Any:
    """Return the plain data of a seed."""
    return json.loads(content)


KINDS = (
    Kind("manifest", (FILES[MANIFEST],), partial(read, MANIFEST, use_manifest), "mutant.json", data_of=of_json),
    Kind("summary", (FILES[SUMMARY],), partial(read, SUMMARY, use_summary), "mutant.csv"),
    Kind("timeline", (FILES[TIMELINE],), partial(read, TIMELINE, use_timeline), "mutant.json", data_of=of_json),
)
