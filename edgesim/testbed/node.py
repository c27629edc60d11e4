"""The program of one device: it executes its bundle, gets messages over TCP, and sends them as slowly as its links are.

It is started by `edgesim.testbed.loopback`, which tells it on stdin, line by line in JSON, what to load, where its peers are, and when requests
are released; it answers on stdout. It ends when stdin does.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import secrets
import socket
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from edgesim.domain.plan import Compute, Transfer
from edgesim.errors import EdgesimError
from edgesim.interfaces import KEPT, SAMPLE
from edgesim.testbed.course.fate import meets
from edgesim.testbed.devices import DeviceBundle, begins, is_waited_for
from edgesim.testbed.folder import read_device
from edgesim.testbed.hosts.sent import unpacked
from edgesim.testbed.pacing import Server, sleep_until

if TYPE_CHECKING:
    from pathlib import Path

    from edgesim.nn.kernels.program import Given, Runner, Tensors

_HEADER = struct.Struct("!IId")
"""Of a message: number of the request, position of the transfer among those that the receiver gets, when it was sent."""


def say(**document: Any) -> None:
    """Write a line to whoever started the node."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


@dataclass(slots=True)
class _Request:
    """What is there of one request, and which computations have begun or are late."""

    released_s: float = 0.0
    values: dict[str, Tensors] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    fate: dict[str, Any] = field(default_factory=dict)

    def is_down(self, since_s: float, until_s: float) -> bool:
        """Return whether the device is down at some moment in between."""
        return meets(self.fate.get("down", ()), since_s, until_s) is not None


@dataclass(frozen=True, slots=True)
class _Task:
    """A computation that can begin, with what it is given."""

    ready_s: float
    number: int
    step: Compute
    given: dict[str, Tensors]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Message:
    """What is to be sent, when it was ready, and when its sender or its link is down."""

    ready_s: float
    number: int
    pace: dict[str, float]
    payload: bytes
    silent: list[list[float | None]]


