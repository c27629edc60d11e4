"""``edgesim sensitivity``: which assumed numbers the answer of a result hangs on."""

from __future__ import annotations

import json
import sys
from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.code import AllowCode


def sensitivity(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Result folder of `edgesim run`.", show_default=False)
    ],
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="FACTOR=VALUE", help="Another value of a factor than its first; may be given again."),
    ] = None,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write everything to stdout as JSON.")] = False,
) -> None:
    """Say which assumed numbers of device profiles and link classes matter: what half and twice each would change.

    The first replications are simulated again with each change and the same random draws. Plans stay as they were made. Latency, energy, the share of
    answers and, where something else arrives in time, the main score are compared, and who is best in each. A number is assumed when its source says so.

    \b
    Examples:
      edgesim sensitivity results/wearables
      edgesim sensitivity results/wearables --at lost_devices=2
      edgesim sensitivity results/wearables --json
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.cli.scenarios.at import point_of
    from edgesim.cli.tables import draw_table, table_console
    from edgesim.report.assumed.effects import effects_sentence, effects_table
    from edgesim.scenario.build import build
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.changes.sensitivity import N_MOST, sensitivity
    from edgesim.study.folder.names import SCENARIO
    from edgesim.study.folder.store import Result
    from edgesim.study.preparation.prepare import prepare

    read = Result(result)
    read.check()
    scenario = Scenario.load(read.folder / SCENARIO, allow_code=allow_code)
    point = {**scenario.points()[0], **point_of(scenario, at or ())}
    shared = prepare([(point, build(scenario.at(point)))], progress_on_stderr())
    n_most = scenario.rule if isinstance(scenario.rule, int) else N_MOST
    rows = [
        one._asdict() for one in sensitivity(shared, scenario, n_most=n_most, point=point, n_steps=None, n_asked=None)
    ]
    if is_json:
        effects = [{name: _clean(value) for name, value in row.items()} for row in rows]
        document = {"point": point, "sentence": effects_sentence(rows), "effects": effects}
        json.dump(document, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    console = table_console()
    console.print(effects_sentence(rows), markup=False)
    if rows:
        console.print()
        draw_table(console, effects_table(rows))


def _clean(value: object) -> object:
    return None if isinstance(value, float) and isnan(value) else value
