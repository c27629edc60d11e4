"""The command `edgesim`: its commands, options and exit codes.

Each command's work is in a module of its own, imported when it is called, so that help and checks start fast.
"""

from __future__ import annotations

import codecs
import os
import shlex
import sys
import warnings
from copy import copy
from pathlib import Path
from typing import Annotated, NoReturn, TextIO

import typer

from edgesim import __version__
from edgesim.cli.code import AllowCode
from edgesim.cli.devices.calibrate import calibrate
from edgesim.cli.devices.profile import profile
from edgesim.cli.exit_codes import DONE, FAILED, INCOMPLETE, WRONG_INPUT, code_of
from edgesim.cli.interrupts import INTERRUPTED, leave, noted
from edgesim.cli.networks.models import models
from edgesim.cli.networks.train import train
from edgesim.cli.output import outlive_readers
from edgesim.cli.scenarios.bound import bound
from edgesim.cli.scenarios.capacity import capacity
from edgesim.cli.scenarios.explain import explain
from edgesim.cli.scenarios.export import export
from edgesim.cli.scenarios.new import new
from edgesim.cli.scenarios.plan import plan
from edgesim.cli.scenarios.schema import schema
from edgesim.cli.scenarios.search import search
from edgesim.cli.scenarios.show import show
from edgesim.cli.studies import results
from edgesim.cli.studies.cite import cite
from edgesim.cli.studies.explain_latency import explain_latency
from edgesim.cli.studies.plot import plot
from edgesim.cli.studies.repeat import repeat
from edgesim.cli.studies.report import report
from edgesim.cli.studies.run import run
from edgesim.cli.studies.sensitivity import sensitivity
from edgesim.cli.studies.testbed import execute
from edgesim.errors import EdgesimError, EdgesimWarning, ScenarioError, visible

_EPILOG = f"""\b
Exit codes:
  {DONE}    done
  {INCOMPLETE}    done, but something in it failed, e.g. some trials
  {WRONG_INPUT}    wrong input or usage; nothing was done
  {FAILED}    could not be done: missing data, unwritable folder, internal error
  130  interrupted (143: by SIGTERM)
"""

