"""The option with which a user lets the code of a scenario run."""

from __future__ import annotations

from typing import Annotated

import typer

AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code", help="Run the plug-ins and networks that the scenario names; remembered until they change."
    ),
]
