"""The result folder: the tables in it, and how it comes into being whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.errors import ResultError
from edgesim.study.design import Case, show_value
from edgesim.study.summary import UNITS, Row, show_number
from edgesim.study.trial import OUTCOMES, Trials

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SUMMARY, TRIALS, SCENARIO, MANIFEST = "summary.csv", "trials.parquet", "scenario.yaml", "manifest.json"
_NUMBERS = ("mean", "ci_low", "ci_high", "n", "exact")


@dataclass(frozen=True)
class Result:
    """A finished study, read from its folder.

    Parameters
    ----------
    folder : holds ``summary.csv``, ``trials.parquet``, ``manifest.json`` and the figures.
    """

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What was run: scenario, hash, seed, versions, command, deployments, files."""
        return read_manifest(self.folder)

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors, in the order of the sweep."""
        return tuple(self.manifest["factors"])

    def frame(self) -> pd.DataFrame:
        """Return all trials, one per row."""
        import pandas as pd

        return pd.read_parquet(self.folder / TRIALS)

    def summary(self) -> pd.DataFrame:
        """Return one row per factor point, strategy and metric."""
        import pandas as pd

        missing = {name: [""] for name in _NUMBERS}
        return pd.read_csv(self.folder / SUMMARY, keep_default_na=False, na_values=missing)

    def intact(self) -> pd.DataFrame:
        """Return one row per factor point and strategy: every metric when nothing is lost."""
        import pandas as pd

        return pd.DataFrame(self.manifest["intact"], columns=[*self.factors, "strategy", "outcome", *UNITS])


def write_summary(path: Path, cases: Sequence[Case], rows: Sequence[Sequence[Row]]) -> None:
    """Write the tidy table: a row per case and metric."""
    factors = tuple(cases[0].point)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*factors, "strategy", "metric", "unit", *_NUMBERS])
        for case, metrics in zip(cases, rows, strict=True):
            place = [show_value(case.point[name]) for name in factors]
            for row in metrics:
                estimate = row.estimate
                numbers = [show_number(value) for value in (estimate.value, estimate.low, estimate.high)]
                last = [str(estimate.n), show_number(row.exact)]
                table.writerow([*place, case.strategy, row.metric, UNITS[row.metric], *numbers, *last])


def write_trials(
    path: Path, cases: Sequence[Case], trials: Sequence[Trials], accuracy: Sequence[NDArray[np.float64]]
) -> None:
    """Write all drawn trials, one per row, in the order of cases and replications.

    ``lost_transfers`` is a hexadecimal number whose bit i is set when the i-th transfer of the plan was not delivered.
    """
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, pa.Array] = {}
    lengths = [len(part) for part in trials]
    for name in cases[0].point:
        columns[name] = _spread(_factor_column([case.point[name] for case in cases]), lengths)
    columns["strategy"] = _spread(pa.array([case.strategy for case in cases], pa.string()), lengths)
    columns["replication"] = pa.array(np.concatenate([np.arange(n, dtype=np.int64) for n in lengths]))
    codes = np.concatenate([part.outcome for part in trials])
    columns["outcome"] = pa.DictionaryArray.from_arrays(pa.array(codes), list(OUTCOMES)).cast(pa.string())
    columns["accuracy"] = pa.array(np.concatenate(accuracy))
    for name in ("latency_s", "input_byte", "intermediate_byte", "result_byte", "energy_j"):
        columns[name] = pa.array(np.concatenate([getattr(part, name) for part in trials]))
    columns["lost_transfers"] = pa.array([f"{lost:x}" for part in trials for lost in part.lost], pa.string())
    parquet.write_table(pa.table(columns), path, compression="zstd")


def _factor_column(values: Sequence[object]) -> Any:
    """Return a factor's values as whole numbers, numbers or texts, whichever holds them all."""
    import pyarrow as pa

    kinds = {type(value) for value in values}
    if kinds <= {int}:
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        return pa.array(values, pa.float64())
    return pa.array([show_value(value) for value in values], pa.string())


def _spread(column: Any, lengths: Sequence[int]) -> Any:
    """Repeat each case's value for its trials."""
    return column.take(np.repeat(np.arange(len(lengths)), lengths))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a result folder.

    Raises
    ------
    ResultError
        When there is none, or it cannot be read.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultError(f"{folder} is not a result folder of edgesim: {MANIFEST} cannot be read ({error})") from error
    if not isinstance(content, dict) or "scenario" not in content or "hash" not in content:
        raise ResultError(f"{folder} is not a result folder of edgesim: {MANIFEST} holds no scenario")
    return content


def check_target(folder: Path, scenario: Mapping[str, Any], scenario_hash: str) -> None:
    """Refuse a folder that holds something else than this study, or that cannot be written, before any work is done.

    Raises
    ------
    ResultError
        It says what differs, and how to write elsewhere.
    """
    elsewhere = "choose another folder with --output"
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MANIFEST).is_file():
            raise ResultError(f"{folder} holds files that are not a result of edgesim; {elsewhere}")
        other = read_manifest(folder)
        if other["hash"] != scenario_hash:
            raise ResultError(
                f"{folder} holds the results of another scenario ({differences(other['scenario'], scenario)}); "
                f"remove it or {elsewhere}"
            )
    elif folder.exists() and not folder.is_dir():
        raise ResultError(f"{folder} is a file; {elsewhere}")
    parent = next(path for path in folder.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ResultError(f"{parent} cannot be written; {elsewhere}")


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


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`; take its place when everything is written, vanish on any error.

    Raises
    ------
    ResultError
        When the disk is full or the folder cannot be written.
    """
    target = folder.absolute()
    partial = target.parent / f".{target.name}.{os.getpid()}.partial"
    replaced = target.parent / f".{target.name}.{os.getpid()}.replaced"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        yield partial
        if target.exists():
            target.rename(replaced)
        partial.rename(target)
    except OSError as error:
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        raise ResultError(f"the results cannot be written to {folder}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values as JSON, which is YAML too."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def file_hashes(folder: Path) -> list[dict[str, Any]]:
    """Return name, size and SHA-256 of every file in a result folder but the manifest."""
    return [
        {"name": path.name, "size_byte": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    ]
