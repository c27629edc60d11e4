"""`edgesim new`: a commented scenario to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.", show_default=False)],
    topology: Annotated[
        str, typer.Option(metavar="SHAPE", help="star, line, ring, grid, tree, mesh or geometric.")
    ] = "star",
    strategies: Annotated[
        str, typer.Option(metavar="A,B,...", help="Strategies to compare; `edgesim list strategies` shows all.")
    ] = "single,modnn,nonn",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
) -> None:
    """Write a commented scenario to start from; it is valid and runs as it is.

    \b
    Examples:
      edgesim new study.yaml
      edgesim new rooms.yaml --topology grid --strategies single,modnn
    """
    import json

    from edgesim.files.whole import write_text
    from edgesim.scenario.help.json_schema import json_schema
    from edgesim.scenario.help.starter import SCHEMA_FILE, starter

    if file.is_dir():
        raise typer.BadParameter(f"{file} is a folder; name a file in it, e.g. {file / 'study.yaml'}")
    text = starter(file.name, topology, tuple(name.strip() for name in strategies.split(",") if name.strip()))
    if file.exists() and not force:
        raise typer.BadParameter(f"{file} exists; choose another name, or overwrite it with --force")
    write_text(file, text)
    form = file.parent / SCHEMA_FILE
    write_text(form, json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n")
    typer.echo(f"{file} is written, and {form}, with which editors complete and check it")
    for command in ("validate", "show", "run"):
        typer.echo(f"  next: edgesim {command} {shlex.quote(str(file))}")
