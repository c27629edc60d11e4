"""The program of one device: it executes its bundle, gets messages over TCP and UDP, and sends them as slowly as its links are.

One thread does it all, in the order in which things happen: a message that comes, or the moment at which one leaves, wakes it up once, and no thread
waits for another. It is started by `edgesim.testbed.loopback`, which tells it on stdin, line by line in JSON, what to load, where its peers are, and when requests
are released; it answers on stdout. It ends when stdin does.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.plan import Compute, Transfer
from edgesim.errors import EdgesimError
from edgesim.interfaces import KEPT, SAMPLE
from edgesim.testbed.course.fate import meets
from edgesim.testbed.devices import DeviceBundle, begins, is_waited_for
from edgesim.testbed.folder import read_device
from edgesim.testbed.hosts.sent import unpacked
from edgesim.testbed.pacing import Server, SharedServer, be_prompt, end_with_parent
from edgesim.testbed.wire import datagrams, streams

if TYPE_CHECKING:
    from edgesim.nn.kernels.program import Given, Runner, Tensors

_READ_BYTE = 2**16


def say(**document: Any) -> None:
    """Write a line to whoever started the node."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


@dataclass(slots=True)
class _Request:
    """What is there of one request, which computations have begun or are late, and what came, and when, before its fate was known."""

    values: dict[str, Tensors] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    fate: dict[str, Any] = field(default_factory=dict)
    early: list[tuple[float, streams.Came]] = field(default_factory=list)

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


@dataclass(slots=True)
class _Message:
    """A message on its way, and when it was sent first; 0 before."""

    transfer: Transfer
    number: int
    payload: bytes
    request: _Request
    pace: dict[str, Any]
    sent_s: float = 0.0


