"""The result folder: the tables in it, and what it must hold so that a study goes on in it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgesim.errors import ResultError, UnknownNameError
from edgesim.registry import nearest_name
from edgesim.study.design import Case, show_value
from edgesim.study.load import unit_of
from edgesim.study.lock import LOCK
from edgesim.study.parts import ENUMERATED, TEMPORARY, TRIALS, write_text
from edgesim.study.summary import UNITS, Row, show_number

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow.dataset import Dataset

    from edgesim.study.paired import Difference
    from edgesim.study.statistics import Estimate

SUMMARY, DIFFERENCES, SCENARIO, MANIFEST = "summary.csv", "differences.csv", "scenario.yaml", "manifest.json"
_COMPLETE = (
    "name",
    "question",
    "factors",
    "seed",
    "replications",
    "versions",
    "command",
    "deployments",
    "engines",
    "intact",
    "files",
)
"""Keys of the manifest of a finished study that readers rely on."""
EMPTIED = "emptied"
"""State of a folder whose old results are being removed."""
_AGAIN = "run the scenario again with --fresh"
_NUMBERS = ("mean", "ci_low", "ci_high", "n", "n_effective", "exact")
_KINDS = (TRIALS, ENUMERATED)


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
        """Refuse a folder in which reports and figures would not find what they need.

        Raises
        ------
        ResultError
            When the study is not finished, or its manifest is damaged.
        """
        if not self.is_complete:
            raise ResultError(
                f"{self.folder} is not finished; go on with: {self.manifest.get('command', 'edgesim run')}"
            )
        lacking = [key for key in _COMPLETE if key not in self.manifest]
        if lacking:
            raise ResultError(f"{self.folder / MANIFEST} is damaged: it lacks {', '.join(lacking)}; {_AGAIN}")

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors, in the order of the sweep."""
        return tuple(self.manifest["factors"])

    @property
    def is_complete(self) -> bool:
        """Whether the study has ended; one that has not goes on when it is run again."""
        return str(self.manifest.get("status", "complete")) == "complete"

    def dataset(self, kind: str = TRIALS) -> Dataset:
        """Return the trials without reading them, as a pyarrow data set, for studies larger than the memory.

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
            When there are none, or they are damaged.
        """
        from pyarrow import dataset

        if kind not in _KINDS:
            raise UnknownNameError("kind of table", kind, _KINDS, nearest_name(str(kind), _KINDS))
        files = sorted(str(path) for path in (self.folder / kind).glob("*.parquet"))
        if not files:
            raise ResultError(f"{self.folder} has no {kind}; {_AGAIN}")
        try:
            return dataset.dataset(files, format="parquet")
        except (OSError, ValueError) as error:
            raise ResultError(f"the {kind} in {self.folder} are damaged; {_AGAIN}") from error

    def frame(self, kind: str = TRIALS, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return all trials, one per row, or only some columns of them; `kind` as of `dataset`.

        Raises
        ------
        UnknownNameError
            When `kind` or a column is not there.
        ResultError
            When there are none, or they are damaged.
        """
        data = self.dataset(kind)
        for name in columns or ():
            if name not in data.schema.names:
                known = tuple(data.schema.names)
                raise UnknownNameError("column", name, known, nearest_name(str(name), known))
        try:
            table = data.to_table(columns=None if columns is None else list(columns))
        except (OSError, ValueError) as error:
            raise ResultError(f"the {kind} in {self.folder} are damaged; {_AGAIN}") from error
        return cast("pd.DataFrame", table.to_pandas())

    def differences(self) -> pd.DataFrame:
        """Return the paired differences between strategies, one row per factor point, pair and metric."""
        return self._table(DIFFERENCES, (*_NUMBERS[:4], "correlation"))

    def summary(self) -> pd.DataFrame:
        """Return one row per factor point, strategy and metric."""
        return self._table(SUMMARY, _NUMBERS)

    def _table(self, name: str, numbers: Sequence[str]) -> pd.DataFrame:
        """Return a table; empty cells of these columns are no number."""
        import pandas as pd

        path = self.folder / name
        if not path.exists() and not self.is_complete:
            command = self.manifest.get("command", "edgesim run")
            raise ResultError(f"{self.folder} has no {name}, it is not finished; go on with: {command}")
        try:
            table = pd.read_csv(path, keep_default_na=False, na_values={column: [""] for column in numbers})
        except (OSError, ValueError) as error:
            raise ResultError(f"{path} is missing or damaged; {_AGAIN}") from error
        if not {"strategy", "metric", *numbers} <= set(table.columns):
            raise ResultError(f"{path} is damaged: it lacks columns; {_AGAIN}")
        return table

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


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a result folder.

    Raises
    ------
    ResultError
        When there is none, or it cannot be read.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ResultError(f"there is no folder {folder}; `edgesim results list` shows results")
    if not path.is_file():
        raise ResultError(f"{folder} is not a result folder of edgesim: it holds no {MANIFEST}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultError(f"{folder} is not a result folder of edgesim: {MANIFEST} cannot be read ({error})") from error
    if not isinstance(content, dict) or "scenario" not in content or "hash" not in content:
        raise ResultError(f"{folder} is not a result folder of edgesim: {MANIFEST} holds no scenario")
    return content


def check_target(folder: Path, made_by: Mapping[str, Any], *, is_fresh: bool = False, is_locked: bool = False) -> str:
    """Refuse a folder that holds something else than this study, or that cannot be written, before any work is done.

    Parameters
    ----------
    folder : the result folder.
    made_by : what determines the results; see `edgesim.study.manifest.identity`.
    is_fresh : whether a study that is there is to begin again.
    is_locked : whether the lock's file is there.

    Returns
    -------
    state
        ``"new"``, ``"emptied"``, ``"unfinished"`` or ``"complete"``.

    Raises
    ------
    ResultError
        It says what differs, and how to write elsewhere.
    """
    elsewhere = "choose another folder with --output"
    if folder.exists() and not folder.is_dir():
        raise ResultError(f"{folder} is a file; {elsewhere}")
    parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ResultError(f"{parent} cannot be written; {elsewhere}")
    ours = {LOCK} if is_locked or not folder.is_dir() or (folder / LOCK).exists() else set()
    if not folder.is_dir() or not {path.name for path in folder.iterdir()} - ours - {f"{TEMPORARY}{MANIFEST}"}:
        return "new"
    if not (folder / MANIFEST).is_file():
        raise ResultError(f"{folder} holds files that are not a result of edgesim; {elsewhere}")
    other = read_manifest(folder)
    if other["hash"] != made_by["hash"]:
        differing = differences(other["scenario"], made_by["scenario"])
        raise ResultError(f"{folder} holds the results of another scenario ({differing}); remove it or {elsewhere}")
    if is_fresh:
        return "new"
    keys = ("format", "versions", "plugin_files", "invariants")
    before, now = ({key: about[key] for key in keys if key in about} for about in (other, made_by))
    if before != now:
        raise ResultError(
            f"{folder} holds the results of the same scenario, made with something else ({differences(before, now)}); "
            f"begin again with --fresh, or {elsewhere}"
        )
    return str(other.get("status", "unfinished"))


def clear(folder: Path, made_by: Mapping[str, Any]) -> None:
    """Remove the results in a folder, so that a study begins again; one that is killed on the way is cleared by the next."""
    write_json(folder / MANIFEST, {**made_by, "status": EMPTIED})
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
    """Write plain values as JSON, which is YAML too, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def file_entries(folder: Path) -> list[dict[str, Any]]:
    """Return name, size and SHA-256 of every file in a result folder but the manifest and the lock."""
    return [
        {
            "name": path.relative_to(folder).as_posix(),
            "size_byte": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {MANIFEST, LOCK}
    ]
