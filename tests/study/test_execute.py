"""Trials, exact expectations and worker processes, on a study that can be computed by hand."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import isnan
from pathlib import Path

import pytest
from toy_study import Dying, Failing, OneOrNone, Unpicklable, shared

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.errors import EdgesimError, EdgesimWarning, SimulationError
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.exactly_k import ExactlyK
from edgesim.interfaces import Silent
from edgesim.study.cases.tasks import PART
from edgesim.study.folder.parts import Parts
from edgesim.study.trials.deliveries import without_effect
from edgesim.study.trials.trial import perform
from edgesim.study.work.division import plan_work
from edgesim.study.work.evaluation import evaluate
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import local_pool


def executed(study, replications: int, workers: int, folder: Path):
    """Run a study; return its tasks and parts."""
    work, parts = plan_work(study, replications), Parts(folder, study.cases, scores=["accuracy"])
    execute(study, work, parts, partial(local_pool, workers, perform), Silent())
    return work, parts


def drawn(study, replications: int, workers: int, folder: Path):
    """Run a study; return trials and accuracies of each case."""
    work, parts = executed(study, replications, workers, folder)
    return [parts.read(work.of_case(case, is_enumeration=False)) for case in range(len(study.cases))]


@pytest.fixture
def rows_of(tmp_path: Path):
    """Return {metric: row} of each case, and the intact records."""

    def run(points, replications: int = 40, workers: int = 1):
        study = shared(points)
        found = evaluate(study, *executed(study, replications, workers, tmp_path))
        rows, intact = found.rows, found.intact
        return [{row.metric: row for row in case} for case in rows], intact

    return run


def test_exact_expectation_of_unequal_outcomes(rows_of) -> None:
    """w1 lost with p = 3/4: accuracy 1/4 x 1 + 3/4 x 1/2, latency 1/4 x 0.1 s + 3/4 x 1 s, traffic 300 or 200 byte."""
    [rows], _ = rows_of([{"loss": OneOrNone(0.75)}])
    exact = {metric: row.exact for metric, row in rows.items()}
    assert exact["accuracy"] == pytest.approx(0.625, abs=1e-12)
    assert exact["latency"] == pytest.approx(0.775, abs=1e-12)
    assert exact["latency_p95"] == pytest.approx(1.0, abs=1e-12)
    assert exact["traffic"] == exact["traffic_result"] == pytest.approx(225.0, abs=1e-9)
    assert exact["energy"] == pytest.approx(2.0 * 0.1 * 2.25, abs=1e-12)  # 2 W while sending, 0.1 s a message
    assert exact["answered"] == 1.0


@pytest.mark.parametrize(("k", "expected"), [(0, 1.0), (1, 2 / 3), (2, 1 / 3), (3, 0.0)])
def test_exact_expectation_of_equal_outcomes(rows_of, k: int, expected: float) -> None:
    """Each device is lost in k of 3 subsets: 1 - k/3 (1/2 + 1/3 + 1/6)."""
    [rows], _ = rows_of([{"loss": ExactlyK(k, "w*")}])
    assert rows["accuracy"].exact == pytest.approx(expected, abs=1e-12)


def test_models_are_combined(rows_of) -> None:
    """Two independent models multiply: w1 lost with 1/2, and one of w2, w3: 1/2 x 1/2 + (1/3 + 1/6) / 2 = 1/2."""
    [rows], _ = rows_of([{"a": OneOrNone(0.5), "b": ExactlyK(1, "w[23]")}])
    assert rows["accuracy"].exact == pytest.approx(0.5, abs=1e-12)


def test_lost_messages_agree_with_the_closed_form(rows_of) -> None:
    """Each message is lost with 0.2, so the mean accuracy is 0.8; 2,000 trials, interval of a seeded study."""
    [rows], _ = rows_of([{"loss": Bernoulli(0.2)}], replications=2000)
    assert rows["accuracy"].exact == pytest.approx(0.8, abs=1e-12)
    assert rows["traffic"].exact == 300.0
    assert rows["latency"].exact == pytest.approx(0.1 * 0.8**3 + 1 - 0.8**3)
    estimate = rows["accuracy"].estimate
    assert estimate.low < 0.8 < estimate.high
    assert estimate.high - estimate.low < 0.03
    assert rows["traffic"].estimate.value == 300.0  # lost messages were sent


def test_a_question_without_an_answer_is_answered_wrongly(rows_of) -> None:
    """With the hub itself lost there is no answer: accuracy 0, no latency, and nobody counted as answered."""
    [rows], intact = rows_of([{"loss": ExactlyK(1, "hub")}])
    assert rows["accuracy"].estimate.value == rows["accuracy"].exact == 0.0
    assert rows["latency"].estimate.n == 0
    assert isnan(rows["latency"].exact)
    assert rows["answered"].estimate.value == 0.0
    assert intact[0]["accuracy"] == 1.0
    assert intact[0]["outcome"] == "completed"


class Doomed(OneOrNone):
    """The hub is lost; that it is not is listed too, with probability 0."""

    def outages(self, topology, streams):
        return [Outage("hub")]

    def outcomes(self, topology):
        return [(0.0, []), (1.0, [Outage("hub")])]


def test_what_cannot_happen_has_no_latency(rows_of) -> None:
    """The only outcome with an answer has probability 0: there is no expected latency, and no answer."""
    [rows], _ = rows_of([{"loss": Doomed(1.0)}])
    assert isnan(rows["latency"].exact)
    assert isnan(rows["latency_p95"].exact)
    assert rows["answered"].exact == 0.0
    assert rows["traffic"].exact == rows["traffic"].estimate.value


def test_all_points_meet_the_same_failures(tmp_path: Path) -> None:
    """Common random numbers: in each replication the device lost at k = 1 is among those lost at k = 2."""
    study = shared([{"loss": ExactlyK(1, "w*")}, {"loss": ExactlyK(2, "w*")}])
    one, two = (trials.lost for trials, _ in drawn(study, 150, 1, tmp_path))
    assert len(set(one)) == 3
    assert all(a & b == a for a, b in zip(one, two, strict=True))


def test_more_replications_go_on_where_fewer_end(tmp_path: Path) -> None:
    """The first replications of a long study are those of a short one, in order, across parts."""
    study = shared([{"loss": Bernoulli(0.3)}])
    short, long = (drawn(study, n, 2, tmp_path / str(n))[0][0].lost for n in (130, PART + 150))
    assert long[:130] == short


def test_workers_change_nothing(tmp_path: Path) -> None:
    """One, two and three workers write the same bytes."""
    study = shared([{"loss": Bernoulli(0.3)}, {"loss": ExactlyK(1, "w*")}])
    for workers in (1, 2, 3):
        executed(study, 2 * PART + 50, workers, tmp_path / str(workers))
    contents = [contents_of(tmp_path / str(workers)) for workers in (1, 2, 3)]
    assert len(contents[0]) == 3 + 3 + 2
    assert contents[0] == contents[1] == contents[2]


def contents_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all parts by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_only_what_is_missing_is_done_again(tmp_path: Path) -> None:
    """A part that is there is not simulated; one that is missing, cut off or overwritten comes back the same."""
    study = shared([{"loss": Bernoulli(0.3)}])
    executed(study, 5 * PART, 1, tmp_path)
    before = contents_of(tmp_path)
    first, second, third, *_ = sorted((tmp_path / "trials").iterdir())
    stamp = third.stat().st_mtime_ns
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    (tmp_path / "trials" / ".unfinished-part-00000-000002000.parquet").write_bytes(b"half")
    with pytest.warns(EdgesimWarning, match=rf"part-00000-{PART:09}.parquet: it is damaged: .* made again"):
        executed(study, 5 * PART, 1, tmp_path)
    shutil.rmtree(tmp_path / "damaged")
    assert contents_of(tmp_path) == before
    assert third.stat().st_mtime_ns == stamp
    assert not list((tmp_path / "trials").glob(".*"))


def test_what_the_answer_does_not_depend_on_is_asked_once() -> None:
    """A chain a -> b -> hub and c -> hub: with b lost, it does not matter whether a came."""
    transfers = [("a", "x", "y", ()), ("b", "y", "hub", ("mid",)), ("c", "z", "hub", ())]
    send = {name: Transfer(name, src, dst, 1, "", "result", inputs) for name, src, dst, inputs in transfers}
    steps = (
        send["a"],
        Compute("mid", "y", inputs=("a",)),
        send["b"],
        send["c"],
        Compute("end", "hub", inputs=("b", "c")),
    )
    plan = Plan(steps, "end", {})
    assert without_effect(plan, range(8)) == (0, 1, 3, 3, 4, 5, 7, 7)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_in_a_plug_in_is_told_with_its_place(tmp_path: Path, workers: int) -> None:
    """Strategy, kind of error, its text, file and line; the original error is the cause."""
    study = shared([{"loss": ExactlyK(1, "w*")}] * 2, Failing())
    with pytest.raises(
        SimulationError, match=r"strategy 'toy', .*KeyError: 'no such student' \(.*toy_study.py:\d+\)"
    ) as e:
        executed(study, 10, workers, tmp_path)
    assert isinstance(e.value.__cause__, KeyError)


def test_a_task_that_kills_workers_is_told(tmp_path: Path) -> None:
    """No bare BrokenProcessPool, and a remedy."""
    study = shared([{"loss": ExactlyK(1, "w*")}] * 2, Dying())
    with pytest.raises(
        EdgesimError,
        match=r"ended before its time 3 times, each time with the task strategy 'toy', answers .* with fewer workers",
    ):
        executed(study, 10, 2, tmp_path)
    assert not multiprocessing.active_children()


def test_what_cannot_be_pickled_is_told_and_runs_with_one_worker(tmp_path: Path) -> None:
    """Processes need pickling, the single thread does not."""
    study = shared([{"loss": ExactlyK(1, "w*")}] * 2, Unpicklable())
    with pytest.raises(EdgesimError, match="cannot be sent to worker processes: cannot pickle a toy"):
        executed(study, 10, 2, tmp_path)
    assert len(drawn(study, 10, 1, tmp_path)[0][0]) == 10


ORPHANS = r"""
import os, signal, sys
from toy_study import shared
from edgesim.study.work.executor import Flow, local_pool
import time