class Controls:
    """What whoever started the node tells it, line by line.

    Parameters
    ----------
    number : of the file that is read.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._left = b""

    def wait(self) -> dict[str, Any]:
        """Return what comes next."""
        while b"\n" not in self._left:
            self._fill()
        line, _, self._left = self._left.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def read(self) -> Iterator[dict[str, Any]]:
        """Give what has come."""
        self._fill()
        while b"\n" in self._left:
            yield self.wait()

    def _fill(self) -> None:
        found = os.read(self._number, _READ_BYTE)
        if not found:
            os._exit(0)  # whoever started the node has ended, or wants it to end
        self._left += found


class Node:
    """Executes what one device does; latencies are waited for where messages come.

    Parameters
    ----------
    bundle : what it executes.
    durations_s : how long its computations shall take; empty: as long as they do.
    paces : of each transfer that it sends: its ``hops``, each with what it occupies for how long, ``spread_s`` over which its packets leave, 0 where the
        kernel has them wait, the payload ``packet_byte`` of a packet, ``over`` what, ``tcp`` or ``udp``, and
        its ``position`` among those of the receiver.
    latencies_s : of each transfer that it gets: how long it waits here.
    samples : what requests ask, by request modulo their number; none where the input is elsewhere.
    channels_path : the file of the channels over which several devices send; see `SharedServer`.
    """

    def __init__(
        self,
        bundle: DeviceBundle,
        durations_s: dict[str, float],
        paces: dict[str, dict[str, Any]],
        latencies_s: dict[str, float],
        samples: list[Tensors],
        *,
        channels_path: Path,
    ) -> None:
        from edgesim.nn.kernels.program import Runner

        self.bundle = bundle
        self.durations_s = durations_s
        self.paces = paces
        self.latencies_s = latencies_s
        self.samples = samples
        self.device = Server()
        self.log: list[list[Any]] = []
        self.peers: dict[str, dict[str, streams.Outgoing | datagrams.Outgoing]] = {}
        self.channels_path = channels_path
        self._channels: dict[str, Server | SharedServer] = {}
        self.readers: dict[int, Callable[[], None]] = {}
        self._runners: dict[str, Runner] = {name: Runner(program) for name, program in bundle.programs.items()}
        self._given: dict[str, Given] = {
            given.name: given for program in bundle.programs.values() for given in program.given
        }
        self._messages = frozenset(transfer.step_id for transfer in bundle.receives)
        self._requests: dict[int, _Request] = {}
        self._names = [transfer.step_id for transfer in bundle.receives]
        self._ready: deque[_Task] = deque()
        self._is_busy = False
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._n_events = 0
        self._last_told = -1

    def warm_up(self) -> None:
        """Run every program once on zeros."""
        for runner in self._runners.values():
            runner.run({given.name: given.zeros() for given in runner.program.given})

    def post(self, at_s: float, do: Callable[..., None], *what: Any) -> None:
        """Note what is to be done at a moment: it is given the moment, too."""
        self._n_events += 1
        heapq.heappush(self._events, (at_s, self._n_events, do, (at_s, *what)))

    def run(self) -> None:
        """Execute for ever, in the order of time: take what comes, and compute what is ready longest."""
        while True:
            if self._ready and not self._is_busy:
                self._compute(self._ready.popleft())
            self._wait()
            now_s = time.monotonic()
            while self._events and self._events[0][0] <= now_s:
                _, _, do, what = heapq.heappop(self._events)
                do(*what)

    def _wait(self) -> None:
        """Wait until something comes, can be sent, or is to be done, and take what has come."""
        left_s = None
        if self._ready and not self._is_busy:
            left_s = 0.0
        elif self._events:
            left_s = max(0.0, self._events[0][0] - time.monotonic())
        waiting = {
            way.connection.fileno(): way for peer in self.peers.values() for way in peer.values() if way.is_waiting
        }
        readable, writable, _ = select.select(list(self.readers), list(waiting), [], left_s)
        for number in writable:
            waiting[number].flush()
        for number in readable:
            self.readers[number]()

    def told(self, number: int, fate: dict[str, Any]) -> None:
        """Note what meets a request that will be released; another device may have been told, and have sent something, long before."""
        self._last_told = max(self._last_told, number)
        request = self._request(number)
        request.fate = fate
        while request.early:
            self._wait_for(*request.early.pop(0))

    def release(self, at_s: float, number: int) -> None:
        """Begin a request."""
        request = self._request(number)
        self._requests = {n: one for n, one in self._requests.items() if n >= number - 1}
        sample = self.samples[number % len(self.samples)] if self.samples else ()
        for transfer in self.bundle.sends:
            if not transfer.inputs and not request.is_down(at_s, at_s):
                runner = self._runners.get(transfer.step_id)
                sent = sample if runner is None else runner.run({SAMPLE: sample})[transfer.step_id]
                self._send(transfer, number, at_s, sent, request)
        for step in self.bundle.computes:
            self._await(step, request, number, at_s)
        for step in self.bundle.computes:
            self._begin(step, request, number, at_s)

    def came(self, found: list[streams.Came]) -> None:
        """Let messages that have come wait until the latency of their links is over."""
        now_s = time.monotonic()
        for one in found:
            if one.number > self._last_told:
                self._request(one.number).early.append((now_s, one))
            else:
                self._wait_for(now_s, one)

    def _wait_for(self, now_s: float, one: streams.Came) -> None:
        """Take a message later that has come now, unless it was cut off on its way."""
        name, request = self._names[one.position], self._requests.get(one.number, _Request())
        if meets(request.fate.get("cut", {}).get(name, ()), one.sent_s, now_s) is None:
            wait_s = request.fate.get("waits_s", {}).get(name, 0.0)
            self.post(now_s + self.latencies_s[name] + wait_s, self._take, one, name)

    def _take(self, at_s: float, one: streams.Came, name: str) -> None:
        """Take a message, if it meets nothing."""
        request = self._request(one.number)
        if name in request.fate.get("dropped", ()) or request.is_down(one.sent_s, at_s):
            return
        self.log.append(["message", name, one.number, at_s, len(one.content), self._is_in_time(name, request)])
        request.values[name] = self._given[name].read(one.content)
        for step in self.bundle.computes:
            if name in step.inputs:
                self._begin(step, request, one.number, at_s)

    def _request(self, number: int) -> _Request:
        return self._requests.setdefault(number, _Request())

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
            self.post(at_s + step.deadline_s, self._be_late, number, step)

    def _be_late(self, at_s: float, number: int, step: Compute) -> None:
        """Begin a computation at its deadline with what is there, if it has not begun, and nobody asks for something else by now."""
        request = self._requests.get(number)
        if request is None:
            return
        request.late.add(step.step_id)
        self._begin(step, request, number, at_s)

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
        """Compute, and be busy until it shall be done."""
        begun_s = time.monotonic()
        results = self._runners[task.step.step_id].run(task.given)
        done_s = time.monotonic()
        request = self._requests.get(task.number, _Request())
        slowed_s = request.fate.get("durations_s", {})
        duration_s = slowed_s.get(task.step.step_id, self.durations_s.get(task.step.step_id))
        if duration_s is None:
            started_s, ended_s = self.device.serve(task.ready_s, done_s - max(task.ready_s, self.device.free_s))
        else:
            down = request.fate.get("down", ()) if request.fate.get("resumes") else ()
            started_s, ended_s = self.device.serve(task.ready_s, duration_s, down)
        if done_s > ended_s:
            self.device.free_s = ended_s = done_s
        self._is_busy = True
        if ended_s == inf:
            return  # it is down to the end
        self.post(ended_s, self._done, task, request, results, (begun_s, done_s, started_s))

    def _done(
        self,
        ended_s: float,
        task: _Task,
        request: _Request,
        results: dict[str, Tensors],
        moments_s: tuple[float, float, float],
    ) -> None:
        """Hand on what was computed, unless the device was down meanwhile."""
        self._is_busy = False
        begun_s, done_s, started_s = moments_s
        if not request.fate.get("resumes") and request.is_down(task.ready_s, ended_s):
            self.device.free_s = time.monotonic()  # what it computes, and what waits for it, is lost
            return
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
        self._hop(ready_s, _Message(transfer, number, payload, request, self.paces[transfer.step_id]), 0)

    def _hop(self, at_s: float, message: _Message, place: int) -> None:
        """Send a message over one hop of its way, as soon as it is free; behind the last one it is at the receiver."""
        hop, name = message.pace["hops"][place], message.transfer.step_id
        silences = message.request.fate.get("silent", {}).get(name)
        silent = [*(silences[place] if silences else ()), *(message.request.fate.get("down", ()) if place == 0 else ())]
        channel = self._channel(hop)
        begun_s, ended_s = channel.serve(at_s, hop["occupation_s"])
        message.sent_s = message.sent_s or begun_s
        interrupted_s = meets(silent, at_s, ended_s)
        if interrupted_s is not None:
            if channel.free_s == ended_s:
                channel.free_s = max(begun_s, interrupted_s)  # it occupied the link until then, if it had begun
            return
        if place + 1 < len(message.pace["hops"]):
            self.post(ended_s + hop["latency_s"], self._hop, message, place + 1)
            return
        way = self.peers[message.transfer.dst_id][message.pace["over"]]
        pieces = way.packets(
            message.number, message.pace["position"], message.sent_s, message.payload, message.pace["packet_byte"]
        )
        spread_s = message.pace["spread_s"]
        if not spread_s:
            self.post(begun_s, _leave, way, pieces)
            return
        for number, piece in enumerate(pieces, start=1):
            self.post(begun_s + spread_s * number / len(pieces), _leave, way, [piece])

    def _channel(self, hop: dict[str, Any]) -> Server | SharedServer:
        name = hop["channel"]
        if name not in self._channels:
            is_own = hop["shared"] is None
            self._channels[name] = Server() if is_own else SharedServer(self.channels_path, hop["shared"])
        return self._channels[name]


def _leave(_: float, way: streams.Outgoing | datagrams.Outgoing, pieces: list[bytes]) -> None:
    way.send(pieces)


def _accept(node: Node, server: socket.socket, token: bytes) -> None:
    """Accept another device; whoever does not know the token is turned away."""
    connection, _ = server.accept()
    number = connection.fileno()
    incoming = streams.Incoming(connection, token, [transfer.size_byte for transfer in node.bundle.receives])

    def read() -> None:
        try:
            node.came(incoming.read())
        except streams.Gone:
            del node.readers[number]
            connection.close()

    node.readers[number] = read


def _order(node: Node, controls: Controls) -> None:
    """Do what whoever started the node tells it."""
    for order in controls.read():
        if "release" in order:
            node.told(order["release"], order["fate"])
            node.post(order["at_s"], node.release, order["release"])
            say(told=order["release"])
        elif "clock" in order:
            say(clock_s=time.monotonic())
        else:
            say(log=node.log)  # and wait: whoever started it ends all nodes when it has heard them all


def _samples(path: Path, n_queries: int) -> list[Tensors]:
    """Return what requests ask, one tensor for each input of the network; the names of the file are their order."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    inputs = [tensors[name] for name in sorted(tensors)]
    starts = range(0, len(inputs[0]) - n_queries + 1, n_queries)
    return [tuple(one[start : start + n_queries] for one in inputs) for start in starts]


