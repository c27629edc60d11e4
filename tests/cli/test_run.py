"""``edgesim run`` from outside: a real scenario with a strategy of the user's own, trained for one epoch."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest

from edgesim.cli import main as cli
from edgesim.cli.exit_codes import INCOMPLETE
from edgesim.scenario.code.permission import Code
from edgesim.study.cases.tasks import PART

STRATEGY = '''
"""A strategy of a user: half of the answer comes from the device `helper`."""
from dataclasses import dataclass
import numpy as np
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.registry import STRATEGIES
from edgesim.units import Seconds

@dataclass(frozen=True)
class HalfDeployment:
    plan: Plan
    labels: np.ndarray
    n_classes: int
    pause_s: float

    def predict(self, delivery):
        import multiprocessing, time
        if not delivery.is_whole("answer") and multiprocessing.parent_process() is not None:
            time.sleep(self.pause_s)
        n_right = len(self.labels) if delivery.is_whole("answer") else len(self.labels) // 2
        right = np.eye(self.n_classes, dtype=np.float32)[self.labels]
        right[n_right:] = np.roll(right[n_right:], 1, axis=1)
        return right

    def describe(self):
        return {}

@STRATEGIES.register("half")
@dataclass(frozen=True)
class Half:
    """Ask a helper for half of the answer."""
    helper: str
    merge_deadline_s: Seconds = 1.0
    pause_s: Seconds = 0.0

    def deploy(self, context):
        hub = context.sink_id
        steps = (
            Compute("help", self.helper),
            Transfer("answer", self.helper, hub, 1000, "half an answer", "result", ("help",)),
            Compute("merge", hub, inputs=("answer",), on_missing="degrade", deadline_s=self.merge_deadline_s),
        )
        test = context.dataset.test
        plan = Plan(steps, "merge", {})
        return HalfDeployment(plan, test.targets, context.dataset.task.classes, self.pause_s)
'''
SCENARIO = """
name: halves
seed: 1
replications: 60
plugins: [cli_run_strategy.py]
topology:
  devices:
    - {id: hub, profile: phone}
    - {id: "w{1..3}", profile: wearable}
  links:
    - {between: [hub, "w*"], bandwidth: 8 Mbit/s, latency: 1 ms}
workload:
  dataset: digits
  model: small-cnn
  training: {epochs: 1, batch_size: 16, learning_rate: 0.02}
  source: hub
  sink: hub
  deadline: 2 s
strategies:
  half: {helper: w1}
failures:
  device_loss: {type: exactly-k, targets: "w*", k: 0}
