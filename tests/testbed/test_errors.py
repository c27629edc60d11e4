"""What goes wrong ends the command with exit code 3 and a remedy, and leaves nothing: no process, namespace or file."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesim.cli.exit_codes import FAILED, code_of
from edgesim.cli.main import app
from tests.testbed.conftest import PAGE, are_gone, until
from tests.testbed.test_namespaces import in_namespaces, namespaces

MODES = ["loopback", pytest.param("netns", marks=in_namespaces)]
BUCKETS = "mtu: 1448 B, header: 66 B, framing: 16 B, burst: 1600 B"


class Command:
    """``edgesim testbed`` in a process of its own, with a folder of its own for temporary files."""

    def __init__(self, scenario, mode, *options, **environment):
        self.temporary = scenario.parent / "tmp"
        self.temporary.mkdir(exist_ok=True)
        if mode == "netns":
            text = scenario.read_text().replace("latency: 5 ms", f"latency: 5 ms, {BUCKETS}")
            scenario.write_text(text)
        self.environment = {**os.environ, "TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1", **environment}
        words = [sys.executable, "-m", "edgesim", "testbed"]
        self.words = [*words, str(scenario), "--mode", mode, "--strategy", "chain", "--requests", "10000", *options]
        self.process = subprocess.Popen(
            self.words, env=self.environment, stderr=subprocess.PIPE, text=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads yet; a shell ignores it for what it starts in the background
        )  # fmt: skip

    def nodes(self):
        """Wait until both nodes load what they compute with, which is after they have told the kernel with whom they end."""
        assert until(lambda: self.process.poll() is not None or len(self._loading()) == 2)
        return self._loading()

    def _loading(self):
        try:
            pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            return [int(pid) for pid in pids if "libtorch" in Path(f"/proc/{pid}/maps").read_text()]
        except OSError:  # one has ended meanwhile
            return []

    def ended(self):
        """Return exit code and complaint, without what told of progress."""
        _, text = self.process.communicate(timeout=120)
        return self.process.returncode, text.strip().rpartition("\n")[2]

    def left(self):
        """What it left: files and namespaces."""
        own = (
            [name for name in namespaces() if name.startswith(f"edgesim-testbed-{self.process.pid}-")]
            if os.geteuid() == 0
            else []
        )
        return own, [path.name for path in self.temporary.glob("edgesim-*")]


@pytest.fixture
def start(scenario):
    """Start commands, which are ended with the test, whatever becomes of it."""
    started = []

    def command(*words, **environment):
        started.append(Command(scenario, *words, **environment))
        return started[-1]

    yield command
    for one in started:
        one.process.kill()
        one.process.wait()
        one.process.stderr.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_node_that_is_killed_ends_the_command(start, mode):
    command = start(mode)
    nodes = command.nodes()
    os.kill(nodes[1], signal.SIGKILL)
    code, text = command.ended()
    assert code == FAILED
    assert "was killed by signal 9 before all requests were answered" in text
    assert "out of memory" in text
    assert are_gone(nodes)
    assert command.left() == ([], [])


@pytest.mark.parametrize("mode", MODES)
def test_what_a_killed_command_leaves_is_removed_by_clean(start, mode):
    """Its nodes end on their own, also one that is stopped; namespaces and files are there until somebody removes them."""
    command = start(mode)
    nodes = command.nodes()
    os.kill(nodes[1], signal.SIGSTOP)
    command.process.kill()
    command.ended()
    assert are_gone(nodes)
    spaces, files = command.left()
    assert len(spaces) == (2 if mode == "netns" else 0)
    assert files
    done = subprocess.run(
        [*command.words[:4], "--clean"], env=command.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert all(f"removed {name}" in done.stderr for name in spaces)
    assert command.left() == ([], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_ended_leaves_nothing(start, number):
    command = start("loopback")
    nodes = command.nodes()
    command.process.send_signal(number)
    command.process.communicate(timeout=60)
    assert command.process.returncode != 0
    assert are_gone(nodes)
    assert command.left() == ([], [])


def test_a_port_in_use_ends_the_command(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = start("loopback", "--port", str(port))
        code, text = command.ended()
    assert code == FAILED
    assert f"port {port} of 127.0.0.1 cannot be used: Address already in use; name another with --port" in text
    assert command.left() == ([], [])


@pytest.mark.skipif(
    shutil.which("ip") is None or os.geteuid() != 0, reason="THERE IS NO ip, OR THIS IS NOT ROOT: not tested"
)
def test_a_machine_without_tc_is_told_before_anything_is_trained(start, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ip").symlink_to(shutil.which("ip"))
    command = start("netns", PATH=str(tmp_path / "bin"))
    _, text = command.process.communicate(timeout=120)
    assert command.process.returncode == FAILED
    assert "there is no tc on this machine; install iproute2, or use --mode loopback" in " ".join(text.split())
    assert "teacher" not in text
    assert command.left() == ([], [])


def test_who_is_not_root_is_told_what_to_use(scenario, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(app, ["testbed", str(scenario), "--mode", "netns"])
    assert code_of(result.exception) == FAILED
    assert "network namespaces are for root on Linux; use --mode loopback" in str(result.exception)


def test_the_page_says_so():
    assert "exit code 3" in PAGE.read_text(encoding="utf-8")
