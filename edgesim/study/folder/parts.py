"""The parts of a study: one Parquet file per finished task, whole or not there at all.

A part is written under a temporary name, brought to the disk, and renamed. What a killed study leaves behind is therefore
finished parts and perhaps one temporary file. Its content depends on the task alone, so a resumed study has the same bytes.

Each part is sealed (`edgesim.study.folder.seal`) and says of which study, case and trials it is. Nothing is read from one that is
damaged or in another's place: it is named, set aside, and made again.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.columns import ABOUT, MEASURED, PROBABILITY, TRIAL_COLUMNS, Column
from edgesim.errors import ResultError
from edgesim.files.whole import TEMPORARY, replacing
from edgesim.study.cases.design import Case, show_point, show_value
from edgesim.study.cases.tasks import Block
from edgesim.study.folder.names import ENUMERATED, TRIALS
from edgesim.study.folder.seal import NOT_WHOLE, OPEN_SEAL, is_whole, sealed, set_aside
from edgesim.study.trials.trials import Trials

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDENTITY = "edgesim"
"""Key of a part's Parquet metadata under which it says what it is; its seal stands under ``edgesim-seal``."""
FURTHER = "further"
"""Where a part says which tasks it holds besides its first: position of the case, start, stop."""


class Parts:
    """The parts in one result folder.

    Parameters
    ----------
    folder : the result folder.
    cases : of the study, in order.
    study : digest of what determines the study; see `edgesim.study.folder.manifest_file.digest_of`.
    scores : names of the scores of the task, the main one first.
    together : the tasks of each part; those that are missing here have one each.
    """

    def __init__(
        self,
        folder: Path,
        cases: Sequence[Case],
        study: str = "",
        *,
        scores: Sequence[str],
        together: Iterable[Sequence[Block]] = (),
    ) -> None:
        self.folder = folder
        self.cases = cases
        self.study = study
        self.scores = tuple(scores)
        names = tuple(cases[0].point)
        self._factors = {name: factor_column([case.point[name] for case in cases]) for name in names}
        self._together = {block: tuple(tasks) for tasks in together for block in tasks}
        self._waiting: dict[Path, dict[Block, Any]] = {}  # rows of tasks whose part waits for others
        self._last: dict[bool, tuple[Path, Any]] = {}  # of each kind the part that was read last

    def _tasks(self, block: Block) -> tuple[Block, ...]:
        """Return the tasks that share a part with one."""
        return self._together.get(block, (block,))

    def path(self, block: Block) -> Path:
        """Return the file of a task, called after the first that it holds; files sort in the order of the study."""
        first = self._tasks(block)[0]
        kind = ENUMERATED if first.is_enumeration else TRIALS
        return self.folder / kind / f"part-{first.case:05d}-{first.start:09d}.parquet"

    def begin(self) -> None:
        """Make the folders, and remove what an earlier writer left unfinished."""
        self._waiting.clear()
        for kind in (TRIALS, ENUMERATED):
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
            for path in (self.folder / kind).glob(f"{TEMPORARY}*"):
                path.unlink()

    def missing(self, blocks: Iterable[Block]) -> list[Block]:
        """Return the tasks whose parts are not there, part by part; one that is damaged, or another's, is named in a warning and set aside."""
        by_part: dict[Path, list[Block]] = {}
        for block in blocks:
            by_part.setdefault(self.path(block), []).append(block)
        for path, tasks in by_part.items():
            fault = self._fault(tasks[0], path.read_bytes()) if path.exists() else ""
            if fault:
                set_aside(self.folder, path, fault)
        return [block for path, tasks in by_part.items() if not path.exists() for block in tasks]

    def found(self) -> list[Block]:
        """Return the tasks of the whole parts of this study that are there; they are read as these parts hold them."""
        for kind in (TRIALS, ENUMERATED):
            for path in sorted((self.folder / kind).glob("*.parquet")):
                tasks = self._tasks_in(path.read_bytes())
                self._together.update(dict.fromkeys(tasks, tasks))
        return list(self._together)

    def _tasks_in(self, content: bytes) -> tuple[Block, ...]:
        """Return the tasks in a part, if it is whole and of this study."""
        if not is_whole(content):
            return ()
        found = identity_in(content)
        try:
            places = [(found["case"], found["start"], found["stop"]), *found.get(FURTHER, ())]
            is_enumeration = found["kind"] == ENUMERATED
            tasks = tuple(Block(case, start, stop, is_enumeration, "") for case, start, stop in places)
            return tasks if self._identity(tasks) == found else ()
        except (LookupError, TypeError, ValueError):
            return ()

    def _identity(self, tasks: Sequence[Block]) -> dict[str, Any]:
        """Return what the part of some tasks says that it is."""
        first, *others = tasks
        case = self.cases[first.case]
        further = [[one.case, one.start, one.stop] for one in others]
        return {
            "study": self.study,
            "case": first.case,
            "point": show_point(case.point),
            "strategy": case.strategy,
            "kind": ENUMERATED if first.is_enumeration else TRIALS,
            "start": first.start,
            "stop": first.stop,
            **({FURTHER: further} if further else {}),
        }

    def _fault(self, block: Block, content: bytes) -> str:
        """Return what is wrong with the content of a task's part; nothing when all is well."""
        if not is_whole(content):
            return NOT_WHOLE
        own, found = self._identity(self._tasks(block)), identity_in(content)
        further = own.pop(FURTHER, []), found.pop(FURTHER, [])
        differing = [
            f"{key} {found.get(key)!r} in place of {value!r}" for key, value in own.items() if found.get(key) != value
        ]
        differing += ["others behind the first"] if further[0] != further[1] else []
        return f"it is of other trials ({', '.join(differing)})" if differing else ""

    def write(self, block: Block, trials: Trials, scores: Mapping[str, NDArray[np.float64]]) -> None:
        """Write the part of a task as soon as all tasks that share it are done."""
        import pyarrow as pa

        path, tasks = self.path(block), self._tasks(block)
        rows = self._waiting.setdefault(path, {})
        rows[block] = self._rows(block, trials, scores)
        if len(rows) == len(tasks):
            table = pa.concat_tables([rows[one] for one in tasks]).combine_chunks()
            del self._waiting[path]
            self._last.pop(block.is_enumeration, None)
            with replacing(path) as new:
                new.write_bytes(parquet_of(table, self._identity(tasks)))

    def _rows(self, block: Block, trials: Trials, scores: Mapping[str, NDArray[np.float64]]) -> Any:
        """Return the table of a task; `edgesim.domain.columns` says what stands in its columns."""
        import pyarrow as pa

        n = len(trials)
        case = self.cases[block.case]
        here = pa.array(np.full(n, block.case))
        columns: dict[str, Any] = {name: values.take(here) for name, values in self._factors.items()}
        columns["strategy"] = pa.repeat(pa.scalar(case.strategy, pa.string()), n)
        if not block.is_enumeration:
            columns["replication"] = pa.array(np.arange(block.start, block.stop, dtype=np.int64))
        columns.update({_name_in(block, column): _written(column, trials) for column in ABOUT})
        columns.update({name: pa.array(scores[name]) for name in self.scores})
        there = [column for column in MEASURED if not column.is_optional or getattr(trials, column.attribute)]
        columns.update({column.name: _written(column, trials) for column in there})
        columns.update({name: pa.array(values) for name, values in trials.load.items()})
        return pa.table(columns)

    def read(self, blocks: Iterable[Block]) -> tuple[Trials, dict[str, NDArray[np.float64]]]:
        """Return the trials of some tasks and their scores, in the order of the tasks.

        Raises
        ------
        ResultError
            When a part is damaged or not that of its task.
        """
        import pyarrow as pa

        tables = [self._read(block) for block in blocks]
        if not tables:
            return _empty(), {name: np.array([]) for name in self.scores}
        table = pa.concat_tables(tables)
        known = {*(one.name for one in TRIAL_COLUMNS), *self.scores}
        load = [name for name in table.column_names if name not in known]
        values = {one.attribute: _read(one, table[one.name]) for one in TRIAL_COLUMNS if one.name in table.column_names}
        trials = Trials(**values, load={name: table[name].to_numpy() for name in load})
        return trials, {name: table[name].to_numpy() for name in self.scores}

    def _read(self, block: Block) -> Any:
        """Return what a part has about the trials of a task."""
        from pyarrow import parquet

        path, tasks = self.path(block), self._tasks(block)
        if self._last.get(block.is_enumeration, (None,))[0] != path:
            here = {_name_in(block, column): column.name for column in TRIAL_COLUMNS}
            with parquet.ParquetFile(io.BytesIO(self._content(block))) as file:
                others = {*self._factors, "strategy", "replication"}
                wanted = [name for name in file.schema_arrow.names if name not in others]
                table = file.read(columns=wanted).rename_columns([here.get(name, name) for name in wanted])
            self._last[block.is_enumeration] = (path, table)
        start = sum(one.stop - one.start for one in tasks[: tasks.index(block)])
        return self._last[block.is_enumeration][1].slice(start, block.stop - block.start)

    def _content(self, block: Block) -> bytes:
        path = self.path(block)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ResultError(f"{path} cannot be read: {error.strerror}; run again to make it again") from error
        fault = self._fault(block, content)
        if fault:
            raise ResultError(f"{path}: {fault}; run again: it is set aside and made again")
        return content

    def stray(self, blocks: Iterable[Block]) -> Iterator[Path]:
        """Yield the parts that belong to none of these tasks."""
        known = {self.path(block) for block in blocks}
        for kind in (TRIALS, ENUMERATED):
            yield from (path for path in sorted((self.folder / kind).glob("*.parquet")) if path not in known)