sweep:
  lost: {path: failures.device_loss.k, values: [0, 1, 3]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scenario and the strategy, as the working directory."""
    (tmp_path / "cli_run_strategy.py").write_text(STRATEGY)
    (tmp_path / "halves.yaml").write_text(SCENARIO)
    Code(("plugins", 0), str(tmp_path / "cli_run_strategy.py")).allow()
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    from edgesim.registry import STRATEGIES

    if "half" in STRATEGIES.names():
        STRATEGIES.remove("half")
    sys.modules.pop("cli_run_strategy", None)


def edgesim(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["edgesim", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_the_best_values_are_marked_in_plain_text() -> None:
    """A star before them, numbers below each other, and a line that says what it means."""
    from io import StringIO

    from rich.console import Console

    from edgesim.cli.tables import draw_table
    from edgesim.report.table import Table

    console = Console(file=StringIO(), width=60, highlight=False)
    draw_table(console, Table("Costs", ("strategy", "energy"), (("a", "1 J"), ("b", "22 J")), best=frozenset({(0, 1)})))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines[-3:] == [
        "a           *1 J",
        "b           22 J",
        "* best in its column, or its interval meets the best's",
    ]


@pytest.mark.parametrize("width", [20, 44, 60])
@pytest.mark.parametrize("name", ["nonn", "every-layer-cut-over-eight-wearables-with-degradation"])
def test_a_narrow_terminal_cuts_no_number(width: int, name: str) -> None:
    """Columns that do not fit beside each other stand in blocks, each with the names; long names go on in the next line."""
    from io import StringIO

    from rich.console import Console

    from edgesim.cli.tables import NAME_WIDTH, draw_table
    from edgesim.report.table import Table
    from edgesim.report.texts import fold

    console = Console(file=StringIO(), width=width, highlight=False)
    numbers = ("12.5 mJ ±0.0006 %", "99.2 ±0.3", "2.05 kB")
    draw_table(console, Table("", ("strategy", "energy", "accuracy", "traffic"), ((name, *numbers),)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(number in text for number in numbers)
    longest = max(map(len, fold(name, NAME_WIDTH).split("\n")))
    least = max(map(len, numbers)) + max(longest, len("strategy")) + 4
    assert max(map(len, text.splitlines())) <= max(width, least)
    n_blocks = text.count("strategy")
    assert n_blocks == ({20: 3, 44: 2, 60: 1} if len(name) < NAME_WIDTH else {20: 3, 44: 3, 60: 2})[width]
    rest = text.replace("\n", "").replace(" ", "")
    for number in numbers:
        rest = rest.replace(number.replace(" ", ""), "")
    assert rest.count(name) == n_blocks


def test_long_headers_leave_names_whole() -> None:
    """Four headers of two lines each do not fit into 80 columns: two blocks, no name letter below letter, no header cut."""
    from io import StringIO

    from rich.console import Console

    from edgesim.cli.tables import draw_table
    from edgesim.report.table import Table

    console = Console(file=StringIO(), width=80, highlight=False)
    headers = [f"Classification quality {number},\nno loss" for number in range(4)]
    draw_table(console, Table("", ("strategy", *headers), (("single", *["43.2 %"] * 4),)))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("single ") for line in lines) == 2
    for header in headers:
        assert any(header.splitlines()[0] in line for line in lines)


def test_tables_figures_and_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user's own strategy runs without a change to edgesim; w1 is among k of 3 lost with k/3, which costs half the answers."""
    assert edgesim(monkeypatch, "run", "halves.yaml", "--workers", "1") == 0
    out, err = capsys.readouterr()
    assert "half" in out
    assert "100.0 %" in out
    assert "results/halves/summary.csv" in out
    assert "results/halves/report.html" in out
    assert max(len(line) for line in out.splitlines() if "half" in line) <= 80
    assert "trials and outcomes: 185 of 185" in err
    names = {
        path.relative_to("results/halves").as_posix() for path in Path("results/halves").rglob("*") if path.is_file()
    }
    figures = {f"{name}.{kind}" for name in ("tradeoff", "resilience") for kind in ("png", "svg")}
    parts = {f"{kind}/part-{case:05d}-000000000.parquet" for kind in ("trials", "outcomes") for case in range(3)}
    tables = {
        "summary.csv",
        "differences.csv",
        "manifest.json",
        "scenario.yaml",
        "timeline.json",
        "budget.csv",
        "sensitivity.csv",
        "shown.json",
        "report.html",
    }
    assert names == tables | parts | figures
    manifest = json.loads(Path("results/halves/manifest.json").read_text())
    assert manifest["command"] == "edgesim run halves.yaml"
    assert {entry["name"] for entry in manifest["files"]} == names - {"manifest.json"}


TINY = """
name: tiny
replications: 3
topology: {devices: [{id: hub, profile: phone}]}
workload: {input: [1, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {single: {device: hub}}
"""


def test_without_a_report_the_tables_are_the_same_and_nothing_that_draws_is_loaded(tmp_path: Path) -> None:
    """Nor when the study is finished before; `edgesim report` draws on demand."""
    (tmp_path / "tiny.yaml").write_text(TINY)

    def modules(*options: str) -> set[str]:
        code = f"""
import json, sys
sys.argv = ["edgesim", "run", "tiny.yaml", *{options!r}]
from edgesim.cli.main import main
try:
    main()
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
        )
        drawn = "report" in done.stdout or "figures" in done.stdout
        assert drawn == (options == ("--output", "drawn"))
        return set(json.loads(done.stderr.splitlines()[-1]))

    drawing = {"matplotlib", "jinja2", "PIL"}
    assert drawing <= modules("--output", "drawn")
    assert not {*drawing, "scipy.stats"} & modules("--no-report", "--output", "plain")
    assert not {*drawing, "torch", "numpy", "scipy", "networkx", "pandas", "pyarrow"} & modules("--output", "plain")
    names = {path.name for path in (tmp_path / "plain").iterdir()}
    assert {path.name for path in (tmp_path / "drawn").iterdir()} - names == {
        "report.html",
        "tradeoff.png",
        "tradeoff.svg",
    }
    for name in ("summary.csv", "differences.csv", "budget.csv", "sensitivity.csv", "timeline.json", "shown.json"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "drawn" / name).read_bytes()


def test_a_finished_study_shows_the_same_and_words_that_were_changed_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is shown stands in the folder: with its words changed, or the table that they are about, or without them."""
    monkeypatch.chdir(tmp_path)
    sweep = "sweep: {memory: {path: profiles.small.memory, values: [20 kB, 1 MB]}}"
    profiles = "profiles: {small: {extends: phone, memory: 1 MB}}"
    Path("tiny.yaml").write_text("\n".join([TINY.replace("phone", "small"), profiles, sweep]))
    run = ("run", "tiny.yaml", "--workers", "1", "--no-report")
    assert edgesim(monkeypatch, *run) == INCOMPLETE
    first = capsys.readouterr()
    assert "does not fit" in first.err
    assert edgesim(monkeypatch, *run) == INCOMPLETE
    again = capsys.readouterr()
    assert again.out == first.out
    assert "was finished before" in again.err
    assert again.err.splitlines()[-1] == first.err.splitlines()[-1]
    words = Path("results/tiny/shown.json").read_bytes()
    for name in ("shown.json", "summary.csv"):
        path = Path("results/tiny", name)
        path.write_bytes(path.read_bytes().replace(b"single", b"double"))
        assert edgesim(monkeypatch, *run) == INCOMPLETE
        made_again = capsys.readouterr()
        assert made_again.out == first.out
        assert "set aside" in made_again.err
        assert Path("results/tiny/shown.json").read_bytes() == words


def test_json_is_one_document_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For programs: paths that exist, rows with numbers or null, the options in force."""
    options = ["--json", "-q", "--workers", "1", "--replications", "7", "--seed", "3", "--output", "out dir"]
    assert edgesim(monkeypatch, "run", "halves.yaml", *options) == 0
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert document["folder"] == "out dir"
    assert all(Path(path).is_file() for path in document["files"].values())
    exact = [row["exact"] for row in document["summary"] if row["metric"] == "accuracy"]
    assert exact == pytest.approx([1, 1 - 1 / 6, 0.5], abs=1e-9)
    p95 = next(row for row in document["summary"] if row["metric"] == "latency_p95" and row["lost"] == 1)
    assert p95["n"] == 7
    manifest = json.loads(Path("out dir/manifest.json").read_text())
    assert (manifest["seed"], manifest["replications"]) == (3, 7)
    assert manifest["command"] == "edgesim run halves.yaml --replications 7 --seed 3 --output 'out dir'"


def test_a_network_that_learnt_nothing_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single step of training: in the terminal, in JSON, in the manifest and in the report, with what to try."""
    Path("halves.yaml").write_text(SCENARIO.replace("batch_size: 16", "batch_size: 2000"))
    assert edgesim(monkeypatch, "run", "halves.yaml", "--json", "-q", "--workers", "1", "--replications", "2") == 0
    out, err = capsys.readouterr()
    assert (
        "warning: the network of the workload may be no better than chance, as far as 360 test samples tell: accuracy"
        in err
    )
    assert "try more `epochs`" in err
    (warning,) = json.loads(out)["warnings"]
    (entry,) = json.loads(Path("results/halves/manifest.json").read_text())["learnt"]
    assert (entry["warning"], entry["score"], entry["n_samples"]) == (warning, "accuracy", 360)
    assert warning.replace("`", "") in Path("results/halves/report.html").read_text()


def test_quiet_says_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a word on success."""
    assert edgesim(monkeypatch, "run", "halves.yaml", "-q", "--workers", "1", "--replications", "2") == 0
    assert capsys.readouterr() == ("", "")


def test_no_answer_although_nothing_is_lost_ends_with_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message takes 2 ms: a request deadline of 1 ms can never be met, which is hardly what was meant."""
    Path("halves.yaml").write_text(SCENARIO.replace("deadline: 2 s", "deadline: 1 ms"))
    assert edgesim(monkeypatch, "run", "halves.yaml", "--no-report", "--workers", "1", "--replications", "2") == 1
    out, err = capsys.readouterr()
    assert "no answer" in out
    assert "strategy 'half' at lost = 0 gives no answer (timed_out), although nothing is lost" in err


def test_a_deadline_that_is_too_short_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The merger goes on after 1 ms without the half that comes after 2: an answer, but a warning too."""
    Path("halves.yaml").write_text(SCENARIO.replace("{helper: w1}", "{helper: w1, merge_deadline: 1 ms}"))
    assert edgesim(monkeypatch, "run", "halves.yaml", "--no-report", "--workers", "1", "--replications", "2") == 0
    assert "goes on without inputs that come after its deadline" in capsys.readouterr().err


def test_another_scenario_under_the_name_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and what differs."""
    arguments = ["run", "halves.yaml", "-q", "--no-report", "--workers", "1"]
    assert edgesim(monkeypatch, *arguments, "--replications", "3") == 0
    assert edgesim(monkeypatch, *arguments, "--replications", "2") == 2
    assert "(replications: 3 there, 2 here)" in capsys.readouterr().err


def test_a_wrong_scenario_leaves_no_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the finding with its line, and nothing written."""
    Path("halves.yaml").write_text(SCENARIO.replace("profile: phone", "profile: phnoe"))
    assert edgesim(monkeypatch, "run", "halves.yaml") == 2
    assert "halves.yaml:8:" in capsys.readouterr().err
    assert not Path("results").exists()


@contextmanager
def slow_study(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A study in two processes, in a group of its own, at work and with a first part; its temporary files go to `place`.

    It cannot end meanwhile: half of its parts need what a worker says of a lost answer, which takes a minute.
    """
    slow = SCENARIO.replace("{helper: w1}", "{helper: w1, pause: 60 s}").replace("[0, 1, 3]", "[0, 3]")
    Path("halves.yaml").write_text(slow.replace("replications: 60", f"replications: {3 * PART}"))

    def as_in_a_terminal() -> None:  # a job in the background ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [sys.executable, "-m", "edgesim", "run", "halves.yaml", "--workers", "2"]
    before = luggage_in(place)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=as_in_a_terminal,  # noqa: PLW1509
        env={**os.environ, "TMPDIR": str(place)},
    ) as main:  # fmt: skip
        until_s = time.monotonic() + 240
        while time.monotonic() < until_s and not (luggage_in(place) - before and n_parts()):
            time.sleep(0.01)
        yield main


