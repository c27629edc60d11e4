"""Runs the nodes of a plan as processes that talk over TCP, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from edgesim.errors import ExecutionError
from edgesim.files.temporary import shared_folder
from edgesim.network.transport import Datagram
from edgesim.processes import THREAD_VARIABLES
from edgesim.testbed.course.director import Answered, Director, undisturbed
from edgesim.testbed.devices import DeviceBundle, device_bundles
from edgesim.testbed.folder import folder_name, write_device
from edgesim.testbed.hosts.clocks import Offset, in_our_time, offsets_of
from edgesim.testbed.hosts.sent import packed
from edgesim.testbed.pacing import SharedServer
from edgesim.testbed.places import LoopbackNetwork, Network, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.plan import Transfer
    from edgesim.domain.system.links import Link
    from edgesim.testbed.bundle import Bundle
    from edgesim.testbed.course.simulated import Simulated

CHANNELS = "channels"
"""The file of the channels over which several devices send, beside the folders of the devices."""
START_S = 120.0
"""How long the nodes may take to be ready."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What was measured.

    Parameters
    ----------
    requests : those that count, in order.
    ended_s : by request and step: when it ended or came, in s of the same clock.
    payload_byte : by request: bytes of all messages that came in time.
    missing : by request: the messages that a computation went on without.
    came : by request: the messages that came in time to be used.
    begun_s : by request and step: when a computation began, and a message was ready to be sent, in s of the same clock.
    took_s : by request and computation: how long this machine computed, without what it then waited for, in s.
    message_byte : by request and message that came: its payload.
    clock_error_s : how far moments of different devices may be off against each other, in s; 0 where they share a clock.
    n_real_time : devices whose nodes were of the scheduler's real-time class.
    """

    requests: tuple[Answered, ...]
    ended_s: Mapping[int, Mapping[str, float]]
    payload_byte: Mapping[int, int]
    missing: Mapping[int, frozenset[str]]
    came: Mapping[int, frozenset[str]] = field(default_factory=dict)
    begun_s: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    took_s: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    message_byte: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    clock_error_s: float = 0.0
    n_real_time: int = 0


@dataclass(slots=True)
class _Nodes:
    """The processes, what they say, and what they complain of."""

    folder: Path
    place: Place
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    listeners: list[threading.Thread] = field(default_factory=list)
    said: SimpleQueue[tuple[str, str]] = field(default_factory=SimpleQueue)
    offsets: dict[str, Offset] = field(default_factory=dict)

    def start(self, device_id: str) -> None:
        """Start the node of a device."""
        command = self.place.command(device_id)
        try:
            process = self._process(device_id, command)
        except OSError as error:
            raise ExecutionError(
                f"the node of {device_id!r} cannot be started: `{command[0]}`: {error.strerror}; is the command right, and installed?"
            ) from error
        self.processes[device_id] = process
        self.listeners.append(threading.Thread(target=self._listen, args=(device_id, process), daemon=True))
        self.listeners[-1].start()

    def _process(self, device_id: str, command: list[str]) -> subprocess.Popen[str]:
        with (self.folder / f"{folder_name(device_id)}.err").open("w", encoding="utf-8") as complaints:
            return subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True,
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")}, start_new_session=True,
            )  # fmt: skip

    def _listen(self, device_id: str, process: subprocess.Popen[str]) -> None:
        if process.stdout is not None:
            for line in process.stdout:
                self.said.put((device_id, line))
        self.said.put((device_id, ""))

    def tell(self, device_id: str, **document: Any) -> None:
        """Write a line to a node; a moment in it is that of our clock."""
        if "at_s" in document and device_id in self.offsets:
            document["at_s"] += self.offsets[device_id].ahead_s
        stdin = self.processes[device_id].stdin
        if stdin is None:
            return
        try:
            stdin.write(json.dumps(document) + "\n")
            stdin.flush()
        except OSError:
            self._ended(device_id)

    def hear(self, until_s: float, what: str) -> tuple[str, dict[str, Any]]:
        """Return what a node says next. Raises `ExecutionError` when it is an error, one has ended, or it is too late."""
        heard = self.listen(until_s)
        if heard is None:
            raise ExecutionError(f"{what} did not come in time; the machine may be too busy")
        return heard

    def listen(self, until_s: float) -> tuple[str, dict[str, Any]] | None:
        """Return what a node says next; None when none does until then. Raises `ExecutionError` when it is an error, or one has ended."""
        try:
            device_id, line = self.said.get(timeout=max(0.0, until_s - time.monotonic()))
        except Empty:
            return None
        if not line:
            self._ended(device_id)
        try:
            document: dict[str, Any] = json.loads(line)
        except ValueError:
            raise ExecutionError(
                f"the command of {device_id!r} wrote {line.strip()[:80]!r} to stdout, which is nothing that a node says; it must start a node and write "
                "nothing itself"
            ) from None
        if "error" in document:
            raise ExecutionError(f"the node of {device_id!r} could not go on: {document['error']}")
        ahead_s = self.offsets[device_id].ahead_s if device_id in self.offsets else 0.0
        return device_id, in_our_time(document, ahead_s)

    def of_each(self, key: str, until_s: float) -> dict[str, Any]:
        """Return what every node says under a key."""
        found: dict[str, Any] = {}
        while len(found) < len(self.processes):
            device_id, document = self.hear(until_s, f"the {key} of a node")
            if key in document:
                found[device_id] = document[key]
        return found

    def _ended(self, device_id: str) -> None:
        code = self.processes[device_id].wait(timeout=10)
        text = (self.folder / f"{folder_name(device_id)}.err").read_text(encoding="utf-8", errors="replace").strip()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        last = f": {text.splitlines()[-1]}" if text else ""
        memory = "; if nobody did so, the machine is out of memory: take smaller networks or fewer devices"
        raise ExecutionError(
            f"the node of {device_id!r} {how} before all requests were answered{last}{memory if code == -signal.SIGKILL else ''}"
        )

    def end(self) -> None:
        """End all processes, and wait until they are gone."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for listener in self.listeners:
            listener.join()
        for process in self.processes.values():
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with_no_reader(stream.close)


