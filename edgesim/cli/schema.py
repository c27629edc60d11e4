"""`edgesim schema`: the JSON schema of scenario files."""

from __future__ import annotations

import typer


def schema() -> None:
    r"""Print the JSON schema of scenario files, with which editors complete and check them.

    It holds the options of all plug-ins that are installed. The line that `edgesim new` writes at the top of a scenario tells
    an editor where the schema is.

    \b
    Examples:
      edgesim schema > scenario.schema.json
    """
    import json

    from edgesim.scenario.json_schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))
