"""`edgesim schema`: the JSON schema of scenario files."""

from __future__ import annotations

from typing import Annotated

import typer


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print every key as a page to read instead.")] = False,
) -> None:
    """Print the JSON schema of scenario files, with which editors complete and check them.

    It holds the options of all plug-ins that are installed. The line that `edgesim new` writes at the top of a scenario tells
    an editor where the schema is.

    \b
    Examples:
      edgesim schema > scenario.schema.json
      edgesim schema --markdown > keys.md
    """
    import json

    from edgesim.scenario.help.json_schema import json_schema

    if markdown:
        from edgesim.scenario.help.reference import markdown as page

        typer.echo(page(json_schema()))
        return
    typer.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))