class Outgoing(threading.Thread):
    """Sends the messages to one other device, one after another, at the rate and with the latency of the link.

    Parameters
    ----------
    connection : to the device.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self.connection = connection
        self.messages: SimpleQueue[_Message] = SimpleQueue()
        self.link = Server()

    def run(self) -> None:
        """Send for ever; packet by packet, each when its last bit would have left."""
        while True:
            message = self.messages.get()
            pace, payload = message.pace, message.payload
            begun_s, ended_s = self.link.serve(message.ready_s, pace["occupation_s"])
            interrupted_s = meets(message.silent, message.ready_s, ended_s)
            if interrupted_s is not None:
                self.link.free_s = max(begun_s, interrupted_s)  # it occupied the link until then, if it had begun
                continue
            header = _HEADER.pack(message.number, int(pace["position"]), begun_s)
            n_packets = int(pace["n_packets"])
            size = -(-len(payload) // n_packets)
            try:
                for packet in range(n_packets):
                    sleep_until(begun_s + pace["occupation_s"] * (packet + 1) / n_packets)
                    part = payload[packet * size : (packet + 1) * size]
                    self.connection.sendall(header + part if packet == 0 else part)
            except OSError:
                return  # the other has ended, which whoever started both notices


class Node:
    """Executes what one device does; latencies are waited for where messages come.

    Parameters
    ----------
    bundle : what it executes.
    durations_s : how long its computations shall take; empty: as long as they do.
    paces : of each transfer that it sends: ``occupation_s`` of the link, ``n_packets``, and its ``position`` among those of the receiver.
    latencies_s : of each transfer that it gets.
    samples : what is asked, by request modulo their number; none where the input is elsewhere.
    """

    def __init__(
        self,
        bundle: DeviceBundle,
        durations_s: dict[str, float],
        paces: dict[str, dict[str, float]],
        latencies_s: dict[str, float],
        samples: list[Tensors],
    ) -> None:
        from edgesim.nn.kernels.program import Runner

        self.bundle = bundle
        self.durations_s = durations_s
        self.paces = paces
        self.latencies_s = latencies_s
        self.samples = samples
        self.device = Server()
        self.log: list[list[Any]] = []
        self.outgoing: dict[str, Outgoing] = {}
        self._runners: dict[str, Runner] = {name: Runner(program) for name, program in bundle.programs.items()}
        self._given: dict[str, Given] = {
            given.name: given for program in bundle.programs.values() for given in program.given
        }
        self._messages = frozenset(transfer.step_id for transfer in bundle.receives)
        self._requests: dict[int, _Request] = {}
        self._ready: deque[_Task] = deque()
        self._events: list[tuple[float, int, str, int, Any]] = []
        self._n_events = 0
        self._has_events = threading.Condition()

    def warm_up(self) -> None:
        """Run every computation once on zeros."""
        for step in self.bundle.computes:
            runner = self._runners[step.step_id]
            runner.run({given.name: given.zeros() for given in runner.program.given})

    def post(self, at_s: float, kind: str, number: int, what: Any = None) -> None:
        """Note that something happens at a moment: a release, a message, a deadline."""
        with self._has_events:
            self._n_events += 1
            heapq.heappush(self._events, (at_s, self._n_events, kind, number, what))
            self._has_events.notify()

    def run(self) -> None:
        """Execute for ever: take what has happened in its order, then compute what is ready longest."""
        while True:
            for at_s, _, kind, number, what in self._happened():
                self._take(at_s, kind, number, what)
            if self._ready:
                self._compute(self._ready.popleft())

    def _happened(self) -> list[tuple[float, int, str, int, Any]]:
        """Return what has happened by now, in order; wait for something when nothing is ready."""
        with self._has_events:
            while not self._ready and not (self._events and self._events[0][0] <= time.monotonic()):
                self._has_events.wait(max(0.0, self._events[0][0] - time.monotonic()) if self._events else None)
            now_s = time.monotonic()
            found = []
            while self._events and self._events[0][0] <= now_s:
                found.append(heapq.heappop(self._events))
            return found

    def _take(self, at_s: float, kind: str, number: int, what: Any) -> None:
        request = self._requests.setdefault(number, _Request())
        if kind == "release":
            request.fate = what
            self._requests = {n: one for n, one in self._requests.items() if n >= number - 1}
            request.released_s = at_s
            sample = self.samples[number % len(self.samples)] if self.samples else ()
            for transfer in self.bundle.sends:
                if not transfer.inputs and not request.is_down(at_s, at_s):
                    self._send(transfer, number, at_s, sample, request)
            for step in self.bundle.computes:
                self._await(step, request, number, at_s)
        elif kind == "message":
            name, content, sent_s = what
            if name in request.fate.get("dropped", ()) or request.is_down(sent_s, at_s):
                return
            self.log.append(["message", name, number, at_s, len(content), self._is_in_time(name, request)])
            request.values[name] = self._given[name].read(content)
        else:
            request.late.add(what)
        for step in self.bundle.computes:
            if kind == "release" or what == step.step_id or (kind == "message" and what[0] in step.inputs):
                self._begin(step, request, number, at_s)

    def _is_in_time(self, name: str, request: _Request) -> bool:
        """Return whether a message that has come can be used."""
        users = [step for step in self.bundle.computes if name in step.inputs]
        return all(step.step_id not in request.begun or not is_waited_for(name, step, request.values) for step in users)

    def _await(self, step: Compute, request: _Request, number: int, at_s: float) -> None:
        """Start the deadline of a computation once all is there that the device itself computes for it."""
        local = [name for name in step.inputs if name not in self._messages]
        if (
            step.deadline_s is not None
            and step.inputs
            and step.step_id not in request.waiting
            and all(name in request.values for name in local)
        ):
            request.waiting.add(step.step_id)
            self.post(at_s + step.deadline_s, "deadline", number, step.step_id)

    def _begin(self, step: Compute, request: _Request, number: int, at_s: float) -> None:
        """Put a computation behind those that are ready, if it can begin."""
        name = step.step_id
        if name in request.begun or not begins(step, request.values, self._messages, is_late=name in request.late):
            return
        request.begun.add(name)
        given = {one: request.values[one] for one in step.inputs if one in request.values}
        if not step.inputs:
            given = {SAMPLE: self.samples[number % len(self.samples)]}
        missing = tuple(one for one in step.inputs if one not in given)
        self._ready.append(_Task(at_s, number, step, given, missing))

    def _compute(self, task: _Task) -> None:
        begun_s = time.monotonic()
        results = self._runners[task.step.step_id].run(task.given)
        done_s = time.monotonic()
        request = self._requests.get(task.number, _Request())
        slowed_s = request.fate.get("durations_s", {})
        duration_s = slowed_s.get(task.step.step_id, self.durations_s.get(task.step.step_id))
        started_s, ended_s = self.device.serve(
            task.ready_s, done_s - max(task.ready_s, self.device.free_s) if duration_s is None else duration_s
        )
        sleep_until(ended_s)
        if request.is_down(task.ready_s, ended_s):
            self.device.free_s = time.monotonic()  # what it computes, and what waits for it, is lost
            return
        if done_s > ended_s:
            self.device.free_s = ended_s = done_s
        took_s, missing = done_s - begun_s, list(task.missing)
        self.log.append(["compute", task.step.step_id, task.number, ended_s, took_s, missing, started_s])
        request.values[task.step.step_id] = results.get(KEPT, ())
        for transfer in self.bundle.sends:
            if task.step.step_id in transfer.inputs:
                self._send(transfer, task.number, ended_s, results[transfer.step_id], request)
        if task.step.step_id == self.bundle.answer_id:
            say(answer=task.number, at_s=ended_s, values=results[KEPT][0].flatten().tolist())
        for step in self.bundle.computes:
            if task.step.step_id in step.inputs:
                self._await(step, request, task.number, ended_s)
                self._begin(step, request, task.number, ended_s)

    def _send(self, transfer: Transfer, number: int, ready_s: float, tensors: Tensors, request: _Request) -> None:
        from edgesim.nn.kernels.program import bytes_of

        payload = bytes_of(tensors)
        self.log.append(["sent", transfer.step_id, number, ready_s, len(payload)])
        silent = [*request.fate.get("down", ()), *request.fate.get("silent", {}).get(transfer.step_id, ())]
        message = _Message(ready_s, number, self.paces[transfer.step_id], payload, silent)
        self.outgoing[transfer.dst_id].messages.put(message)

    def receive(self, connection: socket.socket) -> None:
        """Take messages from one other device until it ends."""
        names = [transfer.step_id for transfer in self.bundle.receives]
        while (header := _read(connection, _HEADER.size)) is not None:
            number, position, sent_s = _HEADER.unpack(header)
            if position >= len(names):
                raise EdgesimError(f"device {self.bundle.device_id!r} got a message that is none of its plan")
            content = _read(connection, self.bundle.receives[position].size_byte)
            if content is None:
                return
            request = self._requests.get(number)
            wait_s = 0.0 if request is None else request.fate.get("waits_s", {}).get(names[position], 0.0)
            at_s = time.monotonic() + self.latencies_s[names[position]] + wait_s
            self.post(at_s, "message", number, (names[position], content, sent_s))


def _read(connection: socket.socket, size: int) -> bytearray | None:
    """Return so many bytes, None when the other has ended."""
    content = bytearray(size)
    view = memoryview(content)
    while view:
        try:
            n_read = connection.recv_into(view)
        except OSError:
            return None
        if not n_read:
            return None
        view = view[n_read:]
    return content


def _serve(node: Node, server: socket.socket, token: bytes) -> None:
    """Accept the other devices; whoever does not know the token is turned away."""
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = _read(connection, len(token))
        if sent is None or not secrets.compare_digest(bytes(sent), token):
            connection.close()
            continue
        _start(node.receive, connection)


def _start(work: Any, *options: Any) -> None:
    """Do something in a thread; an error in it ends the node, and is told."""

    def guarded() -> None:
        try:
            work(*options)
        except (EdgesimError, OSError, RuntimeError, ValueError, LookupError, TypeError) as error:
            say(error=str(error) or repr(error))
            os._exit(1)

    threading.Thread(target=guarded, daemon=True).start()


def _listening(host: str, port: int) -> socket.socket:
    server = socket.socket()
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        server.listen()
    except OSError as error:
        server.close()
        raise EdgesimError(
            f"port {port} of {host} cannot be used: {error.strerror}; name another with --port"
        ) from error
    return server


def _samples(path: Path) -> list[Tensors]:
    """Return samples, one tensor for each input of the network; the names of the file are their order."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    inputs = [tensors[name] for name in sorted(tensors)]
    return [tuple(one[number : number + 1] for one in inputs) for number in range(len(inputs[0]))]


