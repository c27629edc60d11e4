"""The tables of a result folder, written whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from edgesim.files.whole import write_text
from edgesim.study.cases.design import Case, Unfit, show_value
from edgesim.study.folder.manifest_file import json_text
from edgesim.study.tables.summary import Row, show_number
from edgesim.study.trials.load import unit_of

if TYPE_CHECKING:
    from edgesim.domain.records import Sample
    from edgesim.study.tables.paired import Difference
    from edgesim.study.tables.statistics import Estimate
    from edgesim.study.trials.budget import BudgetRow


def write_summary(
    path: Path, cases: Sequence[Case | Unfit], rows: Sequence[Sequence[Row]], units: Mapping[str, str]
) -> None:
    """Write the tidy table: a row per case and metric."""
    table: list[list[str]] = []
    for case, metrics in zip(cases, rows, strict=True):
        place = [show_value(value) for value in case.point.values()]
        for row in metrics:
            last = [str(row.estimate.n), show_number(row.n_effective), show_number(row.exact)]
            table.append(
                [*place, case.strategy, row.metric, unit_of(row.metric, units), *_estimate(row.estimate), *last]
            )
    _write_table(path, [*cases[0].point, *SUMMARY_NAMES, *SUMMARY_NUMBERS], table)


def write_queues(path: Path, rows: Sequence[tuple[str, Sample]] | None) -> None:
    """Write what waits over time: a row per strategy, resource and moment; nothing when a trial is one request."""
    if rows is not None:
        table = [
            [
                strategy, one.resource_id, show_number(one.time_s), str(one.n_waiting), str(one.n_present),
                show_number(one.utilisation),
            ]
            for strategy, one in rows
        ]  # fmt: skip
        _write_table(path, [*QUEUE_NAMES, *QUEUE_NUMBERS], table)


def write_budget(path: Path, cases: Sequence[Case | Unfit], rows: Sequence[Sequence[BudgetRow]]) -> None:
    """Write where the mean latency goes: a row per case and part."""
    table = [
        [*map(show_value, case.point.values()), case.strategy, row.part, show_number(row.mean_s), show_number(row.share), str(row.n)]
        for case, parts in zip(cases, rows, strict=True)
        for row in parts
    ]  # fmt: skip
    _write_table(path, [*cases[0].point, *BUDGET_NAMES, *BUDGET_NUMBERS], table)


def write_sensitivity(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what assumed numbers change: a row per number, factor, strategy and metric."""
    table = [
        [
            *(str(row[name]) for name in SENSITIVITY_NAMES),
            *(show_number(float(row[name])) for name in SENSITIVITY_NUMBERS),
        ]
        for row in rows
    ]
    _write_table(path, [*SENSITIVITY_NAMES, *SENSITIVITY_NUMBERS], table)


def write_differences(
    path: Path, cases: Sequence[Case], differences: Sequence[Difference], units: Mapping[str, str]
) -> None:
    """Write the paired differences: a row per factor point, pair of strategies and metric."""
    table: list[list[str]] = []
    for one in differences:
        case, other = cases[one.case], cases[one.other]
        place = [show_value(value) for value in case.point.values()]
        last = [str(one.estimate.n), show_number(one.correlation)]
        pair = [case.strategy, other.strategy, one.metric, unit_of(one.metric, units)]
        table.append([*place, *pair, *_estimate(one.estimate), *last])
    header = [*cases[0].point, *DIFFERENCE_NAMES, *DIFFERENCE_NUMBERS]
    _write_table(path, header, table)


def _estimate(estimate: Estimate) -> list[str]:
    return [show_number(value) for value in (estimate.value, estimate.low, estimate.high)]


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_text(path, text.getvalue())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values as JSON, whole or not at all."""
    write_text(path, json_text(content))
