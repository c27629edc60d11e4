"""Machines of the user: here network namespaces, with `ip netns exec` in place of ssh, so that all else is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from edgesim.cli.exit_codes import FAILED, code_of
from edgesim.cli.main import app
from edgesim.errors import DataError, ExecutionError, ScenarioError
from edgesim.testbed.comparison import compare, measure
from edgesim.testbed.hosts.clocks import in_our_time, offset_of, offsets_of
from edgesim.testbed.hosts.file import Machine, Machines, read_machines
from edgesim.testbed.hosts.network import HostNetwork
from edgesim.testbed.hosts.sent import packed, unpacked
from edgesim.testbed.loopback import Loopback
from tests.testbed.test_loopback import made
from tests.testbed.test_namespaces import in_namespaces

IN_NAMESPACES = ("ip", "netns", "exec", "{host}")


@contextmanager
def two_hosts():
    """Two namespaces that a pair of interfaces joins."""
    names = {device: f"host-{device}-{os.getpid()}" for device in "ab"}

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    try:
        for name in names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "to0", "netns", names["a"], "type", "veth", "peer", "name", "to0", "netns", names["b"])
        for place, name in enumerate(names.values(), start=1):
            ip("-n", name, "address", "add", f"10.78.0.{place}/30", "dev", "to0")
            ip("-n", name, "link", "set", "to0", "up")
        yield names
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)


def machines(names, **more):
    of_device = {
        device: Machine(name, f"10.78.0.{place}") for place, (device, name) in enumerate(names.items(), start=1)
    }
    return Machines(
        **{"command": IN_NAMESPACES, "python": sys.executable, "is_paced": False, "of_device": of_device, **more}
    )


@in_namespaces
def test_hosts_answer_over_their_own_network_and_keep_nothing(tmp_path, monkeypatch):
    """The network between them is fast, so the 136 ms of the links are missing; with senders that pace they are there."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of the nodes alone: other tests may have nodes, too
    with two_hosts() as names:
        found = compare(measure(made(), Loopback(3, network=HostNetwork(machines(names))), 1.0), 1.0)
        assert (found.n_equal_answers, found.measured_byte, found.n_degraded) == (3, 268, 0)
        assert 0 < found.clock_error_s < 1.0
        paced = measure(made(), Loopback(3, network=HostNetwork(machines(names, is_paced=True))), 1.0)
        assert min(paced.latencies_s) > 0.136
        assert not list(tmp_path.iterdir())
        done = subprocess.run(["ip", "netns", "pids", names["a"]], capture_output=True, text=True, check=True)
        assert not done.stdout


@in_namespaces
def test_the_command_reads_the_file(scenario, tmp_path):
    with two_hosts() as names:
        hosts = {
            device: {"host": name, "address": f"10.78.0.{place}"}
            for place, (device, name) in enumerate(names.items(), 1)
        }
        python = tmp_path / "python"  # one plain word, wherever the environment of the tests lies
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        document = {"command": "ip netns exec {host}", "python": str(python), "hosts": hosts}
        (tmp_path / "machines.yaml").write_text(json.dumps(document))
        command = ["testbed", str(scenario), "--mode", "hosts", "--hosts", str(tmp_path / "machines.yaml"), "--unpaced"]
        result = CliRunner().invoke(app, [*command, "--strategy", "chain", "--requests", "2", "--json"])
        assert result.exit_code in {0, 1}, result.exception
        (found,) = json.loads(result.stdout)["strategies"]
        assert found["n_equal_answers"] == 2
        assert found["clock_error_s"] > 0
        result = CliRunner().invoke(app, [*command, "--strategy", "halo"])
        assert code_of(result.exception) == FAILED
        assert "no host is named for 'c'; add it to `hosts`" in str(result.exception)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/nowhere/ssh", "{host}"), "the node of 'a' cannot be started: `/nowhere/ssh`: No such file or directory"),
        (("ls", "/nowhere/{host}", "--"), "the node of '.' ended with exit code 2 .*ls: cannot access"),
        (
            ("sh", "-c", "echo welcome to {host}; exec cat >&2"),
            "the command of '.' wrote 'welcome to .* to stdout, which is nothing that a node says",
        ),
    ],
)
def test_a_command_that_fails_or_talks_is_told(command, reason):
    wrong = machines({"a": "x", "b": "y"}, command=command, python="/nowhere/python")
    with pytest.raises(ExecutionError, match=reason):
        measure(made(), Loopback(2, network=HostNetwork(wrong)), 1.0)


