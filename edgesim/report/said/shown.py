"""What `edgesim run` shows of a finished study, kept in its folder: it is there at once when the study is looked at again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from edgesim.errors import DataError, ResultError
from edgesim.files.untrusted import read_json
from edgesim.report.table import Table
from edgesim.study.folder.manifest_file import MOST_BYTE, json_text
from edgesim.study.folder.names import SHOWN

if TYPE_CHECKING:
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.folder.store import Result


@dataclass(frozen=True, slots=True)
class Shown:
    """What is said about a finished study.

    Parameters
    ----------
    answer : to its question, in a few sentences.
    tables : of its numbers.
    warnings : what a reader must know besides.
    hints : what may be written in its scenario instead.
    is_incomplete : whether a strategy does not fit the memory somewhere, or gives no answer although nothing is lost.
    """

    answer: str
    tables: tuple[Table, ...]
    warnings: tuple[str, ...]
    hints: tuple[str, ...]
    is_incomplete: bool


def shown_of(result: Result, scenario: Scenario) -> Shown:
    """Return what is said about the result of a scenario, made of its tables."""
    from edgesim.report.answer import answer
    from edgesim.report.goals import all_tables
    from edgesim.report.said.warnings import (
        infeasible,
        lost_messages,
        oddities,
        overfull,
        rare_events,
        targets,
        uncounted,
    )

    unfit, odd = tuple(infeasible(result)), tuple(oddities(result))
    first = (*targets(result), *rare_events(result), *uncounted(result), *overfull(result, scenario))
    return Shown(
        answer(result),
        tuple(all_tables(result)),
        (*first, *result.doubts(), *unfit, *(text for text, _ in odd)),
        tuple(lost_messages(result, scenario)),
        bool(unfit) or any(is_silent for _, is_silent in odd),
    )


def shown_as_json(shown: Shown) -> str:
    """Return what is said as the text of its file."""
    tables = [{**asdict(table), "best": sorted(table.best)} for table in shown.tables]
    return json_text({**asdict(shown), "tables": tables})


def shown_in(result: Result, scenario: Scenario) -> Shown:
    """Return what is said about a finished study: what stands in its folder, or made anew where that was written without it.

    Raises
    ------
    ResultError
        When the file is damaged.
    """
    from pydantic import TypeAdapter

    path = result.folder / SHOWN
    if not path.is_file():
        return shown_of(result, scenario)
    try:
        return TypeAdapter(Shown).validate_python(read_json(path, most_byte=MOST_BYTE))
    except (DataError, ValueError) as error:
        raise ResultError(f"{path} is damaged; run the scenario again with --fresh") from error
