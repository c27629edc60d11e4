"""The cases in which edgesim is compared with other simulators, and how edgesim runs them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.system.topology import Device, DeviceProfile, Link, LinkSharing, Medium, Topology
from edgesim.domain.system.transport import Transport
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.network.transport import Tcp

HERE = Path(__file__).parent
SIMGRID_FOLDER = Path("/usr/lib/python3/dist-packages")
"""Where Debian's python3-simgrid puts its module."""
NS3_FIGURES = HERE.parent / "tests" / "validation" / "ns3_figures.json"
PROFILE = DeviceProfile("reference", {"conv": 1.0}, 1.0, 0.0, 2**40, 0.0, 0.0, 0.0, 0.0, "assumed")
UDP_HEADER_BYTE = 30
"""UDP 8 + IP 20 + point-to-point 2, for 1472 byte of payload."""
TCP_HEADER_BYTE, TCP_MTU_BYTE = 54, 1448
"""TCP with time stamps 32 + IP 20 + point-to-point 2, for 1448 byte of payload."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One message of a case: from, to, size in byte, when it is sent in s."""

    src_id: str
    dst_id: str
    size_byte: int
    start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """Messages on a topology."""

    name: str
    topology: Topology
    sendings: tuple[Sending, ...]


class WorkIsTime:
    """A compute model in which one FLOP takes one second."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:  # noqa: ARG002 - the seam's form
        """Return the time of a step."""
        return sum(work.work_flop for work in step.work)


def arrivals_s(case: Case) -> list[float]:
    """Return when each message of a case arrives in edgesim, in s."""
    steps: list[Compute | Transfer] = []
    for number, sending in enumerate(case.sendings):
        wait = (LayerWork("wait", "conv", sending.start_s, 0),)
        steps.append(Compute(f"start{number}", sending.src_id, wait))
        steps.append(
            Transfer(
                f"message{number}", sending.src_id, sending.dst_id, sending.size_byte, "x", "input", (f"start{number}",)
            )
        )
        steps.append(Compute(f"end{number}", sending.dst_id, (), (f"message{number}",)))
    # every message waits on cores of its own, so that waiting for the start delays nobody
    devices = tuple(replace(device, n_cores=len(steps)) for device in case.topology.devices)
    topology = Topology(devices, case.topology.links, case.topology.media, case.topology.forwarding)
    program = compile_plan(Plan(tuple(steps), "end0", {}), topology, WorkIsTime())
    ended = {stay.step_id: stay.arrived_s for stay in trace(program, has_stays=True, is_checked=True).stays}
    return [ended[f"end{number}"] for number in range(len(case.sendings))]


def one_link(
    rates: tuple[float, float],
    n: int,
    *,
    transport: Transport | None = None,
    header_byte: int = 0,
    mtu_byte: int = 1472,
) -> Topology:
    """Return n senders that share one fair link (bandwidth in bit/s, latency in s) to a receiver.

    The senders' own links have no latency and carry as much as they are asked to.
    """
    options = {"sharing": "fair", "header_byte": header_byte, "mtu_byte": mtu_byte, "transport": transport}
    links = [Link(f"s{i}->router", f"s{i}", "router", 100e9, **options) for i in range(n)]  # type: ignore[arg-type]
    links.append(Link("router->sink", "router", "sink", *rates, **options))  # type: ignore[arg-type]
    devices = tuple(Device(name, PROFILE) for name in ("router", "sink", *(f"s{i}" for i in range(n))))
    return Topology(devices, tuple(links))


def random_case(seed: int) -> Case:
    """Return transfers over a random network of fair links and media, all with the same latency along their ways.

    SimGrid's CM02 shares a link in inverse proportion to the latencies of the ways, edgesim equally; so every message starts
    and ends at a station of its own, whose link has the whole latency of the case.
    """
    rng = random.Random(seed)  # noqa: S311 - no secrets here
    n_routers, n_messages = rng.randint(2, 7), rng.randint(2, 25)
    latency_s = rng.choice((0.0, 1e-4, 0.005, 0.05))
    media = [Medium("air", "fair")] if rng.random() < 0.5 else []
    air_rate = rng.uniform(1e6, 1e8)
    links: list[Link] = []
    routers = [f"r{i}" for i in range(n_routers)]
    for i, name in enumerate(routers[1:], start=1):
        other = routers[rng.randrange(i)]
        in_air = bool(media) and rng.random() < 0.4
        rate = air_rate if in_air else 10 ** rng.uniform(6, 9)
        for src, dst in ((name, other), (other, name)):
            links.append(Link(f"{src}->{dst}", src, dst, rate, medium_id="air" if in_air else None, sharing="fair"))
    sendings = []
    devices = list(routers)
    for number in range(n_messages):
        src, dst = f"a{number}", f"b{number}"
        devices += [src, dst]
        links.append(Link(f"{src}->", src, rng.choice(routers), 10 ** rng.uniform(6, 9), latency_s, sharing="fair"))
        links.append(Link(f"->{dst}", rng.choice(routers), dst, 10 ** rng.uniform(6, 9), sharing="fair"))
        start_s = rng.choice((0.0, rng.uniform(0, 0.5)))
        sendings.append(Sending(src, dst, int(10 ** rng.uniform(2, 6.5)), start_s))
    return Case(
        f"random {seed}",
        Topology(tuple(Device(n, PROFILE) for n in devices), tuple(links), tuple(media)),
        tuple(sendings),
    )


def grid_cases() -> list[Case]:
    """Return messages that share one link, over sizes, rates, latencies, numbers and start times."""
    cases = []
    for size_byte in (100, 10_000, 1_000_000):
        for rates in ((1e6, 0.05), (10e6, 0.005), (1e9, 1e-4)):
            for n in (1, 2, 3, 8, 32):
                for gap in (0.0, 0.4):
                    alone_s = 8 * size_byte / rates[0]
                    sendings = tuple(Sending(f"s{i}", "sink", size_byte, i * gap * alone_s) for i in range(n))
                    name = f"{size_byte} byte, {rates[0] / 1e6:g} Mbit/s, {rates[1] * 1e3:g} ms, {n} every {gap:g} T"
                    cases.append(Case(name, one_link(rates, n), sendings))
    return cases


def textbook_cases() -> list[Case]:
    """Return max-min over two links in a row, and two messages that meet on one link."""
    names = ("a", "b", "c")
    links = (Link("a->b", "a", "b", 10e6, sharing="fair"), Link("b->c", "b", "c", 4e6, sharing="fair"))
    line = Topology(tuple(Device(name, PROFILE) for name in names), links)
    max_min = (Sending("a", "c", 10**6), Sending("a", "b", 10**6), Sending("b", "c", 10**6))
    meeting = (Sending("s0", "sink", 10_000), Sending("s1", "sink", 10_000, 0.004))
    return [Case("max-min over two links", line, max_min), Case("at 0 and 4 ms", one_link((10e6, 0.005), 2), meeting)]


def cell(n: int, link: Link, contention: float) -> Topology:
    """Return n stations with links like `link` to the access point of a Wi-Fi cell."""
    links = tuple(
        replace(link, link_id=f"s{i}->sink", src_id=f"s{i}", dst_id="sink", medium_id="cell") for i in range(n)
    )
    devices = tuple(Device(name, PROFILE) for name in ("sink", *(f"s{i}" for i in range(n))))
    return Topology(devices, links, (Medium("cell", contention=contention),))


def together(size_byte: int, n: int) -> tuple[Sending, ...]:
    """Return n messages of n senders at once."""
    return tuple(Sending(f"s{i}", "sink", size_byte) for i in range(n))


@dataclass(frozen=True, slots=True)
class Packets:
    """One case in ns-3.

    Parameters
    ----------
    case : the same case for edgesim.
    expected_s : arrivals in ns-3, in s.
    packet_s : time of one packet, the grain of what packets can show, in s.
    """

    case: Case
    expected_s: list[float]
    packet_s: float


def wired_packets(kind: Literal["udp", "tcp"]) -> list[Packets]:
    """Return the wired cases of ns-3, with headers counted."""
    cases = []
    for entry in json.loads(NS3_FIGURES.read_text(encoding="utf-8"))["wired"]:
        rates = (entry["bandwidth_bit_per_s"], entry["latency_s"])
        if kind == "udp":
            topology = one_link(rates, entry["n"], header_byte=UDP_HEADER_BYTE)
        else:
            tcp = Tcp(timeout_s=1.0)
            topology = one_link(rates, entry["n"], transport=tcp, header_byte=TCP_HEADER_BYTE, mtu_byte=TCP_MTU_BYTE)
        name = (
            f"{kind.upper()} {entry['n']} x {entry['size_byte']} byte, {rates[0] / 1e6:g} Mbit/s, {rates[1] * 1e3:g} ms"
        )
        case = Case(name, topology, together(entry["size_byte"], entry["n"]))
        cases.append(Packets(case, entry[kind], 8 * 1502 / rates[0]))
    return cases


CELL_LINK = Link("a->b", "a", "b", bandwidth_bit_per_s=56e6, message_overhead_s=0.42e-3)
CELL_CONTENTION = 0.065
"""Fitted to the 15 cells of ns3_figures.json: one station gives overhead and rate, 16 stations the contention."""


def cell_packets() -> list[Packets]:
    """Return the Wi-Fi cells of ns-3: the last arrival, in the mean over ten runs."""
    cases = []
    for entry in json.loads(NS3_FIGURES.read_text(encoding="utf-8"))["cell"]:
        topology = cell(entry["n"], CELL_LINK, CELL_CONTENTION)
        case = Case(
            f"cell {entry['n']} x {entry['size_byte']} byte", topology, together(entry["size_byte"], entry["n"])
        )
        cases.append(Packets(case, [sum(entry["last_s"]) / len(entry["last_s"])], 0.0))
    return cases


OTHER_CELL_LINK = Link("a->b", "a", "b", bandwidth_bit_per_s=48.6e6, message_overhead_s=3.0e-3)
OTHER_CELL_S = {(100_000, 1): 0.0215, (100_000, 4): 0.0709, (100_000, 16): 0.3306, (10_000, 16): 0.0749}
"""Last arrivals of single runs of ns-3 3.44 with addresses that have to be resolved first, and another rate control."""


def other_cell_packets() -> list[Packets]:
    """Return the cells of a second set-up, which has other parameters and no contention to speak of."""
    return [
        Packets(Case(f"other cell {n} x {size} byte", cell(n, OTHER_CELL_LINK, 0.0), together(size, n)), [last_s], 0.0)
        for (size, n), last_s in OTHER_CELL_S.items()
    ]


def is_simgrid_here() -> bool:
    """Return whether SimGrid's module is where Debian puts it."""
    return any(SIMGRID_FOLDER.glob("simgrid*.so"))


