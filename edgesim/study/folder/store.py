"""A finished study, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgesim.domain.columns import (
    BUDGET_NAMES,
    BUDGET_NUMBERS,
    DIFFERENCE_NAMES,
    DIFFERENCE_NUMBERS,
    QUEUE_NAMES,
    QUEUE_NUMBERS,
    SENSITIVITY_NAMES,
    SENSITIVITY_NUMBERS,
    SUMMARY_NAMES,
    SUMMARY_NUMBERS,
)
from edgesim.domain.metrics import UNITS, Metric, metric_named
from edgesim.errors import ResultError, UnknownNameError, nearest_name
from edgesim.study.folder.contents import KINDS, faults, strange
from edgesim.study.folder.manifest_file import read_manifest
from edgesim.study.folder.names import BUDGET, DIFFERENCES, QUEUES, SENSITIVITY, SUMMARY, TRIALS
from edgesim.study.folder.reading import MOST_ROWS, check_budget, check_summary, read_table
from edgesim.study.folder.seal import NOT_WHOLE, is_whole

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow.dataset import Dataset

_AGAIN = "run the scenario again"


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
        self._refuse(faults(self.folder, self.manifest["files"], is_hashed=lambda name: not name.startswith(KINDS)))

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

        Under load a file has the columns of its own devices, links and recoveries; the data set has those of all files, empty
        (null) where a trial has no such thing.

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
        from pyarrow import ArrowException, dataset, parquet, unify_schemas

        if kind not in KINDS:
            raise UnknownNameError("kind of table", kind, KINDS, nearest_name(str(kind), KINDS))
        files = sorted((self.folder / kind).glob("*.parquet"))
        self._check_trials(kind, files)
        if not files:
            raise ResultError(f"{self.folder} has no {kind}; {_AGAIN}")
        try:
            schema = unify_schemas([parquet.read_schema(path) for path in files], promote_options="permissive")
            data = dataset.dataset([str(path) for path in files], schema.remove_metadata(), format="parquet")
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
        return self._table(DIFFERENCES, DIFFERENCE_NAMES, DIFFERENCE_NUMBERS)

    def budget(self) -> pd.DataFrame:
        """Return where the mean latency goes: one row per factor point, strategy and part, of which some first trials are divided."""
        table = self._table(BUDGET, BUDGET_NAMES, BUDGET_NUMBERS)
        check_budget(table, self.folder / BUDGET, self.factors, tuple(self.manifest["scenario"]["strategies"]))
        return table

    def queues(self) -> pd.DataFrame:
        """Return how much was at every resource over time, under load, in the first trial of each strategy at its first factor point.

        Raises
        ------
        ResultError
            When a trial is a single request, besides where any table is damaged.
        """
        if not (self.folder / QUEUES).exists() and "load" not in self.manifest["scenario"]["workload"]:
            raise ResultError(f"{self.folder}: a trial is one request; `workload.load` makes many of it")
        return self._table(QUEUES, QUEUE_NAMES, QUEUE_NUMBERS, has_factors=False)

    def sensitivity(self) -> pd.DataFrame:
        """Return what half and twice each assumed number does, at the first factor point; see `edgesim.study.changes.sensitivity`.

        Nothing where no number is assumed, where the study is too large to try that while it runs, and in results of older versions.
        """
        import pandas as pd

        columns = (SENSITIVITY_NAMES, SENSITIVITY_NUMBERS)
        if not (self.folder / SENSITIVITY).exists():
            return pd.DataFrame(columns=[*columns[0], *columns[1]])
        return self._table(SENSITIVITY, *columns, has_factors=False)

    def summary(self) -> pd.DataFrame:
        """Return one row per factor point, strategy and metric; the file is read and checked once while it stays as it is."""
        path = self.folder / SUMMARY
        state = (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else (0, 0)
        if state not in self._summaries:
            table = self._table(SUMMARY, SUMMARY_NAMES, SUMMARY_NUMBERS)
            check_summary(table, path, self.factors, tuple(self.manifest["scenario"]["strategies"]), tuple(self.scores))
            self._summaries.clear()
            self._summaries[state] = table
        return self._summaries[state].copy()

    @cached_property
    def _summaries(self) -> dict[tuple[int, int], pd.DataFrame]:
        """The summary that was read last, by time and size of its file."""
        return {}

    def _table(
        self, name: str, names: Sequence[str], numbers: Sequence[str], *, has_factors: bool = True
    ) -> pd.DataFrame:
        path = self.folder / name
        if not path.exists() and not self.is_complete:
            raise ResultError(
                f"{self.folder} has no {name}, it is not finished; go on with: {self.manifest['command']}"
            )
        try:
            return read_table(
                path,
                self.factors if has_factors else (),
                names,
                numbers,
                {name: score.unit for name, score in self.scores.items()},
            )
        except ResultError as error:
            raise ResultError(f"{error}; {_AGAIN}") from error

    def over(self, factors: Sequence[str]) -> pd.DataFrame:
        """Return the mean of every metric over the values of some factors, as folds or seeds; see `edgesim.study.tables.over.over`."""
        from edgesim.study.tables.over import over

        return over(self.summary(), self.factors, factors)

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

    def infeasible(self) -> pd.DataFrame:
        """Return which strategies do not fit the memory at which factor points: the device, and the bytes needed and there."""
        import pandas as pd

        columns = [*self.factors, "strategy", "device", "needed_byte", "available_byte"]
        return pd.DataFrame(self.manifest.get("infeasible", []), columns=columns)

    def engines(self) -> pd.DataFrame:
        """Return which engine simulated the trials of each strategy, how many were left to events, and why."""
        import pandas as pd

        columns = ["strategy", "engine", "trials", "by_events", "why"]
        return pd.DataFrame(self.manifest["engines"], columns=columns)

    def doubts(self) -> list[str]:
        """Return a warning for each trained network that is no better than chance or far below its teacher."""
        return [str(one["warning"]) for one in self.manifest["learnt"] if one["warning"]]

    @property
    def scores(self) -> dict[str, Metric]:
        """The scores of the task that were asked for, by name, the main one first."""
        return {one["name"]: _metric(one) for one in self.manifest["scores"]}

    @property
    def main_metric(self) -> str:
        """What the figures show: the main score of the task, or latency where no score was asked."""
        main = next(iter(self.scores))
        return main if (self.summary()["metric"] == main).any() else "latency"

    def metric(self, name: str) -> Metric:
        """Return what a metric of the summary is. Raises `KeyError` when there is none of this name."""
        return self.scores.get(name) or metric_named(name)

    def intact(self) -> pd.DataFrame:
        """Return one row per factor point and strategy: every metric when nothing is lost."""
        import pandas as pd

        table = pd.DataFrame(
            self.manifest["intact"], columns=[*self.factors, "strategy", "outcome", *self.scores, *UNITS]
        )
        return table.astype(dict.fromkeys([*self.scores, *UNITS], float))  # a column without any number would hold None


_TOLD = ("name", "unit", "summary", "formula", "validity", "source", "label", "is_share", "is_larger_better")


def _metric(score: Mapping[str, Any]) -> Metric:
    """Return a score that a manifest tells of; no bound stands for infinity."""
    lowest = -inf if score["lowest"] is None else score["lowest"]
    highest = inf if score["highest"] is None else score["highest"]
    return Metric(**{name: score[name] for name in _TOLD}, lowest=lowest, highest=highest)