def with_no_reader(close: Callable[[], None]) -> None:
    """Close a pipe whose reader may be gone."""
    try:
        close()
    except OSError:
        return


@contextmanager
def _nodes(place: Place) -> Iterator[_Nodes]:
    with shared_folder() as folder:
        nodes = _Nodes(folder, place)
        try:
            yield nodes
        finally:
            nodes.end()


@dataclass(frozen=True, slots=True)
class Loopback:
    """How a plan is executed on this machine.

    Parameters
    ----------
    n_requests : how many count, one after another.
    n_warm_up : how many more come before.
    port : of the first device, the others follow; 0 takes any that are free.
    network : what the nodes are joined by.
    on_folder : called with the folder of the bundles before the nodes read them.
    on_answer : called with the number of each request when it is answered, and with the processes by device.
    """

    n_requests: int
    n_warm_up: int = 2
    port: int = 0
    network: Network = LoopbackNetwork()  # noqa: RUF009 - frozen
    on_folder: Callable[[Path], None] | None = None
    on_answer: Callable[[int, Mapping[str, subprocess.Popen[str]]], None] | None = None

    def execute(
        self,
        bundle: Bundle,
        samples: Mapping[str, NDArray[Any]],
        ways: Mapping[str, tuple[Link, ...]],
        durations_s: Mapping[str, float],
        courses: Sequence[Simulated],
    ) -> Executed:
        """Execute a plan, request by request.

        Parameters
        ----------
        bundle : what is executed.
        samples : named arrays whose first axis counts the samples; request i asks the i-th of them, or group of them, modulo their number.
        ways : the links of the way of each transfer.
        durations_s : of each computation; empty: as long as it takes here.
        courses : what becomes of each request in the simulation. Its losses and outages are brought about here too. A request that is answered there is
            given up after ten times as long and 30 s; one that is not, `GIVE_UP_S` after nothing of it is under way any more.

        Raises
        ------
        ExecutionError
            When a node cannot be started, ends, or does not answer. All processes have ended then, and all files are gone.
        """
        if not self.network.is_here and any(one.fate.outages for one in courses):
            raise ExecutionError(
                "outages stop processes of this machine, and machines of yours are not stopped; add --no-failures"
            )
        with (
            self.network.opened(bundle.plan.device_ids, [link for way in ways.values() for link in way]) as place,
            _nodes(place) as nodes,
        ):
            n_real_time = self._start(nodes, bundle, samples, ways, durations_s)
            if not self.network.is_here:
                nodes.offsets = offsets_of(nodes, nodes.processes, START_S)
            director = Director(
                bundle.plan, {name: interrupting(way) for name, way in ways.items()}, nodes, place.switched
            )
            ahead = [undisturbed(one) for one in courses[:1]] * self.n_warm_up
            requests = [self._ask(director, number, course) for number, course in enumerate([*ahead, *courses])]
            for device_id in nodes.processes:
                nodes.tell(device_id, stop=True)
            logs = nodes.of_each("log", time.monotonic() + START_S)
            found = _executed(requests[self.n_warm_up :], [entry for log in logs.values() for entry in log])
            errors_s = sorted(one.error_s for one in nodes.offsets.values())
            return replace(found, clock_error_s=sum(errors_s[-2:]), n_real_time=n_real_time)

    def _start(
        self,
        nodes: _Nodes,
        bundle: Bundle,
        samples: Mapping[str, NDArray[Any]],
        ways: Mapping[str, tuple[Link, ...]],
        durations_s: Mapping[str, float],
    ) -> int:
        """Write the bundles, start the nodes and join them; return how many are of the real-time class."""
        bundles = device_bundles(bundle.plan, bundle.programs)
        for device_id, one in bundles.items():
            write_device(one, nodes.folder / folder_name(device_id))
        n_asked = None if self.network.is_here else (self.n_warm_up + self.n_requests) * bundle.n_queries
        _write_samples({name: one[:n_asked] for name, one in samples.items()}, nodes.folder / "samples")
        if self.on_folder is not None:
            self.on_folder(nodes.folder)
        channels = shared_channels(ways.values())
        SharedServer.make(nodes.folder / CHANNELS, len(channels))
        token, until_s = secrets.token_hex(16), time.monotonic() + START_S
        for device_id in bundles:
            nodes.start(device_id)
        for place, (device_id, one) in enumerate(bundles.items()):
            of_receiver = {
                t.step_id: n for other in bundles.values() for n, t in enumerate(other.receives)
            }  # fmt: skip
            paces = {
                t.step_id: {
                    **pace_of(nodes.place, ways[t.step_id], t, channels),
                    "position": of_receiver[t.step_id],
                }
                for t in one.sends
            }
            latencies_s = {t.step_id: nodes.place.arrival_s(ways[t.step_id][-1], t.size_byte) for t in one.receives}
            packets_byte = [ways[t.step_id][-1].mtu_byte for t in one.receives]
            own_s = {step.step_id: durations_s[step.step_id] for step in one.computes if step.step_id in durations_s}
            folder, file = nodes.folder / folder_name(device_id), nodes.folder / "samples"
            where = {"folder": str(folder), "samples": str(file)} if self.network.is_here else packed(folder, file)
            nodes.tell(
                device_id, **where, n_queries=bundle.n_queries, durations_s=own_s, paces=paces, latencies_s=latencies_s, packets_byte=packets_byte, token=token,
                host=nodes.place.listening(), port=self.port + place if self.port else 0, channels=str(nodes.folder / CHANNELS),
            )  # fmt: skip
        _join(nodes, bundles, nodes.of_each("ports", until_s))
        return sum(nodes.of_each("ready", until_s).values())

    def _ask(self, director: Director, number: int, course: Simulated) -> Answered:
        """Release a request, let it meet its fate, and wait for its answer."""
        answered = director.ask(number, course)
        if self.on_answer is not None:
            self.on_answer(number, director.nodes.processes)
        return answered


