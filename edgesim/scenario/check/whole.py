"""All checks of a scenario together: every mistake is found at once, and shown where it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgesim.errors import Finding, ScenarioError
from edgesim.files.untrusted import hidden_in
from edgesim.scenario.check.form import F, form_problems
from edgesim.scenario.check.short_forms import complete
from edgesim.scenario.check.sweep import search_problems, sweep_problems
from edgesim.scenario.check.variants import Variants
from edgesim.scenario.code.permission import code_in, excused, withheld
from edgesim.scenario.code.plugins import PluginImportError, absolute, import_plugin
from edgesim.scenario.files.contents import with_files
from edgesim.scenario.files.places import absolute_name, with_absolute_places
from edgesim.scenario.form.paths import with_item
from edgesim.scenario.form.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.scenario.text.source import DataPath, Source

_HIDDEN = "here are characters that are not printable, such as those that control a terminal"


def check(source: Source, form: type[F], *, allow_code: bool = False) -> tuple[F, Variants[F]]:
    """Return the scenario in `source`, and its variants, of which the sweep may have been read already.

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
    data = _with_absolute_programs(_with_absolute_plugins(dict(source.data), source), source)
    codes = withheld(data, allow_code=allow_code)
    problems = [code.problem(_at(source.data, code.path)) for code in codes]
    failed = list(_import_plugins(data, source.data.get("plugins"), {code.name for code in codes}))
    problems += failed
    data, graph, unread = with_files(data, source)
    problems += unread
    data = with_absolute_places(form, complete(data), source)
    result, wrong = form_problems(data, form)
    problems += wrong
    variants = None if result is None else Variants(result)
    known = None if problems else variants
    problems += [*sweep_problems(data, form, wrong, known), *search_problems(data, form, wrong, known)]
    problems = excused(problems, has_idle_plugin=bool(failed) or any(code.is_plugin for code in codes))
    elsewhere = [problem for problem in problems if not graph.holds(problem)]
    in_graph = graph.findings([problem for problem in problems if graph.holds(problem)])
    findings = {*source.findings, *(locate(problem, source) for problem in elsewhere), *in_graph}
    if result is None or variants is None or findings:
        raise ScenarioError(tuple(sorted(findings, key=lambda one: (one.file != source.file, one.file, *_place(one)))))
    return result, variants


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
        remedy = "; ".join(filter(None, (remedy, "without `type:` the label is the type")))
    found = source.finding(
        problem.path, problem.message, expected=problem.expected, remedy=remedy, is_key=problem.is_key
    )
    return replace(found, is_unchecked=problem.is_unchecked)


def _with_absolute_programs(data: dict[str, Any], source: Source) -> dict[str, Any]:
    """Return the data with whole names of programs of `torch.export`, so that permission is for their content."""
    for code in code_in(data):
        if code.is_program and "\0" not in code.name:
            data = with_item(data, code.path, absolute_name(code.name, source.folder_of(code.path)))
    return data


def _with_absolute_plugins(data: dict[str, Any], source: Source) -> dict[str, Any]:
    plugins = data.get("plugins")
    if not isinstance(plugins, list):
        return data
    names = [absolute(name, source.folder_of(("plugins",))) if isinstance(name, str) else name for name in plugins]
    return data | {"plugins": names}


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
