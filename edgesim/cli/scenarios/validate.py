"""`edgesim validate`: check scenario files."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from edgesim.cli.exit_codes import DONE, INCOMPLETE, WRONG_INPUT
from edgesim.errors import EdgesimError, Finding, NetworkError, ScenarioError, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgesim.scenario.form.problems import Problem
    from edgesim.scenario.scenario import Scenario


def validate(files: Sequence[Path], *, is_json: bool = False, is_deep: bool = False, allow_code: bool = False) -> int:
    """Check every file, show every finding on stdout and every warning on stderr, and return the exit code."""
    from edgesim.scenario.scenario import Scenario

    found: dict[str, tuple[Finding, ...]] = {}
    odd: dict[str, tuple[Finding, ...]] = {}
    notes: dict[str, Sequence[str]] = {}
    for path in files:
        try:
            scenario = Scenario.load(path, allow_code=allow_code)
        except ScenarioError as error:
            found[str(path)] = error.findings
            if not is_json:
                typer.echo(str(error))
                if all(finding.is_unchecked for finding in error.findings):
                    typer.echo(
                        f"{visible(str(path))}: no mistake found, but what the code above makes or names could not be checked"
                    )
        else:
            found[str(path)], odd[str(path)] = _rehearsed(path, scenario) if is_deep else ((), ())
            notes[str(path)] = _notes(scenario)
            odd[str(path)] = (*odd_findings(path, scenario), *odd[str(path)])
            if not is_json:
                is_valid = not found[str(path)]
                shown = [f"{visible(str(path))}: valid, {_size(scenario)}"] if is_valid else map(str, found[str(path)])
                typer.echo("\n".join([*shown, *map("  {}".format, notes[str(path)])]))
                for finding in odd[str(path)]:
                    typer.echo(f"warning: {finding}", err=True)
    if is_json:
        typer.echo(
            json.dumps([_record(name, found[name], odd.get(name, ()), notes.get(name, ())) for name in found], indent=2)
        )
    mistakes = {name: [one for one in findings if not one.is_unchecked] for name, findings in found.items()}
    n_mistakes = sum(len(findings) for findings in mistakes.values())
    if n_mistakes:
        n_files = sum(1 for findings in mistakes.values() if findings)
        typer.echo(f"{_count(n_mistakes, 'finding')} in {_count(n_files, 'file')}", err=True)
        return WRONG_INPUT
    return INCOMPLETE if any(found.values()) else DONE


def _notes(scenario: Scenario) -> list[str]:
    """Return what short forms stand for."""
    return [] if scenario.topology.wifi is None else [scenario.topology.wifi.told()]


def odd_findings(path: Path, scenario: Scenario) -> tuple[Finding, ...]:
    """Return what is legal but odd, with its place in the file."""
    from edgesim.scenario.help.oddities import oddities

    return _located(path, oddities(scenario))


def _rehearsed(path: Path, scenario: Scenario) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return what a rehearsal finds: what cannot be run, and what is odd."""
    from edgesim.scenario.form.problems import Problem
    from edgesim.study.preparation.rehearse import rehearse

    try:
        doubts = rehearse(scenario)
    except EdgesimError as error:
        message, _, remedy = "; ".join([str(error), *getattr(error, "__notes__", ())]).partition("; ")
        place = error.place if isinstance(error, NetworkError) else ("workload",)
        return _located(path, [Problem(place, message, remedy=remedy, is_key=True)]), ()
    wrong, odd = (
        [
            Problem(("strategies", one.strategy), one.message, remedy=one.remedy)
            for one in doubts
            if one.is_wrong == is_wrong
        ]
        for is_wrong in (True, False)
    )
    return _located(path, wrong), _located(path, odd)


def _located(path: Path, problems: Sequence[Problem]) -> tuple[Finding, ...]:
    """Return findings with their place in the file."""
    from edgesim.scenario.check.whole import locate
    from edgesim.scenario.text.extend import read_with_bases

    source = read_with_bases(path) if problems else None
    return tuple(locate(problem, source) for problem in problems) if source else ()


def _size(scenario: Scenario) -> str:
    n_strategies, n_points = len(scenario.strategies), len(scenario.points())
    rule = scenario.rule
    n_most = rule if isinstance(rule, int) else rule.ceiling
    n_trials = n_strategies * n_points * n_most
    at_least = "" if isinstance(rule, int) else f"{rule.floor:,} to "
    parts = (
        _count(n_strategies, "strategy", "strategies"),
        _count(n_points, "point"),
        at_least + _count(n_most, "replication"),
    )
    return f"{' x '.join(parts)} = {'at most ' if at_least else ''}{_count(n_trials, 'trial')}"


def _count(n: int, singular: str, plural: str = "") -> str:
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def _record(
    name: str, findings: tuple[Finding, ...], odd: tuple[Finding, ...], notes: Sequence[str]
) -> dict[str, object]:
    return {
        "file": name, "is_valid": not findings, "findings": _plain(findings), "warnings": _plain(odd), "notes": list(notes),
    }  # fmt: skip


def _plain(findings: tuple[Finding, ...]) -> list[dict[str, object]]:
    return [
        {key: value for key, value in asdict(finding).items() if key not in {"excerpt", "file"}} for finding in findings
    ]
