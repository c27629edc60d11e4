"""A Dask scheduler and two workers as real processes on loopback."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_kill import N_PARTS, SCRIPT, parts, study

pytest.importorskip("distributed", reason="needs the extra dask")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script, and the parts of a study that ran here in `whole`."""
    place = tmp_path_factory.mktemp("cluster")
    (place / "study.py").write_text(SCRIPT)
    with study(place, "whole", 1) as main:
        assert main.wait(120) == 0
    return place


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of a scheduler with two workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = f"tcp://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    quiet = {"env": environment, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "distributed.cli"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    started = [subprocess.Popen([*dask[:2], "distributed.cli.dask_scheduler", *options], **quiet)]
    options = [where, "--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
    started.append(subprocess.Popen([*dask[:2], "distributed.cli.dask_worker", *options], **quiet))
    try:
        worker_ids(where)
        yield where
    finally:
        for process in reversed(started):
            process.terminate()
        for process in reversed(started):
            process.wait(30)


def worker_ids(where: str) -> list[int]:
    """Process ids of the workers, below their nannies, as soon as there are two."""
    code = f"""
import os
from distributed import Client
client = Client({where!r}, timeout="60s")
client.wait_for_workers(2, timeout=60)
print(*client.run(os.getpid).values())
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [int(text) for text in found.stdout.split()]


def test_a_cluster_writes_the_same_bytes(folder: Path, address: str) -> None:
    """Two workers of a scheduler, and one thread here."""
    with study(folder, "cluster", 2, address) as main:
        assert main.wait(120) == 0
    assert len(parts(folder / "cluster")) == N_PARTS
    assert parts(folder / "cluster") == parts(folder / "whole")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")
def test_workers_of_the_cluster_are_killed_six_times(folder: Path, address: str) -> None:
    """At random moments; their tasks are done by the other, or by the one that takes their place; the bytes are the same."""
    rng = random.Random(3)  # noqa: S311
    n_kills = 0
    for attempt in range(3):
        name = f"killed{attempt}"
        workers = worker_ids(address)
        with study(folder, name, 2, address) as main:
            for victim, aim in zip(rng.sample(workers, 2), sorted(rng.sample(range(N_PARTS - 4), 2)), strict=True):
                while main.poll() is None and len(parts(folder / name)) < aim:
                    time.sleep(0.002)
                time.sleep(rng.random() * 0.05)
                if main.poll() is None:
                    os.kill(victim, signal.SIGKILL)
                    n_kills += 1
            assert main.wait(120) == 0
        assert parts(folder / name) == parts(folder / "whole")
    assert n_kills >= 4


def test_no_scheduler_is_told(folder: Path) -> None:
    """The message names the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, str(folder / "study.py"), str(folder / "none"), "2", where]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert f"EdgesimError: no Dask scheduler answers at {where}" in found.stderr


def test_the_slowest_of_workers_scheduler_and_main_process_sets_the_time():
    """1,000 parts of 1 s: ten workers take 100 s, a thousand 10 s, which the main process needs at 10 ms for each part."""
    cluster_scale = pytest.importorskip("cluster_scale")
    cost = cluster_scale.Cost(100, 1.0, 0.002, 0.01, 0, 0)
    assert cost.duration_s(100_000, 10) == pytest.approx(100.0)
    assert cost.duration_s(100_000, 1000) == pytest.approx(10.0)
    assert cost.most_workers() == pytest.approx(100.0)