def simgrid_arrivals_s(cases: list[Case]) -> list[list[float]]:
    """Return when each message of each case arrives in SimGrid, in s."""
    plain = []
    for case in cases:
        links: dict[str, tuple[float, float]] = {}
        transfers = []
        for sending in case.sendings:
            names = []
            for link in case.topology.route(sending.src_id, sending.dst_id):
                name = link.medium_id or link.link_id
                links[name] = (link.bandwidth_bit_per_s, link.latency_s)
                names.append(name)
            transfers.append({"links": names, "bytes": sending.size_byte, "start": sending.start_s})
        plain.append({"links": links, "transfers": transfers})
    command = [sys.executable, str(HERE / "simgrid_cases.py"), str(SIMGRID_FOLDER)]
    done = subprocess.run(command, input=json.dumps(plain), capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def staggered_packets(sharing: LinkSharing = "fifo_packets") -> list[Packets]:
    """Return UDP messages of ns-3 that begin one after another, each sent at the rate of the line; the first packet leaves at once there."""
    cases = []
    for number, entry in enumerate(json.loads(NS3_FIGURES.read_text(encoding="utf-8"))["staggered"]):
        rate, n = entry["bandwidth_bit_per_s"], len(entry["size_byte"])
        fan = Link("s->router", "s", "router", rate, sharing=sharing, header_byte=UDP_HEADER_BYTE)
        links = [replace(fan, link_id=f"s{i}->router", src_id=f"s{i}") for i in range(n)]
        last = {"link_id": "router->sink", "src_id": "router", "dst_id": "sink", "latency_s": entry["latency_s"]}
        links.append(replace(fan, **last))
        devices = tuple(Device(name, PROFILE) for name in ("router", "sink", *(f"s{i}" for i in range(n))))
        sendings = zip(entry["size_byte"], entry["start_s"], strict=True)
        sent = tuple(Sending(f"s{i}", "sink", size, start_s) for i, (size, start_s) in enumerate(sendings))
        name = f"staggered {number}: {', '.join(f'{one.size_byte} byte at {one.start_s:g} s' for one in sent)}"
        packet_s = 8 * 1502 / rate
        expected_s = [arrival_s + packet_s for arrival_s in entry["udp"]]
        cases.append(Packets(Case(name, Topology(devices, tuple(links)), sent), expected_s, packet_s))
    return cases
