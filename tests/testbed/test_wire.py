"""Messages on the wire: in any pieces, from peers only, and as large as the plan says."""

from __future__ import annotations

import os
import socket
import time

import pytest

from edgesim.errors import EdgesimError
from edgesim.testbed.node import Controls
from edgesim.testbed.wire import datagrams, streams

TOKEN = b"0123456789abcdef"


@pytest.fixture
def pair():
    server = streams.listening("127.0.0.1", 0)
    sender = socket.create_connection(server.getsockname())
    receiver, _ = server.accept()
    yield sender, receiver
    for one in (sender, receiver, server):
        one.close()


def read(incoming, n):
    found = []
    until_s = time.monotonic() + 10
    while len(found) < n and time.monotonic() < until_s:
        found += incoming.read()
    return found


def test_messages_come_whole_whatever_the_pieces(pair):
    sender, receiver = pair
    incoming = streams.Incoming(receiver, TOKEN, [5, 200_000])
    sender.sendall(TOKEN[:7])
    assert incoming.read() == []
    sender.sendall(TOKEN[7:])
    outgoing = streams.Outgoing(sender)
    large = os.urandom(200_000)
    outgoing.send(outgoing.packets(3, 1, 1.5, large, 1448))
    outgoing.send(outgoing.packets(4, 0, 2.5, b"small", 2))
    found = []
    until_s = time.monotonic() + 10
    while len(found) < 2 and time.monotonic() < until_s:
        outgoing.flush()
        found += incoming.read()
    assert not outgoing.is_waiting
    assert [(one.number, one.position, one.sent_s, bytes(one.content)) for one in found] == [
        (3, 1, 1.5, large),
        (4, 0, 2.5, b"small"),
    ]
    sender.setblocking(True)
    sender.sendall(streams.HEADER.pack(5, 2, 0.0))
    with pytest.raises(EdgesimError, match="none of its plan"):
        read(incoming, 1)


def test_whoever_does_not_know_the_token_is_gone(pair):
    sender, receiver = pair
    incoming = streams.Incoming(receiver, TOKEN, [5])
    sender.sendall(b"0123456789abcdeX")
    with pytest.raises(streams.Gone):
        read(incoming, 1)


def test_who_ends_is_gone_and_gets_nothing_more(pair):
    sender, receiver = pair
    incoming = streams.Incoming(receiver, b"", [5])
    outgoing = streams.Outgoing(receiver)
    sender.close()
    with pytest.raises(streams.Gone):
        read(incoming, 1)
    for _ in range(3):
        outgoing.send([b"x" * 10])
        time.sleep(0.01)
    assert not outgoing.is_waiting


def test_a_message_of_datagrams_has_come_when_all_have():
    """Of 2,500 byte in packets of 1,000 three come, in any order; two of another message do not make it whole."""
    receiver = datagrams.Datagrams("127.0.0.1", 0, [2500], [1000])
    sender = datagrams.Datagrams("127.0.0.1", 0, [], [])
    try:
        receiver.peers = {("127.0.0.1", sender.port)}
        outgoing = datagrams.Outgoing(sender, ("127.0.0.1", receiver.port))
        payload = os.urandom(2500)
        first, second, third = outgoing.packets(7, 0, 1.5, payload, 1000)
        assert [len(one) - datagrams.HEADER.size for one in (first, second, third)] == [1000, 1000, 500]
        outgoing.send(outgoing.packets(6, 0, 1.0, payload, 1000)[:2])
        outgoing.send([third, first, second])
        [found] = read(receiver, 1)
        assert (found.number, found.position, found.sent_s, bytes(found.content)) == (7, 0, 1.5, payload)
        outgoing.send([second, third, first, first])  # networks may deliver a packet twice
        outgoing.send(outgoing.packets(8, 0, 2.0, payload, 1000))
        assert [one.number for one in read(receiver, 1)] == [8]
        assert receiver.read() == []
        receiver.peers = ()
        outgoing.send([third, first, second])
        time.sleep(0.05)
        assert receiver.read() == []
    finally:
        receiver.socket.close()
        sender.socket.close()


def test_a_port_of_datagrams_in_use_is_told():
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(EdgesimError, match=f"port {port} of 127.0.0.1 cannot be used"):
            datagrams.Datagrams("127.0.0.1", port, [], [])


def test_orders_are_lines_however_they_come():
    near, far = os.pipe()
    try:
        controls = Controls(near)
        os.write(far, b'{"a": 1}\n{"b"')
        assert controls.wait() == {"a": 1}
        os.write(far, b': 2}\n{"c": 3}\n')
        assert list(controls.read()) == [{"b": 2}, {"c": 3}]
    finally:
        os.close(near)
        os.close(far)