def luggage_in(place: Path) -> set[Path]:
    """Return the folders of this program; torch makes one of its own."""
    return set(place.glob("edgesim-*"))


def n_parts() -> int:
    return len(list(Path("results/halves/trials").glob("part-*")))


def end_of(main: subprocess.Popen[str]) -> str:
    """Wait for the end of a study and all its processes, and return what it said."""
    assert main.stderr is not None
    said = main.stderr.read()
    main.wait(30)
    until_s = time.monotonic() + 10
    while has_processes(main.pid) and time.monotonic() < until_s:  # the helper of multiprocessing ends a little later
        time.sleep(0.05)
    assert not has_processes(main.pid)
    assert "Traceback" not in said
    assert "Warning" not in said
    return said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_keeps_what_is_finished(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    code: int,
) -> None:
    """Ctrl-C, which the workers get too, or SIGTERM: the exit code of shells, and the command to go on with; nothing is left over."""
    place = tmp_path / "temporary"
    place.mkdir()
    with slow_study(place) as main:
        (os.killpg if number == signal.SIGINT else os.kill)(main.pid, number)
        rest = end_of(main)
    assert main.returncode == code
    assert "interrupted; what is finished is kept, go on with\n  edgesim run halves.yaml\n" in rest
    assert 0 < n_parts() < 6
    assert not list(Path("results/halves").rglob(".*"))
    assert not luggage_in(place)
    if number == signal.SIGINT:
        assert edgesim(monkeypatch, "run", "halves.yaml", "--no-report", "--workers", "1", "-q") == 0
        assert n_parts() == 6
        assert edgesim(monkeypatch, "run", "halves.yaml", "--no-report", "--workers", "1") == 0
        assert "was finished before; nothing was simulated" in capsys.readouterr().err


