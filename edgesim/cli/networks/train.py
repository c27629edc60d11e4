"""`edgesim train`: train what a scenario needs, or one network, without simulating anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesim.cli.code import AllowCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.interfaces import Progress
    from edgesim.scenario.scenario import Scenario


def train(  # noqa: PLR0917 - typer passes options by name
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Scenario whose networks are trained.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="In place of the scenario's seed; else 1.")
    ] = None,
    strategies: Annotated[
        list[str] | None,
        typer.Option("--strategy", metavar="LABEL", help="Only this strategy of the scenario; repeatable."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Without a scenario: data set, as in one, e.g. '{type: digits}'.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Without a scenario: model, e.g. '{type: wrn, depth: 16}'.")
    ] = None,
    training: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Without a scenario: options, e.g. '{epochs: 30}'.")
    ] = None,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write what was trained to stdout as JSON.")] = False,
) -> None:
    """Train the teacher and the students of a scenario, or one network by options; what is in the cache is not trained again.

    A killed training goes on from its last epoch when the same command is given again.

    \b
    Examples:
      edgesim train scenarios/wearables.yaml
      edgesim train scenarios/resilience-digits.yaml --strategy nonn --seed 2
      edgesim train --dataset digits --model '{type: strided-cnn, strides: [1, 2, 1, 1]}' --training '{epochs: 10}'
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.errors import ScenarioError
    from edgesim.scenario.scenario import Scenario

    by_options = {"dataset": dataset, "model": model, "training": training}
    if (file is None) == all(value is None for value in by_options.values()):
        raise ScenarioError("train takes either a scenario file, or --dataset, --model and --training")
    if file is not None:
        scenario = Scenario.load(file, allow_code=allow_code).with_(seed=seed)
    else:
        if strategies:
            raise ScenarioError("--strategy goes with a scenario file; there are no students without one")
        scenario = Scenario.from_text(
            _text(by_options, 1 if seed is None else seed), file="options", allow_code=allow_code
        )
    found, doubts = _trained(scenario, tuple(strategies or ()), progress_on_stderr())
    for doubt in doubts:
        typer.echo(f"warning: {doubt}", err=True)
    if is_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for entry in found:
        reached = "" if entry["test"] is None else f": test {entry['score']} {entry['test']:.4f}"
        typer.echo(f"{entry['label']}{reached}, {', '.join(key[:12] for key in entry['keys'])}")


def _text(options: dict[str, str | None], seed: int) -> str:
    """Return a scenario of one device that trains what the options say, so that they are checked like those of a file."""
    defaults = {"dataset": "digits", "model": "small-cnn", "training": "{}"}
    given = "\n".join(f"  {name}: {value or defaults[name]}" for name, value in options.items())
    return f"""\
name: train
seed: {seed}
topology: {{devices: [{{id: hub, profile: phone}}]}}
workload:
  source: hub
  sink: hub
{given}
strategies: {{single: {{device: hub}}}}
"""


def _trained(scenario: Scenario, labels: tuple[str, ...], progress: Progress) -> tuple[list[dict[str, Any]], list[str]]:
    """Train all networks of a scenario; return what they are, and which learnt too little."""
    from dataclasses import replace
    from functools import partial

    from edgesim.errors import UnknownNameError, nearest_name
    from edgesim.scenario.build import build
    from edgesim.study.preparation.prepare import OncePerKey, load_teacher, prepare

    known = tuple(scenario.strategies)
    for label in labels:
        if label not in known:
            raise UnknownNameError("strategy of the scenario", label, known, nearest_name(label, known))
    points = []
    for point in scenario.points():
        system = build(scenario.at(point))
        chosen = {label: one for label, one in system.strategies.items() if not labels or label in labels}
        points.append((point, replace(system, strategies=chosen)))
    shared = prepare(points, progress)
    taught = OncePerKey()
    for _, system in points:
        taught.get(
            (system.dataset, system.model, system.training, system.seed), partial(load_teacher, system, progress)
        )
    teachers = [teacher for _, teacher in taught.made]
    score = teachers[0].dataset.task.scores[0].name
    found = [_entry("teacher", score, teacher.trained.metrics, [teacher.trained.key]) for teacher in teachers]
    for position in range(len(shared.prepared)):
        facts = shared.deployments[position].describe()
        keys = facts.get("networks_keys") or ([facts["networks_key"]] if "networks_key" in facts else [])
        if keys:
            label = next(case.strategy for case in shared.cases if case.prepared == position)
            found.append(_entry(label, score, facts, keys))
    return found, [one.warning for one in shared.learnt if one.warning]


def _entry(label: str, score: str, facts: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {"label": label, "score": score, "test": facts.get(f"test_{score}"), "keys": list(keys)}
