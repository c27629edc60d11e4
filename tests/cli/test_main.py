"""The command line as a whole: start-up, exit codes, errors, pipes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer import Context
from typer.main import get_command

import edgesim as es
from edgesim.cli import main as command_line
from edgesim.errors import DataError, EdgesimError, InfeasiblePlanError, ResultError, SimulationError

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "matplotlib", "pandas", "scipy", "sklearn", "networkx", "numpy", "simpy"}


def edgesim(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "edgesim", *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("arguments", [["--help"], ["validate", "scenarios/wearables.yaml"], ["list", "strategies"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    """They start in a fraction of a second."""
    assert not HEAVY & modules_of(arguments)


def test_a_small_study_imports_only_what_it_needs(tmp_path: Path) -> None:
    """Digits, a star, and trials that are all alike, with figures and report: each of the others takes longer to load than all its trials."""
    (tmp_path / "small.yaml").write_text(
        """
name: small
replications: 2
topology: {star: {profile: raspberry-pi-4b, count: 4, bandwidth: 20 Mbit/s}}
workload: {dataset: {type: digits, train_size: 100}, model: small-cnn, training: {epochs: 1}, source: hub, sink: hub}
strategies: {single: {device: hub}, modnn: {owner: hub, workers: "w*"}}
""",
        encoding="utf-8",
    )
    loaded = modules_of(["run", str(tmp_path / "small.yaml"), "--output", str(tmp_path / "result")])
    assert loaded & HEAVY == {"matplotlib", "numpy", "pandas", "simpy", "torch"}
    assert (tmp_path / "result" / "report.html").is_file()


def modules_of(arguments: list[str]) -> set[str]:
    """Return the modules that a command has loaded when it ends."""
    code = f"""
import json, sys
sys.argv = ["edgesim", *{arguments!r}]
from edgesim.cli.main import main
try:
    main()
except SystemExit as end:
    print("", json.dumps([end.code, sorted(sys.modules)]), sep="\\n", end="", file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    exit_code, modules = json.loads(done.stderr.splitlines()[-1])
    assert exit_code == 0
    return set(modules)


def test_a_process_looks_for_garbage_rarely_while_it_loads_and_not_at_its_end() -> None:
    """Looking through all modules took a fifth of the time of a command that only loads and says something."""
    code = """
import atexit, gc, json, sys
atexit.register(lambda: print(json.dumps([gc.get_freeze_count(), gc.get_stats()[0]["collections"]]), file=sys.stderr))
sys.argv = ["edgesim", "validate", "scenarios/wearables.yaml"]
from edgesim.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    n_frozen, n_collections = json.loads(done.stderr)
    assert n_frozen > 50_000
    assert n_collections < 40


def test_every_command_has_an_example_in_its_help() -> None:
    """What a newcomer copies."""
    found = list(_commands(get_command(command_line.app), ()))
    assert len(found) >= 20
    for names, command in found:
        text = command.get_help(Context(command, info_name="edgesim " + " ".join(names)))
        assert f"edgesim {' '.join(names)}".strip() in text.partition("Example")[2], names
        assert "\\b" not in text, names  # the mark that keeps the lines of examples apart
        assert "\x1b" not in text


def _commands(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command, groups and what is in them too."""
    yield names, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*names, name))


def test_help_says_what_exit_codes_mean() -> None:
    """All five."""
    text = edgesim("--help").stdout
    assert all(f"\n  {code} " in text for code in ("0", "1", "2", "3", "130")) or "Exit codes" in text


def test_version() -> None:
    """Name and number on stdout, of the code that runs, whatever release was installed here before."""
    assert edgesim("--version").stdout == f"edgesim {es.__version__}\n"


