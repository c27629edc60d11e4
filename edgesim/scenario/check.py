"""All checks of a scenario together: every mistake is found at once, and shown where it stands."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgesim.domain.columns import RESERVED
from edgesim.errors import DataError, Finding, PlanError, ScenarioError
from edgesim.files.recorded import read_recorded
from edgesim.files.untrusted import hidden_in
from edgesim.interfaces import Checkable
from edgesim.nn.models.untrained import ShapeOnly
from edgesim.registry import nearest_name
from edgesim.scenario.code.permission import excused, withheld
from edgesim.scenario.code.plugins import PluginImportError, absolute, import_plugin
from edgesim.scenario.form.options import describe
from edgesim.scenario.form.sweep import FactorSpec, design_problems, points, read_factors
from edgesim.scenario.graphs.files import GraphFile, with_graph_file
from edgesim.scenario.text.paths import keys_at, split, with_value
from edgesim.scenario.text.places import with_absolute_places
from edgesim.scenario.text.problems import Problem, problems_of
from edgesim.scenario.text.recorded import with_failures, with_rates
from edgesim.scenario.topology import catalog
from edgesim.scenario.topology.references import named_profiles, reference_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgesim.scenario.form.schema import Scenario
    from edgesim.scenario.text.source import DataPath, Source

MAX_COMBINATIONS = 256
"""Of several factors, up to so many combinations are checked beforehand; each value alone is always checked."""
_HIDDEN = "here are characters that are not printable, such as those that control a terminal"
_NOT_SWEPT = ("name", "question", "replications", "plugins", "sweep", "skip")


def check(source: Source, form: type[Scenario], *, allow_code: bool = False) -> Scenario:
    """Return the scenario in `source`.

    Parameters
    ----------
    source : plain data and where it stands.
    form : the pydantic model of the whole scenario.
    allow_code : whether the code that the scenario names may run, from now on; else what was allowed before may.

    Raises
    ------
    ScenarioError
        With every finding, file by file in order of line, when there is one.
    """
    hidden = [*hidden_in(source.data)]
    if hidden:
        raise ScenarioError(tuple(source.finding(path, _HIDDEN, remedy="leave them out") for path in hidden))
    data = _with_absolute_plugins(dict(source.data), source)
    codes = withheld(data, allow_code=allow_code)
    problems = [code.problem(_at(source.data, code.path)) for code in codes]
    problems += _import_plugins(data, source.data.get("plugins"), {code.name for code in codes})
    data, graph, unread = with_files(data, source)
    problems += unread
    data = with_absolute_places(form, complete(data), source)
    result, wrong = _problems(data, form)
    problems += wrong
    problems += _sweep(data, form, wrong, None if problems else result)
    problems = excused(problems, codes)
    elsewhere = [problem for problem in problems if not graph.holds(problem)]
    in_graph = graph.findings([problem for problem in problems if graph.holds(problem)])
    findings = {*source.findings, *(locate(problem, source) for problem in elsewhere), *in_graph}
    if result is None or findings:
        raise ScenarioError(tuple(sorted(findings, key=lambda one: (one.file != source.file, one.file, *_place(one)))))
    return result


def with_files(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], GraphFile, list[Problem]]:
    """Put what files say in the place of their names; return also what comes from a graph file, and what is wrong with files."""
    data, unread = with_rates(data, source)
    data, graph, unreadable = with_graph_file(data, source)
    data, undone = with_failures(data, source)
    data, untimed = _with_trace_file(data, source)
    return data, graph, [*unread, *unreadable, *undone, *untimed]


def _place(finding: Finding) -> tuple[int, int, str, str]:
    return finding.line, finding.column, str(finding.path), finding.message


def locate(problem: Problem, source: Source) -> Finding:
    """Return the finding of a problem, with its place in the text."""
    remedy = problem.remedy
    if "rate_at" in problem.path and problem.path not in source.marks:  # a list of steps may stand without its key
        problem = replace(problem, path=tuple(part for part in problem.path if part != "steps"))
    if problem.path[:1] in {("topology",), ("profiles",)} and problem.path[:3] not in source.marks:
        graph = source.marks.get(("topology", "file"))
        is_listed = problem.path[1:2] in {("devices",), ("links",), ("media",)} and len(problem.path) > 2
        if graph and (is_listed or problem.path[:1] == ("profiles",)):  # it stands in the graph file
            return source.finding(("topology", "file"), problem.message, expected=problem.expected, remedy=remedy)
    label = source.marks.get(problem.path[:-1])
    if problem.path[-1:] == ("type",) and problem.path not in source.marks and label and not label.is_scalar:
        remedy = f"{remedy}; without `type:` the label is the type"
    found = source.finding(
        problem.path, problem.message, expected=problem.expected, remedy=remedy, is_key=problem.is_key
    )
    return replace(found, is_unchecked=problem.is_unchecked)


def complete(data: dict[str, Any]) -> dict[str, Any]:
    """Write out the short forms: labels that are types, bare names of plug-ins, catalog profiles that devices name."""
    completed = dict(data)
    for seam in ("strategies", "failures"):
        plugins = data.get(seam)
        if isinstance(plugins, dict):
            completed[seam] = {label: _typed(options, label) for label, options in plugins.items()}
    workload = data.get("workload")
    if isinstance(workload, dict):
        named = {key: _typed(workload[key], None) for key in ("dataset", "model") if key in workload}
        completed["workload"] = workload | named
    topology = data.get("topology")
    profiles = data.get("profiles") or {}
    if isinstance(topology, dict) and isinstance(profiles, dict):
        used = [name for _, name in named_profiles(topology)]
        missing = {name: {"extends": name} for name in used if name in catalog.names()}
        completed["profiles"] = missing | profiles
    return {key: value for key, value in completed.items() if value is not None or key not in _EMPTY_MAY_STAND}


_EMPTY_MAY_STAND = ("failures", "sweep", "skip", "plugins", "profiles")  # `failures:` with nothing after it means none


def _typed(options: Any, label: str | None) -> Any:
    if isinstance(options, str):
        return {"type": options}
    if options is None and label is not None:
        return {"type": label}
    if isinstance(options, dict) and "type" not in options and label is not None:
        return {"type": label, **options}
    return options


def _problems(data: dict[str, Any], form: type[Scenario]) -> tuple[Scenario | None, list[Problem]]:
    """Return the scenario if its form is right, and what is wrong with it apart from the sweep's targets."""
    result: Scenario | None = None
    problems: list[Problem] = []
    try:
        result = form.model_validate_json(json.dumps(data))
    except ValidationError as error:
        problems += problems_of(error, form, data)
    except (TypeError, ValueError) as error:
        problems.append(Problem((), f"not plain data: {error}", "texts, numbers, true, false, lists and mappings"))
    problems += reference_problems(data)
    if result is not None and not problems:
        problems += plugin_problems(result)
    return result, problems


