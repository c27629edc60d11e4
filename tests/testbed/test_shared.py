"""Media and links that several devices send over: one message after another, as simulated."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from subprocess import PIPE, Popen

import pytest

from edgesim.domain.system.links import Link, Medium
from edgesim.domain.system.topology import Device, Switch, Topology
from edgesim.strategies.modnn import MoDNN
from edgesim.testbed.bundle import bundled
from edgesim.testbed.comparison import Measured, compare, measure
from edgesim.testbed.loopback import Loopback, interrupting, shared_channels
from edgesim.testbed.pacing import SharedServer
from edgesim.testbed.prepared import PreparedStrategy
from edgesim.testing import deployment_context
from tests.strategies.conftest import noise_dataset, profile, small_network
from tests.testbed.test_loopback import taking

DEVICES = "abc"


def made(links, media=(), switches=()):
    topology = Topology(tuple(Device(name, profile(0.1)) for name in DEVICES), tuple(links), media, switches=switches)
    context = deployment_context(small_network(), noise_dataset((1, 8, 8)), topology, source_id="a", sink_id="a")
    deployment = MoDNN("a").deploy(context)
    return PreparedStrategy("twin", deployment, context, bundled(deployment, context.dataset.test[:1].inputs))


def on_a_medium(medium_id):
    pairs = [(one, two) for one in DEVICES for two in DEVICES if one != two]
    links = [Link(f"{one}->{two}", one, two, 200e3, medium_id=medium_id) for one, two in pairs]
    return made(links, (Medium("air"),) if medium_id else ())


def behind_a_switch():
    pairs = [pair for name in DEVICES for pair in ((name, "s"), ("s", name))]
    links = [Link(f"{one}->{two}", one, two, 200e3, 0.001) for one, two in pairs]
    return made(links, switches=(Switch("s"),))


@pytest.mark.parametrize("joined", [partial(on_a_medium, "air"), behind_a_switch], ids=["medium", "switch"])
def test_messages_take_turns_on_what_they_share(joined):
    """Were there a channel for each pair, the simulation would take less time by tens of milliseconds."""
    twin = joined()
    measured = measure(twin, Loopback(4), tolerance=1.0)
    found = compare(measured, tolerance=1.0)
    apart = compare(Measured(on_a_medium(None), taking(0.1)), tolerance=1.0)
    assert (found.n_equal_sets, found.n_equal_answers) == (4, 4)
    assert found.simulated_s > apart.simulated_s + 0.01
    assert min(measured.latencies_s) > found.simulated_s - 1e-3


def test_channels_are_shared_where_several_devices_send_over_them():
    medium, switch = on_a_medium("air"), behind_a_switch()
    plans = [(one.bundle.plan, one.context.topology) for one in (medium, switch)]
    ways = [{t.step_id: tuple(topology.route(t.src_id, t.dst_id)) for t in plan.transfers} for plan, topology in plans]
    assert shared_channels(ways[0].values()) == ["air"]
    assert "s->a" in shared_channels(ways[1].values())
    assert not [name for name in shared_channels(ways[1].values()) if name.endswith("->s")]
    way = next(way for way in ways[1].values() if way[0].src_id == "a" and way[1].dst_id == "b")
    assert interrupting(way) == [["a->s", "s"], ["s->b", "s"]]


N_SERVED = 5_000
SERVE = f"""
import sys
from pathlib import Path
from edgesim.testbed.pacing import SharedServer
server = SharedServer(Path(sys.argv[1]), 1)
print("there", flush=True)
sys.stdin.readline()
print(*(server.serve(0.0, 1.0)[0] for _ in range({N_SERVED})))
"""


def test_processes_take_turns(tmp_path):
    """Four processes at once serve for 1 s each, again and again: the server is free after the sum, and no two were served at once."""
    path = tmp_path / "channels"
    SharedServer.make(path, 2)
    command = [sys.executable, "-c", SERVE, str(path)]
    with ExitStack() as stack:
        processes = [stack.enter_context(Popen(command, stdin=PIPE, stdout=PIPE, text=True)) for _ in range(4)]
        assert {process.stdout.readline() for process in processes} == {"there\n"}
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        begins_s = [float(word) for process in processes for word in process.stdout.read().split()]
    assert sorted(begins_s) == [float(second) for second in range(4 * N_SERVED)]
    first, second = SharedServer(path, 0), SharedServer(path, 1)
    assert (first.free_s, second.free_s) == (0.0, 4.0 * N_SERVED)
    first.free_s = 3.0
    assert first.serve(1.0, 2.0) == (3.0, 5.0)
    assert second.serve(1e6, 1.0) == (1e6, 1e6 + 1.0)
    first.close()
    second.close()
