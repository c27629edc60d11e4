"""Devices in namespaces of the kernel: its token buckets take the time that is simulated, and all of it is removed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.system.links import Link, Medium
from edgesim.domain.system.topology import Device, Topology
from edgesim.errors import ExecutionError
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.network.transport import Datagram
from edgesim.strategies.layers.chain import Chain
from edgesim.strategies.modnn import MoDNN
from edgesim.testbed.bundle import bundled
from edgesim.testbed.comparison import compare, measure
from edgesim.testbed.course.simulated import simulated
from edgesim.testbed.kernel.buckets import Bucket
from edgesim.testbed.loopback import Loopback
from edgesim.testbed.namespaces import MOST_WHOLE_BYTE, NamespaceNetwork
from edgesim.testbed.prepared import PreparedStrategy
from edgesim.testing import deployment_context
from tests.strategies.conftest import noise_dataset, profile


def _why_not() -> str:
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("tc"):
        return "NETWORK NAMESPACES ARE NOT TESTED: this is not root, or ip or tc is missing"
    name = f"edgesim-probe-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"NETWORK NAMESPACES ARE NOT TESTED: the kernel refuses them: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


WHY_NOT = _why_not()
in_namespaces = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def namespaces():
    return set(subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout.split())


def own():
    """Those of this process; other programs on this machine may have some, too."""
    return {name for name in namespaces() if name.startswith(f"edgesim-testbed-{os.getpid()}-")}


CHAIN = Chain(("a", "b"), cuts=("1",))


def made(strategy=CHAIN, failures=None, **more):
    """A chain whose message of 4,096 byte goes over 200 kbit/s."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 3)).eval()
    link = {"mtu_byte": 1448, "header_byte": 66, "framing_byte": 16, "burst_byte": 1600, **more}
    links = tuple(Link(f"{one}->{two}", one, two, 200e3, 0.002, **link) for one, two in ("ab", "ba"))
    topology = Topology(tuple(Device(name, profile(0.1)) for name in "ab"), links)
    context = deployment_context(network, noise_dataset((1, 16, 16)), topology, source_id="a", sink_id="a")
    deployment = strategy.deploy(context)
    return PreparedStrategy(
        "twin", deployment, context, bundled(deployment, context.dataset.test[:1].inputs), failures or {}
    )


@in_namespaces
def test_the_kernels_bucket_takes_the_time_that_is_simulated_and_is_removed():
    """4,096 + 16 + 3 x 66 byte, of which 1,600 leave at once, are 2,710 at 25 byte per ms: 108 ms, and twice 2 ms of latency."""
    measured = measure(made(), Loopback(5, network=NamespaceNetwork()), tolerance=0.2)
    found = compare(measured, tolerance=0.2)
    assert found.simulated_s == pytest.approx(0.1124, abs=2e-3)
    assert (
        min(measured.latencies_s) > 0.1
    )  # without a bucket it would be a tenth of that; how much longer depends on what else runs
    assert (found.n_equal_answers, found.measured_byte) == (5, 4108)
    assert not own()


DATAGRAMS = {"transport": Datagram(), "mtu_byte": 1456, "header_byte": 58}


