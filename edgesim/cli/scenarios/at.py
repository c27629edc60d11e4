"""The option ``--at``: a factor point other than the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.scenario.scenario import Scenario

At = Annotated[
    list[str] | None,
    typer.Option(metavar="FACTOR=VALUE", help="Another value of a factor than its first; may be given again."),
]


def point_of(scenario: Scenario, at: Sequence[str]) -> dict[str, Any]:
    """Return the values that a user gives of some factors."""
    from edgesim.errors import UnknownNameError, nearest_name
    from edgesim.study.cases.design import show_value

    chosen = {}
    for text in at:
        name, has_value, value = text.partition("=")
        if not has_value:
            raise typer.BadParameter(
                f"{text!r} is no factor and value; expected e.g. lost_devices=2", param_hint="--at"
            )
        known = tuple(scenario.points()[0])
        if name not in known:
            raise UnknownNameError("factor", name, known, nearest_name(name, known))
        values = {show_value(point[name]): point[name] for point in scenario.points()}
        if value not in values:
            raise UnknownNameError(f"value of {name}", value, tuple(values), nearest_name(value, tuple(values)))
        chosen[name] = values[value]
    return chosen
