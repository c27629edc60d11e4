"""Processes that are killed at random moments: nothing is lost but unfinished parts, and the result is the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from toy_study import shared

from edgesim.failures.bernoulli import Bernoulli
from edgesim.interfaces import Silent
from edgesim.study.cases.tasks import PART_BY_EVENTS
from edgesim.study.folder.parts import Parts
from edgesim.study.work.division import plan_work
from edgesim.study.work.execute import execute

N_PARTS = 30
SCRIPT = f"""
import sys
from functools import partial
from pathlib import Path
from toy_study import shared
from edgesim.failures.bernoulli import Bernoulli
from edgesim.study.cases.tasks import PART_BY_EVENTS
from edgesim.study.work.division import plan_work
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import local_pool
from edgesim.study.folder.parts import Parts
from edgesim.interfaces import Silent
from edgesim.study.trials.trial import perform

if __name__ == "__main__":
    folder, workers = Path(sys.argv[1]), sys.argv[2]
    study = shared([{{"loss": Bernoulli(0.3)}}, {{"loss": Bernoulli(0.6)}}], engine="event", exact_up_to=0)
    pool = partial(local_pool, int(workers), perform)
    if len(sys.argv) > 3:
        from edgesim.study.work.cluster import dask_pool
        pool = partial(dask_pool, sys.argv[3], perform, ())
    print("begins", flush=True)
    execute(study, plan_work(study, {N_PARTS // 2} * PART_BY_EVENTS), Parts(folder, study.cases, scores=["accuracy"]), pool, Silent())
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script, and the parts of a study that nobody interrupted in `whole`."""
    folder = tmp_path_factory.mktemp("kill")
    (folder / "study.py").write_text(SCRIPT)
    with study(folder, "whole", 1) as main:
        assert main.wait(120) == 0
    assert len(parts(folder / "whole")) == N_PARTS
    return folder


@contextmanager
def study(folder: Path, name: str, workers: int, *scheduler: str):
    """Run the study in a process that has begun when this returns."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, str(folder / "study.py"), str(folder / name), str(workers), *scheduler]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        main.stdout.readline()
        yield main
        if main.poll() is None:
            main.wait(120)


def parts(folder: Path) -> dict[str, bytes]:
    """The bytes of all parts, by name."""
    return {path.name: path.read_bytes() for path in folder.rglob("part-*")}


def test_the_main_process_is_killed_ten_times(place: Path) -> None:
    """Each time it goes on where it was: every part is there once, whole, with the bytes of the uninterrupted study."""
    rng = random.Random(1)  # noqa: S311
    whole = parts(place / "whole")
    n_kills, seen = 0, set()
    for attempt in range(10):
        with study(place, "main", 1) as main:
            aim = min(N_PARTS - 1, 3 * attempt + rng.randrange(3))
            while len(parts(place / "main")) < aim and main.poll() is None:
                time.sleep(0.001)
            time.sleep(rng.random() * 0.02)
            n_kills += main.poll() is None
            main.kill()
        there = parts(place / "main")
        assert seen <= there.keys()  # nothing that was finished is lost
        assert all(whole[name] == content for name, content in there.items())
        seen = set(there)
    with study(place, "main", 1) as main:
        assert main.wait(120) == 0
    assert n_kills >= 8
    assert parts(place / "main") == whole
    assert not list((place / "main").rglob(".unfinished*"))


def children(pid: int) -> list[int]:
    """The worker processes of a main process, without the helper of multiprocessing."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):  # a thread or process that ends meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                line = Path(f"/proc/{child}/cmdline").read_bytes()
                if b"spawn_main" in line:
                    found.append(int(child))
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")
def test_workers_are_killed_six_times(place: Path) -> None:
    """The study goes on with new workers and ends with the same bytes."""
    rng = random.Random(2)  # noqa: S311
    n_kills = 0
    for attempt in range(3):
        with study(place, f"workers{attempt}", 2) as main:
            for aim in (
                rng.randrange(10),
                10 + rng.randrange(10),
            ):  # parts done, so that the machine's speed does not matter
                until_s = time.monotonic() + 60
                workers: list[int] = []
                while main.poll() is None and time.monotonic() < until_s:
                    workers = children(main.pid)
                    if workers and len(parts(place / f"workers{attempt}")) >= aim:
                        break
                    time.sleep(0.001)
                if workers and main.poll() is None:
                    with suppress(ProcessLookupError):
                        os.kill(rng.choice(workers), signal.SIGKILL)
                        n_kills += 1
            assert main.wait(120) == 0
        assert parts(place / f"workers{attempt}") == parts(place / "whole")
    assert n_kills >= 4


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 96 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip(f"a small disk needs root: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_told_and_the_study_goes_on(place: Path, small_disk: Path) -> None:
    """The message names the folder and the remedy; what is finished stays whole; with room the study ends the same."""
    from functools import partial

    from edgesim.errors import ResultError
    from edgesim.study.trials.trial import perform
    from edgesim.study.work.executor import local_pool

    toy = shared([{"loss": Bernoulli(0.3)}, {"loss": Bernoulli(0.6)}], engine="event", exact_up_to=0)
    arguments = (toy, plan_work(toy, N_PARTS // 2 * PART_BY_EVENTS), Parts(small_disk, toy.cases, scores=["accuracy"]))
    with pytest.raises(
        ResultError,
        match=r"part-.*parquet cannot be written: No space left on device; make room, .*: what is finished is kept",
    ):
        execute(*arguments, partial(local_pool, 1, perform), Silent())
    whole = parts(place / "whole")
    there = parts(small_disk)
    assert 0 < len(there) < N_PARTS
    assert all(whole[name] == content for name, content in there.items())
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    execute(*arguments, partial(local_pool, 1, perform), Silent())
    assert parts(small_disk) == whole