def _work() -> None:
    from edgesim.nn.kernels.program import use_one_thread

    use_one_thread()
    setup = json.loads(sys.stdin.readline())
    with unpacked(setup) as (folder, file):
        bundle, samples = read_device(folder), _samples(file)
    node = Node(bundle, setup["durations_s"], setup["paces"], setup["latencies_s"], samples)
    token = bytes.fromhex(setup["token"])
    node.warm_up()
    server = _listening(setup["host"], setup["port"])
    _start(_serve, node, server, token)
    say(port=server.getsockname()[1])
    peers = json.loads(sys.stdin.readline())["peers"]
    for device_id in sorted({transfer.dst_id for transfer in bundle.sends}):
        connection = socket.create_connection(tuple(peers[device_id]))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(token)
        node.outgoing[device_id] = Outgoing(connection)
        node.outgoing[device_id].start()
    gc.disable()
    _start(node.run)
    say(ready=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "release" in order:
            node.post(order["at_s"], "release", order["release"], order["fate"])
            say(told=order["release"])
        elif "clock" in order:
            say(clock_s=time.monotonic())
        else:
            say(log=node.log)  # and wait: whoever started it ends all nodes when it has heard them all


def main() -> None:
    """Be the node of one device until stdin ends."""
    try:
        _work()
    except (EdgesimError, OSError, ValueError, KeyError) as error:
        say(error=str(error) or repr(error))
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    os._exit(code)  # threads may still wait for messages


if __name__ == "__main__":
    main()