def _work() -> None:
    from edgesim.nn.kernels.program import use_one_thread

    use_one_thread()
    controls = Controls(sys.stdin.fileno())
    setup = controls.wait()
    with unpacked(setup) as (folder, file):
        bundle, samples = read_device(folder), _samples(file, setup["n_queries"])
    node = Node(
        bundle,
        setup["durations_s"],
        setup["paces"],
        setup["latencies_s"],
        samples,
        channels_path=Path(setup["channels"]),
    )
    token = bytes.fromhex(setup["token"])
    node.warm_up()
    server = streams.listening(setup["host"], setup["port"])
    sizes_byte = [transfer.size_byte for transfer in bundle.receives]
    own = datagrams.Datagrams(setup["host"], setup["port"], sizes_byte, setup["packets_byte"])
    node.readers[server.fileno()] = lambda: _accept(node, server, token)
    node.readers[own.socket.fileno()] = lambda: node.came(own.read())
    say(ports=[server.getsockname()[1], own.port])
    told = controls.wait()
    own.peers = frozenset((socket.gethostbyname(address), port) for address, port in told["senders"])
    for device_id, (address, port, datagram_port) in told["receivers"].items():
        connection = socket.create_connection((address, port))
        connection.sendall(token)
        node.peers[device_id] = {
            "tcp": streams.Outgoing(connection),
            "udp": datagrams.Outgoing(own, (socket.gethostbyname(address), datagram_port)),
        }
    node.readers[sys.stdin.fileno()] = lambda: _order(node, controls)
    gc.collect()
    gc.freeze()
    gc.disable()
    say(ready=be_prompt())
    node.run()


def main() -> None:
    """Be the node of one device until stdin ends."""
    end_with_parent()
    try:
        _work()
    except (EdgesimError, OSError, RuntimeError, ValueError, LookupError, TypeError) as error:
        say(error=str(error) or repr(error))
    sys.exit(1)  # what ends well ends with its stdin


if __name__ == "__main__":
    main()