app = typer.Typer(
    name="edgesim",
    help="""Simulate distributed neural networks on edge devices: traffic, latency, accuracy under failures.

    \b
    Examples:
      edgesim new study.yaml
      edgesim validate study.yaml
      edgesim run study.yaml
      edgesim explain nonn
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
        typer.echo(f"edgesim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unexpected error, for a bug report.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""
    _debug.append(debug)


_debug: list[bool] = []
"""Whether ``--debug`` was given, for `main`, which handles what commands raise."""


app.command()(new)
app.command()(show)
app.command()(plan)
app.command()(export)
app.command("testbed")(execute)
app.command()(bound)
app.command()(search)
app.command()(capacity)
app.command()(run)
app.command()(repeat)
app.command()(calibrate)
app.command()(profile)
app.command("explain-latency")(explain_latency)
app.command()(sensitivity)
app.add_typer(results.app, name="results")


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Scenario files.")],
    json: Annotated[bool, typer.Option("--json", help="Write the findings to stdout as JSON.")] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Also distribute every strategy with untrained networks: does it fit, is it in time?"
        ),
    ] = False,
    allow_code: AllowCode = False,
) -> None:
    """Check scenario files and show every mistake with its line.

    Exit code 0 when all are valid, 2 when one is not, 1 when no mistake was found but code that a scenario names would have to
    run for the rest: it does with --allow-code. What is legal but odd is a warning on stderr. Nothing is trained or simulated,
    unless --deep asks for a rehearsal, which takes some seconds.

    \b
    Examples:
      edgesim validate scenarios/wearables.yaml
      edgesim validate scenarios/*.yaml --json
      edgesim validate scenarios/wearables.yaml --deep
    """
    from edgesim.cli.scenarios.validate import validate as work

    raise typer.Exit(work(files, is_json=json, is_deep=deep, allow_code=allow_code))


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="What to list; without it, what kinds there are.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write to stdout as JSON, with options and references.")] = False,
) -> None:
    """List what a scenario can name: strategies, failures, datasets, models, partitioners, devices.

    \b
    Examples:
      edgesim list
      edgesim list strategies
      edgesim list devices --json
    """
    from edgesim.cli.listing import list_kind, list_kinds

    raise typer.Exit(list_kinds(is_json=json) if kind is None else list_kind(kind, is_json=json))


app.command()(train)
app.add_typer(models)
app.command()(report)
app.command()(plot)
app.command()(cite)
app.command()(explain)
app.command()(schema)


def main() -> None:
    """Run the command line and end the process with its exit code; no error of edgesim shows a traceback."""
    codecs.register_error("edgesim", _in_ascii)
    outlive_readers("edgesim")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", EdgesimWarning)
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            app_for(sys.argv[1:2])(prog_name="edgesim")
    except SystemExit as end:
        if noted and end.code == INTERRUPTED:
            _end("", INTERRUPTED)
        raise
    except ScenarioError as error:
        _end(str(error), WRONG_INPUT)
    except EdgesimError as error:
        _end("; ".join([f"edgesim: {error}", *getattr(error, "__notes__", ())]), code_of(error))
    except OSError as error:
        _end(f"edgesim: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", FAILED)
    except KeyboardInterrupt:
        _end("edgesim: interrupted", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort: no user meets a traceback
        _end("" if noted else _bug(error), FAILED)
    finally:
        _flush()


def app_for(words: list[str]) -> typer.Typer:
    """Return the command line with one command only, where the first word is its name: to read the options of all takes longer than most help."""
    commands = [one for one in app.registered_commands if words == [one.name or getattr(one.callback, "__name__", "")]]
    if not commands:
        return app
    only = copy(app)
    only.registered_commands, only.registered_groups = commands, []
    return only


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: TextIO | str | None
) -> None:
    """Write our own warnings like all other messages; those of others with the place where they come from."""
    is_ours = issubclass(category, EdgesimWarning)
    sys.stderr.write(
        f"warning: {visible(str(message))}\n"
        if is_ours
        else warnings.formatwarning(message, category, filename, lineno)
    )


_ASCII = {"±": "+-", "…": "...", "µ": "u", "×": "x"}


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Write for a terminal without UTF-8 what is as good, or ``?``, rather than end the program."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(one, "?") for one in error.object[error.start : error.end]), error.end


def _bug(error: Exception) -> str:
    """Say that edgesim is at fault, and where the traceback is: here with ``--debug``, else in a file."""
    import traceback

    text = "".join(traceback.format_exception(error))
    if _debug[-1:] == [True]:
        return (
            f"{text}edgesim: this is a bug in edgesim or in one of your plug-ins; please report it with the lines above"
        )
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix="edgesim-bug-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(f"edgesim {shlex.join(sys.argv[1:])}\n{text}")
    first = str(error).split("\n", maxsplit=1)[0]
    return (
        f"edgesim: unexpected {type(error).__name__}{f': {first}' if first else ''}\n"
        "   this is a bug in edgesim or in one of your plug-ins, not in your scenario\n"
        f"   help: please report it with the file {file.name}"
    )


def _end(message: str, code: int) -> NoReturn:
    """End the process; at once when it was interrupted, as threads may still be at work."""
    if noted:
        _flush()
        leave()
    if message:
        typer.echo(visible(message), err=True)
    sys.exit(code)


def _flush() -> None:
    """Write out what is buffered; where that fails, say so, as it is not only for a reader that has gone away."""
    try:
        if sys.stdout is not None:  # None where it is closed
            sys.stdout.flush()
    except OSError as error:
        typer.echo(f"edgesim: the output cannot be written: {error.strerror}", err=True)
        os._exit(FAILED)  # Python would try once more, and show a traceback
