"""What a node does with messages that come before it was told of their request, or has released it: other devices may be faster."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgesim.strategies.layers.chain import Chain
from edgesim.testbed.bundle import bundled
from edgesim.testbed.devices import device_bundles
from edgesim.testbed.node import Node
from edgesim.testbed.wire.streams import Came
from tests.testbed.test_executed import context

LATENCY_S, JITTER_S = 0.25, 0.5


@pytest.fixture
def node():
    """The second of two devices, which gets one message and computes nothing else before."""
    made = context()
    bundle = bundled(Chain(("hub", "w1"), ("3",)).deploy(made), made.dataset.test[:1].inputs)
    one = device_bundles(bundle.plan, bundle.programs)["w1"]
    ((name, size_byte),) = ((transfer.step_id, transfer.size_byte) for transfer in one.receives)
    node = Node(one, {}, {}, {name: LATENCY_S}, [], channels_path=Path("channels"))
    return node, name, bytearray(size_byte)


def taken(node):
    """Let all happen that is to happen; return when messages were taken."""
    while node._events:
        _, _, do, what = node._events.pop(0)
        do(*what)
    return [at_s for kind, _, _, at_s, *_ in node.log if kind == "message"]


@pytest.mark.parametrize("is_told_late", [False, True])
def test_a_message_is_delayed_though_the_request_is_not_released(node, is_told_late):
    """From the moment at which it came, by latency and jitter."""
    node, name, content = node
    before_s, message, fate = time.monotonic(), Came(0, 0, 0.0, content), {"waits_s": {name: JITTER_S}}
    if is_told_late:
        node.came([message])
        assert not taken(node)
        came_s = time.monotonic()
        node.told(0, fate)
    else:
        node.told(0, fate)
        node.came([message])
        came_s = time.monotonic()
    [at_s] = taken(node)
    assert before_s <= at_s - LATENCY_S - JITTER_S <= came_s


@pytest.mark.parametrize("is_told_late", [False, True])
@pytest.mark.parametrize("kind", ["dropped", "cut", "down"])
def test_a_message_is_lost_though_the_request_is_not_released(node, kind, is_told_late):
    """Dropped where it comes, cut off by its link, or sent to a device that is down."""
    node, name, content = node
    down = [[0.0, None]]
    fate, message = {"dropped": [name], "cut": {name: down}, "down": down}, Came(0, 0, 1.0, content)
    orders = [lambda: node.told(0, {kind: fate[kind]}), lambda: node.came([message])]
    for order in reversed(orders) if is_told_late else orders:
        order()
    assert not taken(node)


def test_a_message_of_a_request_long_ago_is_taken_as_ever(node):
    """It waits for nobody to tell of it again."""
    node, _, content = node
    for number in range(3):
        node.told(number, {})
        node.release(0.0, number)
    node.came([Came(0, 0, 0.0, content)])
    assert len(taken(node)) == 1
    assert not any(request.early for request in node._requests.values())