def _join(nodes: _Nodes, bundles: Mapping[str, DeviceBundle], ports: Mapping[str, list[int]]) -> None:
    """Tell nodes where the others are."""
    for device_id, one in bundles.items():
        nodes.tell(
            device_id,
            receivers={
                other: (nodes.place.address(device_id, other), *ports[other]) for other in {t.dst_id for t in one.sends}
            },
            senders=[
                (nodes.place.origin(other, device_id), ports[other][1]) for other in {t.src_id for t in one.receives}
            ],
        )


def channel_of(link: Link) -> str:
    """Return what a link sends over: its medium, or itself."""
    return link.medium_id or link.link_id


def shared_channels(ways: Collection[tuple[Link, ...]]) -> list[str]:
    """Return the channels over which several devices send: media, and links on which messages of others are passed on."""
    senders: dict[str, set[str]] = {}
    for way in ways:
        for link in way:
            senders.setdefault(channel_of(link), set()).add(way[0].src_id)
    return sorted(name for name, own in senders.items() if len(own) > 1)


def interrupting(way: tuple[Link, ...]) -> list[list[str]]:
    """Return for each hop of a way whose outages interrupt a message on it: the link, and the devices at its ends but the first and the last."""
    ends = {way[0].src_id, way[-1].dst_id}
    return [[link.link_id, *({link.src_id, link.dst_id} - ends)] for link in way]


