"""Factors that can be varied as the scenario says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesim.domain.columns import RESERVED
from edgesim.errors import nearest_name
from edgesim.scenario.check.form import form_problems
from edgesim.scenario.check.short_forms import complete
from edgesim.scenario.form.options import describe
from edgesim.scenario.form.paths import keys_at, split, with_value
from edgesim.scenario.form.problems import Problem
from edgesim.scenario.form.sweep import FactorSpec, design_problems, points, read_factors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgesim.scenario.check.variants import Variants
    from edgesim.scenario.schema import ScenarioSpec
    from edgesim.scenario.text.source import DataPath

MAX_COMBINATIONS = 256
"""Of several factors, up to so many combinations are checked beforehand; each value alone is always checked."""
_NOT_SWEPT = ("name", "question", "replications", "goals", "plugins", "sweep", "skip", "search")


def sweep_problems(
    data: dict[str, Any], form: type[ScenarioSpec], known: list[Problem], variants: Variants[Any] | None
) -> list[Problem]:
    """Check where factors point, each of their values, which of them move together, and combinations if there are few."""
    sweep = data.get("sweep")
    sweep = sweep if isinstance(sweep, dict) else {}
    factors = read_factors(sweep)
    problems: list[Problem] = []
    for name, factor in sweep.items():
        if name in RESERVED:
            message = f"{name!r} is a column of the result tables"
            problems.append(Problem(("sweep", name), message, remedy="choose another name", is_key=True))
        path = factor.get("path") if isinstance(factor, dict) else None
        if not isinstance(path, str):
            continue
        wrong_path = _wrong_path(data, form, path, ("sweep", name, "path"))
        if wrong_path:
            problems.append(wrong_path)
            continue
        values = factors[name].levels if name in factors else factor.get("values")
        if isinstance(values, (list, tuple)):
            place = ("sweep", name, "values") if "values" in factor else ("sweep", name)
            doubtful = [index for index, value in enumerate(values) if known or not _is_valid(variants, {path: value})]
            problems += _wrong_values(data, form, known, (place, path, values), doubtful)
    skip = data.get("skip")
    if len(factors) == len(sweep):
        problems += design_problems(factors, skip if isinstance(skip, (list, tuple)) else ())
    if 1 < len(factors) == len(sweep) and not problems and not known:
        problems += _wrong_combination(variants, data, form, factors)
    return problems


def search_problems(
    data: dict[str, Any], form: type[ScenarioSpec], known: list[Problem], variants: Variants[Any] | None
) -> list[Problem]:
    """Check where the choices of a search point, and each of their values; values that are not valid together are the search's business."""
    search = data.get("search")
    choices = search.get("choices") if isinstance(search, dict) else None
    problems: list[Problem] = []
    for name, choice in choices.items() if isinstance(choices, dict) else ():
        path, values = (choice.get(key) if isinstance(choice, dict) else None for key in ("path", "values"))
        if not isinstance(path, str):
            continue
        place: DataPath = ("search", "choices", name)
        wrong_path = _wrong_path(data, form, path, (*place, "path"))
        if wrong_path:
            problems.append(wrong_path)
        elif isinstance(values, (list, tuple)):
            doubtful = [index for index, value in enumerate(values) if known or not _is_valid(variants, {path: value})]
            problems += _wrong_values(data, form, known, ((*place, "values"), path, values), doubtful, may_nest=True)
    return problems


def _is_valid(variants: Variants[Any] | None, changes: dict[str, Any]) -> bool:
    """Say whether a scenario is surely valid with other values; what is not is checked as a whole."""
    return variants is not None and variants.at(changes) is not None


def _wrong_path(data: dict[str, Any], form: type[ScenarioSpec], path: str, place: DataPath) -> Problem | None:
    parts = split(path)
    if parts[0] in _NOT_SWEPT:
        return Problem(
            place, f"{parts[0]!r} cannot be swept", "a path below profiles, topology, workload, strategies or failures"
        )
    if parts[-1] == "extends":  # written out before
        return Problem(place, "'extends' cannot be swept", "a number that it gives, such as bandwidth or memory")
    for position, part in enumerate(parts):
        keys = keys_at(form, data, parts[:position]) or ()
        if str(part) in keys:
            continue
        before = ".".join(str(one) for one in parts[:position])
        near = nearest_name(str(part), keys)
        rest = parts[position + 1 :]
        suggestion = ".".join(str(one) for one in (*parts[:position], near, *rest))
        where = repr(before) if before else "the scenario"
        expected = f"{where} has {', '.join(keys)}" if keys else f"nothing stands below {where}"
        nearest = f"; nearest {suggestion!r}" if near else ""
        return Problem(place, f"no such path {path!r}", expected + nearest, meant=parts)
    return None


def _wrong_values(
    data: dict[str, Any],
    form: type[ScenarioSpec],
    known: list[Problem],
    factor: tuple[DataPath, str, Sequence[Any]],
    doubtful: Sequence[int],
    *,
    may_nest: bool = False,
) -> Iterator[Problem]:
    """Check values of a factor, the other factors being at what the scenario says; `doubtful` are the positions of those to check."""
    place, path, values = factor
    found: dict[tuple[str, str], tuple[int, Problem, list[Any]]] = {}
    for index in doubtful:
        value = values[index]
        if not may_nest and (isinstance(value, (list, dict)) or value is None):
            continue  # reported with the form
        new = _new_problem(data, form, known, {path: value})
        if new:
            cause = (new.message.replace(describe(value), "{}"), new.expected)  # equal mistakes become one finding
            found.setdefault(cause, (index, new, []))[2].append(value)
    for index, new, wrong in found.values():
        text = new.message if new.path == split(path) else f"with {path} = {wrong[0]}: {new.message}"
        others = f" (and so for {', '.join(map(str, wrong[1:]))})" if len(wrong) > 1 else ""
        at = (*place, index) if place[-1] == "values" else place
        yield Problem(at, text + others, new.expected, new.remedy)


def _wrong_combination(
    variants: Variants[Any] | None, data: dict[str, Any], form: type[ScenarioSpec], factors: dict[str, FactorSpec]
) -> Iterator[Problem]:
    """Report the first combination of values that is not valid although each value alone is."""
    combinations = points(factors, data.get("skip") or ())
    if len(combinations) > MAX_COMBINATIONS:
        return
    for point in combinations:
        changes = {factors[name].path: value for name, value in point.items()}
        new = None if _is_valid(variants, changes) else _new_problem(data, form, [], changes)
        if new:
            text = ", ".join(f"{path} = {value}" for path, value in changes.items())
            yield Problem(("sweep",), f"not valid together: {text}: {new.message}", new.expected, new.remedy)
            return


def _new_problem(
    data: dict[str, Any], form: type[ScenarioSpec], known: list[Problem], changes: dict[str, Any]
) -> Problem | None:
    """Return what the changes make wrong that was not wrong before."""
    changed: dict[str, Any] = {key: value for key, value in data.items() if key != "search"} | {"sweep": {}, "skip": []}
    for path, value in changes.items():
        changed = with_value(changed, path, value)
    _, problems = form_problems(complete(changed), form)
    before = {(problem.path, problem.message) for problem in known}
    return next((problem for problem in problems if (problem.path, problem.message) not in before), None)