def test_a_second_ctrl_c_ends_at_once(folder: Path, tmp_path: Path) -> None:
    """However soon it comes after the first: no process stays, and what is left in the temporary folder goes with the next run."""
    rng = random.Random(1)  # noqa: S311
    place = tmp_path / "temporary"
    place.mkdir()
    for pause_s in (0.0, 0.001, 0.1):
        with slow_study(place) as main:
            assert len(luggage_in(place)) == 1
            time.sleep(rng.random() / 2)
            os.killpg(main.pid, signal.SIGINT)
            time.sleep(pause_s)
            with suppress(ProcessLookupError):
                os.killpg(main.pid, signal.SIGINT)
            assert "interrupted; what is finished is kept" in end_of(main)
        assert main.returncode == 130


def has_processes(group: int) -> bool:
    """Say whether a process group has members."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


MISCOUNTING = """
from edgesim.engine.events.trial import Trial
from edgesim.failures.exactly_k import ExactlyK
from edgesim.registry import FAILURES

@FAILURES.register("mine")
@dataclass(frozen=True)
class Mine(ExactlyK):
    pass  # what a worker simulates is from here, so that it loads this file

end = Trial._end
def miscount(self, request):
    request.released_s -= 1.0
    end(self, request)
Trial._end = miscount
"""


def test_broken_invariants_end_a_checked_run(folder: Path) -> None:
    """A plug-in makes the engine miscount, in two worker processes: one line that says where and what; unchecked, nobody sees."""
    Path("cli_run_strategy.py").write_text(STRATEGY + MISCOUNTING)
    Path("halves.yaml").write_text(SCENARIO.replace("exactly-k", "mine"))
    arguments = ["halves.yaml", "--workers", "2", "-q", "--no-report", "--allow-code"]
    command = [sys.executable, "-m", "edgesim", "run", *arguments]
    unchecked = subprocess.run([*command, "--output", "unchecked"], capture_output=True, text=True, check=False)
    assert (unchecked.returncode, unchecked.stderr) == (0, "")
    found = subprocess.run([*command, "--check-invariants"], capture_output=True, text=True, check=False)
    assert found.returncode == 3
    assert len(found.stderr.splitlines()) == 1
    assert "edgesim: invariant broken at " in found.stderr
    assert "Little's law" in found.stderr
    assert "in strategy 'half' at lost = " in found.stderr


def test_a_checked_run_has_the_same_numbers_and_says_that_it_was_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every trial by the event engine; another folder than without checks; the array engine alone is refused."""
    assert edgesim(monkeypatch, "run", "halves.yaml", "--workers", "1", "-q", "--output", "plain") == 0
    checked = ("run", "halves.yaml", "--workers", "1", "-q", "--check-invariants")
    assert edgesim(monkeypatch, *checked, "--output", "checked") == 0
    plain, sure = (json.loads(Path(name, "manifest.json").read_text()) for name in ("plain", "checked"))
    assert "invariants" not in plain
    assert "array engine; seed 1" in Path("plain/report.html").read_text()
    assert "event engine, invariants checked; seed 1" in Path("checked/report.html").read_text()
    assert sure["invariants"] == "checked"
    assert sure["command"] == "edgesim run halves.yaml --output checked --check-invariants"
    assert [entry["engine"] for entry in plain["engines"]] == ["array"]
    assert [(entry["engine"], entry["why"]) for entry in sure["engines"]] == [
        ("event", "only the event engine checks the invariants")
    ]
    tables = [pd.read_csv(Path(name, "summary.csv")) for name in ("plain", "checked")]
    pd.testing.assert_frame_equal(*tables, rtol=1e-9)
    assert edgesim(monkeypatch, *checked, "--output", "plain") == 2
    assert "made with something else (invariants: nothing there, checked here)" in capsys.readouterr().err
    Path("halves.yaml").write_text(SCENARIO + "engine: array\n")
    assert edgesim(monkeypatch, *checked, "--output", "array") == 2
    assert "only the event engine checks the invariants; write `engine: auto`" in capsys.readouterr().err