def plugin_problems(scenario: Scenario) -> Iterator[Problem]:
    """Let the plug-ins that can say so check whether the topology allows them."""
    if scenario.topology.file is not None:  # it could not be read as a whole
        return
    topology = scenario.built
    for seam, plugins in (("strategies", scenario.strategies), ("failures", scenario.failures)):
        for label, plugin in plugins.items():
            if isinstance(plugin, Checkable):
                try:
                    plugin.check(topology)
                except PlanError as error:
                    message, _, remedy = str(error).partition("; ")
                    yield Problem((seam, label), message, remedy=remedy)
    yield from _untaught(scenario)
    if scenario.engine == "array":
        from edgesim.failures.sampling.draw import batch_obstacle  # needs numpy

        reason = "the requests of a trial wait for each other" if scenario.workload.load is not None else ""
        reason = reason or batch_obstacle(dict(scenario.failures), topology)
        rates = (*(link.rate_at for link in topology.links), *(medium.rate_at for medium in topology.media))
        if any(rate is not None for rate in rates):
            reason = reason or "the rates of links change with time"
        if reason:
            yield Problem(
                ("engine",), f"the array engine cannot simulate this: {reason}", remedy="write `engine: auto`"
            )


def _untaught(scenario: Scenario) -> Iterator[Problem]:
    """Report strategies that learn from samples where there are none."""
    if not isinstance(scenario.workload.dataset, ShapeOnly):
        return
    for label, strategy in scenario.strategies.items():
        if getattr(strategy, "needs_training", True):
            yield Problem(
                ("strategies", label), "it learns from samples, but the workload has none, only their shape",
                remedy="give the workload a `dataset`, or take a strategy that only divides the network: single, modnn",
            )  # fmt: skip


def _with_absolute_plugins(data: dict[str, Any], source: Source) -> dict[str, Any]:
    plugins = data.get("plugins")
    if not isinstance(plugins, list):
        return data
    names = [absolute(name, source.folder_of(("plugins",))) if isinstance(name, str) else name for name in plugins]
    return data | {"plugins": names}