def pace_of(place: Place, way: tuple[Link, ...], transfer: Transfer, channels: Sequence[str]) -> dict[str, Any]:
    """Return how a message is sent: what its sender waits for on each hop, over which time it spreads the packets, and what it is on the wire."""
    hops = [
        {
            "occupation_s": place.occupation_s(link, transfer.size_byte),
            "latency_s": link.latency_s,
            "channel": channel_of(link),
            "shared": channels.index(channel_of(link)) if channel_of(link) in channels else None,
        }
        for link in way
    ]
    over = "udp" if isinstance(way[-1].transport, Datagram) else "tcp"
    spread_s = place.occupation_s(way[-1], transfer.size_byte) if place.switched is None else 0.0
    return {"hops": hops, "spread_s": spread_s, "packet_byte": way[-1].mtu_byte, "over": over}


def _write_samples(samples: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write samples as nodes read them: inputs by their position."""
    import numpy as np
    from safetensors.numpy import save_file

    save_file({f"{place:03}": np.ascontiguousarray(one) for place, one in enumerate(samples.values())}, path)


def _executed(requests: list[Answered], log: list[list[Any]]) -> Executed:
    ended_s: dict[int, dict[str, float]] = {request.number: {} for request in requests}
    begun_s: dict[int, dict[str, float]] = {number: {} for number in ended_s}
    took_s: dict[int, dict[str, float]] = {number: {} for number in ended_s}
    message_byte: dict[int, dict[str, int]] = {number: {} for number in ended_s}
    missing: dict[int, frozenset[str]] = dict.fromkeys(ended_s, frozenset())
    came: dict[int, frozenset[str]] = dict.fromkeys(ended_s, frozenset())
    for kind, step_id, number, at_s, amount, *more in log:
        if number not in ended_s:
            continue
        if kind == "sent":
            begun_s[number][step_id] = at_s
            continue
        ended_s[number][step_id] = at_s
        if kind == "message":
            message_byte[number][step_id] = amount
            came[number] |= {step_id} if more[0] else set()
        else:
            took_s[number][step_id] = amount
            missing[number] |= frozenset(more[0])
            begun_s[number][step_id] = more[1]
    payload_byte = {number: sum(sizes[name] for name in came[number]) for number, sizes in message_byte.items()}
    return Executed(tuple(requests), ended_s, payload_byte, missing, came, begun_s, took_s, message_byte)