LATE = """
name: late
replications: 2
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s}}
workload: {input: [1, 8, 8], classes: 2, model: small-cnn, source: hub, sink: hub, deadline: 1 us}
strategies: {single: {device: w1}}
"""


def test_a_warm_up_that_leaves_no_request_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three requests in 2 s, and a warm-up of 3 s."""
    load = "load: {arrivals: {type: periodic, period: 1 s}, requests: 3, warm_up: 3 s}"
    Path("late.yaml").write_text(LATE.replace("deadline: 1 us", load))
    assert edgesim(monkeypatch, "run", "late.yaml", "--no-report", "--workers", "1", "-q") == 0
    assert "no request counts in 1 of 1 rows of the table" in capsys.readouterr().err
    Path("late.yaml").write_text(LATE.replace("deadline: 1 us", load.replace("3 s", "1 s")))
    assert edgesim(monkeypatch, "run", "late.yaml", "--no-report", "--workers", "1", "-q", "--output", "some") == 0
    assert capsys.readouterr().err == ""


def test_a_study_without_any_answer_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every answer is late, and there is no accuracy to draw in place of the latency: figures and report are there all the same."""
    Path("late.yaml").write_text(LATE)
    assert edgesim(monkeypatch, "run", "late.yaml", "--workers", "1") == 1
    out, err = capsys.readouterr()
    assert "strategy 'single' gives no answer (timed_out), although nothing is lost" in err
    assert "bug" not in err
    assert Path("results/late/report.html").is_file()
    assert "nan" not in out.lower()


def test_a_reader_that_goes_away_changes_no_exit_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`edgesim run halves.yaml | head -1` of a study that is complete."""
    arguments = ["run", "halves.yaml", "--no-report", "--workers", "1", "--replications", "2"]
    assert edgesim(monkeypatch, *arguments, "-q") == 0
    command = [sys.executable, "-m", "edgesim", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "was finished before" in process.stderr.read()
        assert process.wait(60) == 0
