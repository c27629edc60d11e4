"""The result folder: the tables in it, and what it must hold so that a study goes on in it."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgesim.errors import ResultError, UnknownNameError
from edgesim.files.whole import TEMPORARY, write_text
from edgesim.registry import nearest_name
from edgesim.study.cases.design import Case, show_value
from edgesim.study.folder.lock import LOCK
from edgesim.study.folder.manifest_file import (
    EMPTIED,
    MANIFEST,
    DamagedManifestError,
    digest_of,
    json_text,
    read_manifest,
    write_manifest,
)
from edgesim.study.folder.parts import DAMAGED, ENUMERATED, NOT_WHOLE, TRIALS, set_aside, studies_in
from edgesim.study.folder.reading import MOST_ROWS, check_summary, read_table
from edgesim.study.folder.seal import is_whole
from edgesim.study.tables.summary import UNITS, Row, show_number
from edgesim.study.trials.load import unit_of

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow.dataset import Dataset

    from edgesim.study.tables.paired import Difference
    from edgesim.study.tables.statistics import Estimate

SUMMARY, DIFFERENCES, SCENARIO = "summary.csv", "differences.csv", "scenario.yaml"
_AGAIN = "run the scenario again"
_ELSEWHERE = "choose another folder with --output"
_NUMBERS = ("mean", "ci_low", "ci_high", "n", "n_effective", "exact")
_KINDS = (TRIALS, ENUMERATED)
_VIEWS = (".png", ".svg", ".html")
"""Endings of figures and the report."""


@dataclass(frozen=True)
class Result:
    """A finished study, read from its folder.

    Parameters
    ----------
    folder : holds ``summary.csv``, ``differences.csv``, the parts of ``trials/`` and ``outcomes/``, ``manifest.json`` and the figures.
    """

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What was run: scenario, hash, seed, versions, command, deployments, files."""
        return read_manifest(self.folder)

    def check(self) -> None:
        """Refuse a folder in which reports and figures would not find what the study wrote.

        Raises
        ------
        ResultError
            When the study is not finished, its manifest is damaged, or files are missing or were changed; it names all of them.
            Figures and the report, which can be drawn again, may be changed, and trials are only looked for: they are checked
            when they are read.
        """
        if not self.is_complete:
            raise ResultError(f"{self.folder} is not finished; go on with: {self.manifest['command']}")
        self._refuse(faults(self.folder, self.manifest["files"], is_hashed=lambda name: not name.startswith(_KINDS)))

    def _refuse(self, found: Mapping[str, str]) -> None:
        if found:
            texts = "; ".join(f"{self.folder / name}: {fault}" for name, fault in found.items())
            raise ResultError(
                f"{texts}; put the study's files back, or make them again with: {self.manifest['command']}"
            )

    def _check_trials(self, kind: str, there: Sequence[Path]) -> None:
        """Refuse parts that are not those of the study, or of an unfinished one, damaged."""
        if not self.is_complete:
            self._refuse({f"{kind}/{path.name}": NOT_WHOLE for path in there if not is_whole(path.read_bytes())})
            return
        entries = [entry for entry in self.manifest["files"] if entry["name"].startswith(f"{kind}/")]
        self._refuse(faults(self.folder, entries) | strange(self.folder, kind, entries))

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors, in the order of the sweep."""
        return tuple(self.manifest["factors"])

    @property
    def is_complete(self) -> bool:
        """Whether the study has ended; one that has not goes on when it is run again."""
        return bool(self.manifest["status"] == "complete")

    def dataset(self, kind: str = TRIALS) -> Dataset:
        """Return the trials without holding them, as a pyarrow data set, for studies larger than the memory.

        Other programs read the same files: ``SELECT * FROM 'results/NAME/trials/*.parquet'`` in DuckDB,
        ``polars.scan_parquet("results/NAME/trials/*.parquet")``.

        Parameters
        ----------
        kind : ``"trials"``, or ``"outcomes"`` for the enumerated outcomes of the failures with their probabilities.

        Raises
        ------
        UnknownNameError
            When `kind` is neither.
        ResultError
            When there are none, or they are damaged: every file is read once to check it against the manifest.
        """
        from pyarrow import ArrowException, dataset

        if kind not in _KINDS:
            raise UnknownNameError("kind of table", kind, _KINDS, nearest_name(str(kind), _KINDS))
        files = sorted((self.folder / kind).glob("*.parquet"))
        self._check_trials(kind, files)
        if not files:
            raise ResultError(f"{self.folder} has no {kind}; {_AGAIN}")
        try:
            data = dataset.dataset([str(path) for path in files], format="parquet")
            n_rows = data.count_rows()
        except (OSError, ValueError, ArrowException) as error:
            raise ResultError(f"the {kind} in {self.folder} are damaged; {_AGAIN}") from error
        if n_rows > MOST_ROWS:
            raise ResultError(f"the {kind} in {self.folder} are {n_rows:,}, more than edgesim reads ({MOST_ROWS:,})")
        return data

    def frame(self, kind: str = TRIALS, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return all trials, one per row, or only some columns of them; `kind` as of `dataset`.

        Raises
        ------
        UnknownNameError
            When `kind` or a column is not there.
        ResultError
            When there are none, or they are damaged.
        """
        from pyarrow import ArrowException

        data = self.dataset(kind)
        for name in columns or ():
            if name not in data.schema.names:
                known = tuple(data.schema.names)
                raise UnknownNameError("column", name, known, nearest_name(str(name), known))
        try:
            table = data.to_table(columns=None if columns is None else list(columns))
            return cast("pd.DataFrame", table.to_pandas(ignore_metadata=True))
        except (OSError, ValueError, ArrowException) as error:
            raise ResultError(f"the {kind} in {self.folder} are damaged; {_AGAIN}") from error

    def differences(self) -> pd.DataFrame:
        """Return the paired differences between strategies, one row per factor point, pair and metric."""
        return self._table(DIFFERENCES, ("strategy", "minus", "metric", "unit"), (*_NUMBERS[:4], "correlation"))

    def summary(self) -> pd.DataFrame:
        """Return one row per factor point, strategy and metric."""
        table = self._table(SUMMARY, ("strategy", "metric", "unit"), _NUMBERS)
        check_summary(table, self.folder / SUMMARY, self.factors, tuple(self.manifest["scenario"]["strategies"]))
        return table

    def _table(self, name: str, names: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
        path = self.folder / name
        if not path.exists() and not self.is_complete:
            raise ResultError(
                f"{self.folder} has no {name}, it is not finished; go on with: {self.manifest['command']}"
            )
        try:
            return read_table(path, self.factors, names, numbers)
        except ResultError as error:
            raise ResultError(f"{error}; {_AGAIN}") from error

    def stopping(self) -> pd.DataFrame:
        """Return how many replications each factor point had, whether its targets were met, and what struck too rarely; no rows without a rule."""
        import pandas as pd

        columns = [*self.factors, "replications", "is_met", "rare"]
        return pd.DataFrame(self.manifest.get("stopping", []), columns=columns)

    def rare(self) -> pd.DataFrame:
        """Return by factor point what can strike, but so rarely that its replications may not have met it."""
        import pandas as pd

        columns = [*self.factors, "replications", "what"]
        return pd.DataFrame(self.manifest.get("rare", []), columns=columns)

    def engines(self) -> pd.DataFrame:
        """Return which engine simulated the trials of each strategy, how many were left to events, and why."""
        import pandas as pd

        columns = ["strategy", "engine", "trials", "by_events", "why"]
        return pd.DataFrame(self.manifest["engines"], columns=columns)

    def doubts(self) -> list[str]:
        """Return a warning for each trained network that is no better than chance or far below its teacher."""
        return [str(one["warning"]) for one in self.manifest["learnt"] if one["warning"]]

    def intact(self) -> pd.DataFrame:
        """Return one row per factor point and strategy: every metric when nothing is lost."""
        import pandas as pd

        table = pd.DataFrame(self.manifest["intact"], columns=[*self.factors, "strategy", "outcome", *UNITS])
        return table.astype(dict.fromkeys(UNITS, float))  # a column without any number would hold None


def write_summary(path: Path, cases: Sequence[Case], rows: Sequence[Sequence[Row]]) -> None:
    """Write the tidy table: a row per case and metric."""
    table: list[list[str]] = []
    for case, metrics in zip(cases, rows, strict=True):
        place = [show_value(value) for value in case.point.values()]
        for row in metrics:
            last = [str(row.estimate.n), show_number(row.n_effective), show_number(row.exact)]
            table.append(
                [*place, case.strategy, row.metric, unit_of(row.metric, UNITS), *_estimate(row.estimate), *last]
            )
    _write_table(path, [*cases[0].point, "strategy", "metric", "unit", *_NUMBERS], table)


def write_queues(path: Path, rows: Sequence[tuple[str, str, float, int, int]] | None) -> None:
    """Write what waits over time: a row per strategy, resource and moment; nothing when a trial is one request."""
    if rows is not None:
        _write_table(
            path,
            ["strategy", "resource", "time_s", "waiting", "present"],
            [
                [strategy, resource, show_number(time_s), str(n_waiting), str(n_present)]
                for strategy, resource, time_s, n_waiting, n_present in rows
            ],
        )


def write_differences(path: Path, cases: Sequence[Case], differences: Sequence[Difference]) -> None:
    """Write the paired differences: a row per factor point, pair of strategies and metric."""
    table: list[list[str]] = []
    for one in differences:
        case, other = cases[one.case], cases[one.other]
        place = [show_value(value) for value in case.point.values()]
        last = [str(one.estimate.n), show_number(one.correlation)]
        pair = [case.strategy, other.strategy, one.metric, unit_of(one.metric, UNITS)]
        table.append([*place, *pair, *_estimate(one.estimate), *last])
    header = [*cases[0].point, "strategy", "minus", "metric", "unit", *_NUMBERS[:4], "correlation"]
    _write_table(path, header, table)


def _estimate(estimate: Estimate) -> list[str]:
    return [show_number(value) for value in (estimate.value, estimate.low, estimate.high)]


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_text(path, text.getvalue())


def check_target(folder: Path, made_by: Mapping[str, Any], *, is_fresh: bool = False, is_locked: bool = False) -> str:
    """Refuse a folder that holds something else than this study, or that cannot be written, before any work is done.

    Parameters
    ----------
    folder : the result folder.
    made_by : what determines the results; see `edgesim.study.work.manifest.identity`.
    is_fresh : whether a study that is there is to begin again.
    is_locked : whether the lock's file is there.

    Returns
    -------
    state
        ``"new"``, ``"emptied"``, ``"unfinished"``, ``"complete"``, or ``"damaged"`` when the manifest is.

    Raises
    ------
    ResultError
        It says what differs, and how to write elsewhere.
    """
    state = _state(folder, made_by, is_fresh=is_fresh, is_locked=is_locked)
    parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if state != "complete" and not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise ResultError(f"{parent} cannot be written; {_ELSEWHERE}")
    return state


def _state(folder: Path, made_by: Mapping[str, Any], *, is_fresh: bool, is_locked: bool) -> str:
    """Return the state of a folder that holds nothing, or this study."""
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
        if studies_in(folder) != {digest_of(made_by)}:
            raise ResultError(
                f"{error}; no part in it is known to be of this scenario: remove it or {_ELSEWHERE}"
            ) from error
        return "new" if is_fresh else "damaged"
    if other["hash"] != made_by["hash"]:
        differing = differences(other["scenario"], made_by["scenario"])
        raise ResultError(f"{folder} holds the results of another scenario ({differing}); remove it or {_ELSEWHERE}")
    if is_fresh:
        return "new"
    keys = ("format", "versions", "plugin_files", "invariants")
    before, now = ({key: about[key] for key in keys if key in about} for about in (other, made_by))
    if before != now:
        raise ResultError(
            f"{folder} holds the results of the same scenario, made with something else ({differences(before, now)}); "
            f"begin again with --fresh, or {_ELSEWHERE}"
        )
    return str(other["status"])


def clear(folder: Path, about: Mapping[str, Any]) -> None:
    """Remove the results in a folder, so that a study begins again; one that is killed on the way is cleared by the next.

    Parameters
    ----------
    folder : the result folder; what was set aside in it stays.
    about : what determines the results, and the command.
    """
    write_manifest(folder, {**about, "status": EMPTIED})
    for path in folder.iterdir():
        if path.is_dir() and path.name in {TRIALS, ENUMERATED}:
            shutil.rmtree(path)
        elif path.is_file() and path.name not in {LOCK, MANIFEST}:
            path.unlink()


def differences(old: Mapping[str, Any], new: Mapping[str, Any], n_most: int = 3) -> str:
    """Return in one line where two scenarios differ, e.g. ``"seed: 1 there, 2 here"``."""
    before, after = _flat(old), _flat(new)
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    shown = [
        f"{key}: {_short(before[key]) if key in before else 'nothing'} there, "
        f"{_short(after[key]) if key in after else 'nothing'} here"
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


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values as JSON, whole or not at all."""
    write_text(path, json_text(content))


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
        if path.suffix in _VIEWS:
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
    for kind in _KINDS:
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
