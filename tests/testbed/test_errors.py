"""What goes wrong ends the command with exit code 3 and a remedy, and leaves nothing: no process, namespace or file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgesim.cli.exit_codes import FAILED
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
        self.process = subprocess.Popen(self.words, env=self.environment, stderr=subprocess.PIPE, text=True)

    def nodes(self):
        """Wait until both nodes are there, and a second more."""
        for _ in range(600):
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            mine = children.read_text().split() if children.exists() else []
            if len(mine) == 2 and all(b"testbed.node" in Path(f"/proc/{one}/cmdline").read_bytes() for one in mine):
                time.sleep(1)
                return [int(one) for one in mine]
            time.sleep(0.1)
        raise AssertionError(self.process.communicate(timeout=60))

    def ended(self):
        """Return exit code and complaint, without what told of progress."""
        _, text = self.process.communicate(timeout=120)
        return self.process.returncode, text.strip().splitlines()[-1]

    def left(self):
        """What it left: files and namespaces."""
        own = (
            [name for name in namespaces() if name.startswith(f"edgesim-testbed-{self.process.pid}-")]
            if os.geteuid() == 0
            else []
        )
        return own, [path.name for path in self.temporary.glob("edgesim-*")]


def are_gone(pids):
    """Wait until processes are."""
    for _ in range(300):
        if not any(lives(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def lives(pid):
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("mode", MODES)
def test_a_node_that_is_killed_ends_the_command(scenario, mode):
    command = Command(scenario, mode)
    nodes = command.nodes()
    os.kill(nodes[1], signal.SIGKILL)
    code, text = command.ended()
    assert code == FAILED
    assert "was killed by signal 9 before all requests were answered" in text
    assert "out of memory" in text
    assert are_gone(nodes)
    assert command.left() == ([], [])