def work(shared, task):
    os.write(1, f"{os.getpid()}\n".encode())  # in one piece
    time.sleep(60)

if __name__ == "__main__":
    with local_pool(2, work, shared([{}])) as pool:
        list(Flow(pool, [0, 1]))
"""


def test_workers_end_with_a_main_process_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the main process no time to stop them; they notice themselves."""
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as main:
        assert main.stdout is not None
        workers = [int(main.stdout.readline()) for _ in range(2)]
        main.kill()
    until_s = time.monotonic() + 20
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


class Heard:
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Heard]:
        yield self

    def advance(self, n_done: int = 1, note: str = "") -> None:
        self.notes.append(note)


def test_progress_tells_the_estimate_and_how_often_there_is_no_answer(tmp_path: Path) -> None:
    """The hub is down in a third of the trials, which then have no answer; in the others all answers are right."""
    study, heard = shared([{"loss": CommonCause(1 / 3, targets="hub")}], exact_up_to=0), Heard()
    execute(
        study,
        plan_work(study, 3000),
        Parts(tmp_path, study.cases, scores=["accuracy"]),
        partial(local_pool, 1, perform),
        heard,
    )
    told = re.fullmatch(
        r"toy at level = 0: accuracy (\d\d\.\d) ±1\.7 %, (\d+\.\d) % without an answer", heard.notes[-1]
    )
    assert told is not None
    share, failed = float(told[1]) / 100, float(told[2]) / 100
    assert abs(share + failed - 1) < 0.001
    assert abs(failed - 1 / 3) < 0.03