def test_wrong_usage_ends_with_2_and_suggests_the_nearest_command() -> None:
    """On stderr."""
    done = edgesim("valdate", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "validate" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InfeasiblePlanError("w1", 9, 5), 2, "device 'w1' needs 9 byte"),
        (ResultError("not a result"), 2, "not a result"),
        (DataError("data set missing"), 3, "data set missing"),
        (SimulationError("odd state"), 3, "odd state"),
        (EdgesimError("worker died"), 3, "worker died"),
        (OSError(errno.ENOSPC, "No space left on device", "results"), 3, "No space left on device: results"),
        (PermissionError(errno.EACCES, "Permission denied", "results"), 3, "Permission denied: results"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_end_with_one_line_and_their_code(
    error: BaseException, code: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback."""

    def fail(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr("edgesim.cli.listing.list_kinds", fail)
    monkeypatch.setattr(sys, "argv", ["edgesim", "list"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert (ended.value.code or 0) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert text in shown.err
    assert "Traceback" not in shown.err


def test_an_error_that_the_system_caused_ends_with_3() -> None:
    """A result folder that cannot be written is not the user's mistake."""
    from edgesim.cli.exit_codes import code_of

    error = ResultError("cannot write results")
    error.__cause__ = OSError("disk full")
    assert (code_of(error), code_of(ResultError("not a result"))) == (3, 2)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [("list devices --json", 0), ("--help", 0), ("explain nonn", 0), ("schema", 0), ("validate none.yaml --json", 2), ("lst", 2)],
)  # fmt: skip
def test_a_reader_that_goes_away_is_no_error(arguments: str, code: int, unbuffered: str) -> None:
    """`edgesim list devices --json | head -1`: the exit code is that of the work, and nothing is said."""
    with subprocess.Popen(
        [sys.executable, "-m", "edgesim", *arguments.split()],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=60) == code


def test_a_closed_output_is_no_error() -> None:
    """`edgesim list >&-`."""
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m edgesim list >&-"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_utf_8_shows_signs_that_are_as_good() -> None:
    """Plus and minus; a question mark only where there is nothing better."""
    code = "from edgesim.cli.main import _in_ascii; import codecs; codecs.register_error('edgesim', _in_ascii); "
    code += "print('2 ±1 µs …ü'.encode('ascii', 'edgesim').decode())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "2 +-1 us ...?\n"


INTERRUPTED_IMPORT = """
import os, signal, sys
sys.argv = ["edgesim", "list"]

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            {action}

sys.meta_path.insert(0, Interrupter())
from edgesim.__main__ import main
main()
"""


KILL = "os.kill(os.getpid(), signal.SIGINT)"
ODD = f"""
            try:
                {KILL}
                signal.pause()
            except KeyboardInterrupt:
                raise ImportError("initialization failed")
"""
"""What numpy does when it is interrupted while it loads."""


SWALLOWED = f"""
            import edgesim.cli.interrupts, time
            edgesim.cli.interrupts.GRACE_S = 0.1
            try:
                {KILL}
                signal.pause()
            except KeyboardInterrupt:
                time.sleep(60)
"""
"""A library that takes an interrupt for a module that is not there, and goes on."""


def test_ctrl_c_that_a_library_swallows_ends_all_the_same() -> None:
    """A little later, with the same words and exit code."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT.format(module="edgesim.cli.listing", action=SWALLOWED)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=50,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "edgesim: interrupted\n")


@pytest.mark.parametrize(
    ("module", "action"), [("typer", KILL), ("edgesim.cli.listing", KILL), ("edgesim.cli.listing", ODD)]
)
def test_ctrl_c_while_modules_load_shows_no_traceback(module: str, action: str) -> None:
    """Not even where a library makes another error of it."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT.format(module=module, action=action)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.strip() in {"", "edgesim: interrupted"}  # typer says nothing


def test_an_unexpected_error_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Three lines and a file with the traceback; with --debug the traceback itself; exit code 3."""

    def fail(*_: object, **__: object) -> int:
        raise KeyError("odd")

    monkeypatch.setattr("edgesim.cli.listing.list_kinds", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for arguments, is_shown in (["list"], False), (["--debug", "list"], True):
        monkeypatch.setattr(sys, "argv", ["edgesim", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        assert ended.value.code == 3
        text = capsys.readouterr().err
        assert "report it" in text
        assert ("Traceback" in text) is is_shown
    (written,) = tmp_path.iterdir()
    assert "KeyError: 'odd'" in written.read_text(encoding="utf-8")
    assert written.read_text(encoding="utf-8").startswith("edgesim list\n")
