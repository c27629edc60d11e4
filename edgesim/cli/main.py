"""The command `edgesim`: its commands, options and exit codes.

Each command's work is in a module of its own, imported when it is called, so that help and checks start fast.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.exit_codes import DONE, FAILED, INCOMPLETE, WRONG_INPUT, code_of
from edgesim.cli.run import run
from edgesim.errors import EdgesimError, ScenarioError

_EPILOG = f"""\b
Exit codes:
  {DONE}    done
  {INCOMPLETE}    done, but something in it failed, e.g. some trials
  {WRONG_INPUT}    wrong input or usage; nothing was done
  {FAILED}    could not be done: missing data, unwritable folder, internal error
  130  interrupted
"""

app = typer.Typer(
    name="edgesim",
    help="""Simulate distributed neural networks on edge devices: traffic, latency, accuracy under failures.

    \b
    Examples:
      edgesim validate scenarios/wearables.yaml
      edgesim run scenarios/wearables.yaml
      edgesim list strategies
    """,
    epilog=_EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"edgesim {version('edgesim')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a command."""


app.command()(run)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Scenario files.")],
    json: Annotated[bool, typer.Option("--json", help="Write the findings to stdout as JSON.")] = False,
) -> None:
    r"""Check scenario files and show every mistake with its line.

    Exit code 0 when all are valid, 2 when one is not. Nothing is trained or simulated.

    \b
    Examples:
      edgesim validate scenarios/wearables.yaml
      edgesim validate scenarios/*.yaml --json
    """
    from edgesim.cli.validate import validate as work

    raise typer.Exit(work(files, is_json=json))


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="What to list; without it, what kinds there are.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write to stdout as JSON, with options and references.")] = False,
) -> None:
    r"""List what a scenario can name: strategies, failures, datasets, models, partitioners, devices.

    \b
    Examples:
      edgesim list
      edgesim list strategies
      edgesim list devices --json
    """
    from edgesim.cli.listing import list_kind, list_kinds

    raise typer.Exit(list_kinds(is_json=json) if kind is None else list_kind(kind, is_json=json))


def main() -> None:
    """Run the command line and end the process with its exit code; no error of edgesim shows a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows ? rather than ending the program
    try:
        app(prog_name="edgesim")
    except ScenarioError as error:
        _end(str(error), WRONG_INPUT)
    except EdgesimError as error:
        _end("; ".join([f"edgesim: {error}", *getattr(error, "__notes__", ())]), code_of(error))
    except OSError as error:
        _end(f"edgesim: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", FAILED)
    except KeyboardInterrupt:
        _end("edgesim: interrupted", 130)
    finally:
        _flush()


def _end(message: str, code: int) -> None:
    if message:
        typer.echo(message, err=True)
    sys.exit(code)


def _flush() -> None:
    """Write out what is buffered; a reader that has gone away, as of `edgesim list | head -1`, is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