def on_the_air(rates=(500e3,) * 6, *, is_shared=True, **more):
    """Three devices, of which two help the first one, over one medium or over links of their own without bursts; messages of up to 4,096 byte."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 3)).eval()
    pairs = [(one, two) for one in "abc" for two in "abc" if one != two]
    medium = {"medium_id": "air"} if is_shared else {}
    more = {"mtu_byte": 1448, "header_byte": 66, "framing_byte": 16, **medium, **more}
    links = tuple(Link(f"{a}->{b}", a, b, rate, 0.002, **more) for (a, b), rate in zip(pairs, rates, strict=True))
    media = (Medium("air"),) if is_shared else ()
    topology = Topology(tuple(Device(name, profile(0.1)) for name in "abc"), links, media)
    context = deployment_context(network, noise_dataset((1, 16, 16)), topology, source_id="a", sink_id="a")
    deployment = MoDNN("a").deploy(context)
    return PreparedStrategy("twin", deployment, context, bundled(deployment, context.dataset.test[:1].inputs))


def passed_byte():
    """Return the namespace of the medium, and how many bytes have passed its bucket."""
    for name in own():
        shown = subprocess.run(
            ["tc", "-n", name, "-s", "qdisc", "show", "dev", "in"], capture_output=True, text=True, check=False
        )
        if found := re.search(r"Sent (\d+) bytes", shown.stdout):
            return name, int(found[1])
    raise LookupError("none has a bucket")


@in_namespaces
@pytest.mark.parametrize("more", [{}, {**DATAGRAMS, "framing_byte": 0, "message_overhead_s": 0.005}])
def test_all_devices_of_a_medium_share_one_bucket_as_simulated(more):
    """Were there a channel for each pair, the simulation would take less time; were the bucket a faster one, messages would come before they do there."""
    seen = []
    twin = on_the_air(**more)

    def look(number, processes):
        seen.append((len(own()), passed_byte()[1]))

    measured = measure(twin, Loopback(4, network=NamespaceNetwork(), on_answer=look), tolerance=1.0)
    found = compare(measured, tolerance=1.0)
    plan, topology = twin.bundle.plan, twin.context.topology
    apart = simulated(
        on_the_air(is_shared=False, **more).bundle.plan, on_the_air(is_shared=False, **more).context, {}, 1
    )
    assert found.simulated_s > apart[0].latency_s + 0.01
    assert found.simulated_s - 1e-3 < min(measured.latencies_s) < 1.2 * found.simulated_s
    messages = [step for step in found.steps if step.size_byte]
    in_turn = zip(
        sorted(one.simulated_end_s for one in messages), sorted(one.mean_end_s for one in messages), strict=True
    )
    assert min(measured_s - simulated_s for simulated_s, measured_s in in_turn) > -1e-3
    assert (found.n_equal_sets, found.n_equal_answers) == (4, 4)
    wire_byte = sum(topology.route(t.src_id, t.dst_id)[0].wire_byte(t.size_byte) for t in plan.transfers)
    assert {n_namespaces for n_namespaces, _ in seen} == {4}
    passed = [later - earlier for (_, earlier), (_, later) in pairwise(seen)]
    assert min(passed) >= 0.97 * wire_byte  # segments of TCP carry what is left of one message with the next
    assert min(passed) == wire_byte or not more
    assert not own()


@in_namespaces
@pytest.mark.parametrize(
    ("more", "n_down"),
    [({}, 0), ({"transport": Datagram(), "mtu_byte": 1456, "header_byte": 58, "framing_byte": 0}, 3)],
)
def test_a_link_that_goes_down_loses_what_is_on_its_way(more, n_down, monkeypatch):
    """The result of 4,096 byte needs 110 ms; its link is down after 50. The kernel loses datagrams; what TCP sends again is dropped where it comes."""
    seen = []

    def switched(self, *, is_up):
        switch(self, is_up=is_up)
        shown = subprocess.run(
            ["tc", "-n", self.name, "qdisc", "show", "dev", self.interface], capture_output=True, text=True, check=True
        )
        seen.append(
            (self.link.link_id, is_up, "tbf" in shown.stdout, "blackhole" in shown.stdout or not shown.stdout.strip())
        )

    switch = Bucket.switch
    monkeypatch.setattr(Bucket, "switch", switched)
    failures = {"down": Scripted((ScriptedOutage("b->a", 0.05, 0.3),))}
    twin = made(MoDNN("a", on_missing="degrade", step_deadline_s=0.5), failures, **more)
    (course,) = simulated(twin.bundle.plan, twin.context, failures, 1)
    assert course.lost == {"0/gather/b"}
    assert 0.5 < course.latency_s < 1.0
    found = compare(measure(twin, Loopback(3, network=NamespaceNetwork()), tolerance=1.0), tolerance=1.0)
    assert (found.n_equal_sets, found.n_equal_answers, found.n_degraded) == (3, 3, 3)
    assert seen.count(("b->a", False, False, True)) == n_down
    assert {one[:3] for one in seen if one[1]} == {("a->b", True, True), ("b->a", True, True)}


@in_namespaces
@pytest.mark.parametrize("joined", [made, on_the_air])
def test_a_node_that_is_killed_leaves_no_namespace(joined):

    def kill(number, processes):
        processes["a"].kill()

    with pytest.raises(ExecutionError, match="was killed by signal 9"):
        measure(joined(), Loopback(5, network=NamespaceNetwork(), on_answer=kill), tolerance=0.1)
    assert not own()


@in_namespaces
def test_clean_removes_what_killed_runs_left_and_nothing_else():
    dead = subprocess.Popen(["true"])
    dead.wait()
    of_the_dead, ours = f"edgesim-testbed-{dead.pid}-0", f"edgesim-testbed-{os.getpid()}-99"
    try:
        for name in (of_the_dead, ours):
            subprocess.run(["ip", "netns", "add", name], check=True)
        assert CliRunner().invoke(app, ["testbed", "--clean"]).exit_code == 0
        assert of_the_dead not in namespaces()
        assert ours in namespaces()
    finally:
        subprocess.run(["ip", "netns", "del", ours], check=True)


def check(one):
    return NamespaceNetwork().check(one.bundle.plan, one.context.topology)


def test_users_tools_and_links_that_cannot_be_are_refused(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ExecutionError, match="for root on Linux; use --mode loopback"):
        check(made())
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "tc" else f"/sbin/{tool}")
    with pytest.raises(ExecutionError, match="there is no tc on this machine; install iproute2"):
        check(made())
    monkeypatch.setattr("shutil.which", lambda tool: f"/sbin/{tool}")
    with pytest.raises(ExecutionError, match="lets at least 1600 B leave at once; write burst: 1600 B"):
        check(made(burst_byte=100))
    with pytest.raises(ExecutionError, match="has a message_overhead, which the kernel does not know"):
        check(made(message_overhead_s=0.001))
    assert set(check(made())) == {"behind 1", "answer"}
    with pytest.raises(
        ExecutionError, match=r"medium 'air' have .* Mbit/s, but the kernel's token bucket for it has one rate"
    ):
        check(on_the_air((200e3, 100e3) * 3))
    assert check(on_the_air(message_overhead_s=0.001))


@pytest.mark.parametrize(
    ("mtu_byte", "size_byte", "reason"),
    [(1457, 4096, "cut larger ones in two; write mtu: 1456 B"), (1472, 4096, "has packets of 1472 byte"), (1456, 4096, ""), (1472, 1456, "")],
)  # fmt: skip
def test_datagrams_that_the_kernel_would_cut_are_refused(monkeypatch, mtu_byte, size_byte, reason):
    """Interfaces take 1,500 byte, 44 of which are headers; a message in one packet has the size that counts."""
    monkeypatch.setattr("edgesim.testbed.namespaces.check_tools", lambda: None)
    twin = made(**{**DATAGRAMS, "mtu_byte": mtu_byte})
    steps = tuple(
        replace(one, size_byte=min(one.size_byte, size_byte)) if isinstance(one, Transfer) else one
        for one in twin.bundle.plan.steps
    )
    plan = Plan(steps, twin.bundle.plan.answer_id, twin.bundle.plan.weight_byte)
    with pytest.raises(ExecutionError, match=reason) if reason else nullcontext():
        NamespaceNetwork().check(plan, twin.context.topology)


@in_namespaces
def test_a_datagram_of_the_largest_size_is_one_packet():
    """1,456 byte and headers of 44 are the 1,500 of an interface: of three packets the bucket of the medium passes three, of which it counts 14 byte more each."""
    before = []
    twin = on_the_air(**{**DATAGRAMS, "framing_byte": 0})
    n_byte = sum(one.size_byte for one in twin.bundle.plan.transfers)
    n_packets = sum(-(-one.size_byte // MOST_WHOLE_BYTE) for one in twin.bundle.plan.transfers)
    measure(
        twin, Loopback(4, network=NamespaceNetwork(), on_answer=lambda *_: before.append(passed_byte()[1])), tolerance=1.0
    )  # fmt: skip
    assert (
        min(later - sooner for sooner, later in pairwise(before)) == n_byte + 58 * n_packets
    )  # the kernel sends some of its own, too


@pytest.mark.parametrize(
    ("n_devices", "n_media", "reason"),
    [
        (254, 1, ""),
        (255, 1, "joins 255 devices, but has addresses for 254"),
        (2, 257, "257 media, but networks for 256"),
    ],
)
def test_media_have_as_many_devices_as_addresses(monkeypatch, n_devices, n_media, reason):
    """Of a network of 256 addresses two are no device's."""
    monkeypatch.setattr("edgesim.testbed.namespaces.check_tools", lambda: None)
    names = [f"d{number}" for number in range(n_devices)]
    media = [f"air{number}" for number in range(n_media)]
    links = [
        Link(f"{name}->d0 {medium}", name, "d0", 1e6, 0.0, medium_id=medium) for medium in media for name in names[1:]
    ]
    monkeypatch.setattr("edgesim.testbed.namespaces.ways_of", lambda *_, **__: {one.link_id: (one,) for one in links})
    with pytest.raises(ExecutionError, match=reason) if reason else nullcontext():
        NamespaceNetwork().check(Plan((Compute("end", "d0"),), "end", {}), made().context.topology)