def _with_trace_file(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[Problem]]:
    """Put the times of a trace file into the scenario, so that it needs the file no more and its hash knows them."""
    place: DataPath = ("workload", "load", "arrivals")
    found: Any = data
    for key in place:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict) or found.get("type") != "trace" or not found.get("file"):
        return data, []
    name, start = found["file"], found.get("start", "zero")
    problems: list[Problem] = []
    times_s: tuple[float, ...] = (0.0,)
    if not isinstance(name, str) or found.get("times"):
        problems.append(
            Problem((*place, "file"), "a trace has times or the name of a file", "`times` or `file`, not both")
        )
    elif start in ("zero", "first"):  # else reported with the form
        try:
            times_s = read_recorded(source.folder_of((*place, "file")) / name, start=start).times_s
        except DataError as error:
            problems.append(Problem((*place, "file"), str(error), "a text file with a time in each line"))
    times = {"times": [f"{time_s!r} s" for time_s in times_s]}
    done = {"file"} | ({"start"} if start == "first" else set())
    arrivals = times | {key: value for key, value in found.items() if key not in done and value != []}
    load = data["workload"]["load"] | {"arrivals": arrivals}
    return {**data, "workload": data["workload"] | {"load": load}}, problems


def _at(data: Any, path: DataPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _import_plugins(data: dict[str, Any], written: Any, left_out: set[str]) -> Iterator[Problem]:
    """Import every plug-in that may run; `written` is how the scenario names them, before their paths were made absolute."""
    plugins = data.get("plugins")
    for index, name in enumerate(plugins if isinstance(plugins, list) else ()):
        if isinstance(name, str) and name not in left_out:
            try:
                import_plugin(name, shown=str(written[index]))
            except PluginImportError as error:
                yield Problem(("plugins", index), error.message, remedy=error.remedy)


def _sweep(
    data: dict[str, Any], form: type[Scenario], known: list[Problem], scenario: Scenario | None
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
            doubtful = [index for index, value in enumerate(values) if known or not _is_valid(scenario, {path: value})]
            problems += _wrong_values(data, form, known, (place, path, values), doubtful)
    skip = data.get("skip")
    if len(factors) == len(sweep):
        problems += design_problems(factors, skip if isinstance(skip, (list, tuple)) else ())
    if 1 < len(factors) == len(sweep) and not problems and not known:
        problems += _wrong_combination(scenario, data, form, factors)
    return problems


def _is_valid(scenario: Scenario | None, changes: dict[str, Any]) -> bool:
    """Say whether a scenario is surely valid with other values; what is not is checked as a whole."""
    return scenario is not None and scenario.variants.at(changes) is not None


def _wrong_path(data: dict[str, Any], form: type[Scenario], path: str, place: DataPath) -> Problem | None:
    parts = split(path)
    if parts[0] in _NOT_SWEPT:
        return Problem(
            place, f"{parts[0]!r} cannot be swept", "a path below profiles, topology, workload, strategies or failures"
        )
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
    form: type[Scenario],
    known: list[Problem],
    factor: tuple[DataPath, str, Sequence[Any]],
    doubtful: Sequence[int],
) -> Iterator[Problem]:
    """Check values of a factor, the other factors being at what the scenario says; `doubtful` are the positions of those to check."""
    place, path, values = factor
    found: dict[tuple[str, str], tuple[int, Problem, list[Any]]] = {}
    for index in doubtful:
        value = values[index]
        if isinstance(value, (list, dict)) or value is None:
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
    scenario: Scenario | None, data: dict[str, Any], form: type[Scenario], factors: dict[str, FactorSpec]
) -> Iterator[Problem]:
    """Report the first combination of values that is not valid although each value alone is."""
    combinations = points(factors, data.get("skip") or ())
    if len(combinations) > MAX_COMBINATIONS:
        return
    for point in combinations:
        changes = {factors[name].path: value for name, value in point.items()}
        new = None if _is_valid(scenario, changes) else _new_problem(data, form, [], changes)
        if new:
            text = ", ".join(f"{path} = {value}" for path, value in changes.items())
            yield Problem(("sweep",), f"not valid together: {text}: {new.message}", new.expected, new.remedy)
            return


def _new_problem(
    data: dict[str, Any], form: type[Scenario], known: list[Problem], changes: dict[str, Any]
) -> Problem | None:
    """Return what the changes make wrong that was not wrong before."""
    changed: dict[str, Any] = {**data, "sweep": {}, "skip": []}
    for path, value in changes.items():
        changed = with_value(changed, path, value)
    _, problems = _problems(complete(changed), form)
    before = {(problem.path, problem.message) for problem in known}
    return next((problem for problem in problems if (problem.path, problem.message) not in before), None)