def _name_in(block: Block, column: Column) -> str:
    """Return the name of a column in the part of a task."""
    return PROBABILITY if block.is_enumeration and column.name == "weight" else column.name


def _written(column: Column, trials: Trials) -> Any:
    """Return the values of a column as Arrow has them."""
    import pyarrow as pa

    values = getattr(trials, column.attribute)
    match column.kind:
        case "name":
            return pa.DictionaryArray.from_arrays(pa.array(values), list(column.names)).cast(pa.string())
        case "bits":
            return pa.array([f"{value:x}" for value in values], pa.string())
        case "text":
            return pa.array(values, pa.string())
        case "place":
            return pa.array(values, pa.int64())
        case _:
            return pa.array(values)


def _read(column: Column, values: Any) -> Any:
    """Return the values of a column as `Trials` has them: the opposite of `_written`."""
    match column.kind:
        case "name":
            codes = {name: code for code, name in enumerate(column.names)}
            return np.array([codes[name] for name in values.to_pylist()], dtype=np.int8)
        case "bits":
            return tuple(int(digits, 16) for digits in values.to_pylist())
        case "text" | "place":
            return tuple(values.to_pylist())
        case _:
            return values.to_numpy()


def parquet_of(table: Any, identity: Mapping[str, Any]) -> bytes:
    """Return a table as a sealed Parquet file that says what it is."""
    from pyarrow import parquet

    out = io.BytesIO()
    with parquet.ParquetWriter(out, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({IDENTITY: json.dumps(identity), f"{IDENTITY}-seal": OPEN_SEAL})
    return sealed(out.getvalue())


def identity_in(content: bytes) -> dict[str, Any]:
    """Return what a whole part says that it is."""
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(io.BytesIO(content)) as file:
            found = json.loads((file.metadata.metadata or {}).get(IDENTITY.encode(), b"{}"))
    except (OSError, ValueError):
        return {}  # sealed, but no part
    return found if isinstance(found, dict) else {}


def studies_in(folder: Path) -> set[str]:
    """Return the digests of the studies of which whole parts are in a folder."""
    contents = (path.read_bytes() for kind in (TRIALS, ENUMERATED) for path in (folder / kind).glob("*.parquet"))
    return {str(identity_in(content).get("study")) for content in contents if is_whole(content)}


def _empty() -> Trials:
    from edgesim.study.trials.trials import columns

    return columns((), ())


def factor_column(values: Sequence[object]) -> Any:
    """Return a factor's values as whole numbers, numbers or texts, whichever holds them all."""
    import pyarrow as pa

    kinds = {type(value) for value in values}
    if kinds <= {int}:
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        return pa.array(values, pa.float64())
    return pa.array([show_value(value) for value in values], pa.string())