def test_outages_are_not_for_machines_of_others():
    class Fate:
        outages = (1,)

    class Course:
        fate = Fate()

    how = Loopback(1, network=HostNetwork(machines({"a": "x", "b": "y"})))
    with pytest.raises(ExecutionError, match="add --no-failures"):
        how.execute(made().bundle, {}, {}, {}, [Course()])


def test_a_file_is_read(tmp_path):
    path = tmp_path / "machines.yaml"
    path.write_text("paced: true\nhosts:\n  a: pi@board-1\n  b: {host: board-2, address: 10.0.0.2}\n")
    found = read_machines(path)
    assert found.words("a") == ["ssh", "-o", "BatchMode=yes", "pi@board-1", "python3", "-m", "edgesim.testbed.node"]
    assert found.is_paced
    assert found.of_device == {"a": Machine("pi@board-1", "board-1"), "b": Machine("board-2", "10.0.0.2")}


def test_all_mistakes_of_a_file_are_shown_at_their_places(tmp_path):
    path = tmp_path / "machines.yaml"
    path.write_text(
        "command: ssh board\npython: python3 -x\npaced: often\nports: 3\nhosts:\n  a: -oProxyCommand=x\n  b: {host: x; reboot}\n  c: {at: y}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        read_machines(path)
    assert [one.line for one in caught.value.findings] == [4, 1, 2, 3, 6, 7, 8]
    path.write_text("paced: true\n")
    with pytest.raises(ScenarioError, match="names no hosts"):
        read_machines(path)


def test_mode_and_file_go_together(scenario):
    for options in (["--mode", "hosts"], ["--hosts", str(scenario)]):
        result = CliRunner().invoke(app, ["testbed", str(scenario), *options])
        assert result.exit_code == 2
        assert "go together" in result.output


class Clocks:
    """Nodes that say their time, 100 s ahead; every other exchange takes longer on the way back."""

    def __init__(self, now):
        self.now, self.n_asked = now, 0

    def tell(self, device_id, **document):
        assert document == {"clock": self.n_asked % 20}
        self.n_asked += 1
        self.now[0] += 0.001

    def hear(self, until_s, what):
        said = {"clock_s": self.now[0] + 100.0}
        self.now[0] += 0.001 if self.n_asked % 2 else 0.5
        return "a", said


def test_the_quickest_exchange_says_how_far_clocks_are_apart(monkeypatch):
    now = [7.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    found = offsets_of(Clocks(now), ["a"], 1.0)["a"]
    assert (found.ahead_s, found.error_s) == pytest.approx((100.0, 0.001))
    assert offset_of(1.0, 51.0, 1.5).error_s == 0.25


def test_moments_are_told_in_our_time():
    log = [["compute", "x", 0, 107.0, 0.1, [], 106.0], ["sent", "y", 0, 107.0, 4], ["message", "z", 0, 108.0, 4, True]]
    assert in_our_time({"log": log}, 100.0)["log"] == [
        ["compute", "x", 0, 7.0, 0.1, [], 6.0],
        ["sent", "y", 0, 7.0, 4],
        ["message", "z", 0, 8.0, 4, True],
    ]
    assert in_our_time({"answer": 1, "at_s": 101.0}, 100.0) == {"answer": 1, "at_s": 1.0}
    assert in_our_time({"clock_s": 101.0}, 100.0) == {"clock_s": 101.0}


def test_files_are_sent_and_removed_and_other_versions_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "steps.json").write_bytes(b"{}\xff")
    (tmp_path / "samples").write_bytes(b"1234")
    setup = json.loads(json.dumps(packed(tmp_path / "a", tmp_path / "samples")))
    with unpacked(setup) as (folder, samples):
        assert ((folder / "steps.json").read_bytes(), samples.read_bytes()) == (b"{}\xff", b"1234")
    assert not folder.exists()
    with pytest.raises(DataError, match="install the same"), unpacked({**setup, "version": "0.0.1"}):
        pass
