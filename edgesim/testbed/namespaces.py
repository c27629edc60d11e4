"""A network namespace for each device and medium, a pair of interfaces for each link, and the kernel's token buckets: ``--mode netns``."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.errors import ExecutionError
from edgesim.network.transport import Datagram
from edgesim.testbed.kernel.buckets import LEAST_BURST_BYTE, Bucket, run
from edgesim.testbed.kernel.media import MOST_DEVICES, MOST_MEDIA, Air
from edgesim.testbed.limits import ways_of
from edgesim.testbed.places import NODE
from edgesim.testbed.wire.datagrams import HEADER_BYTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.plan import Plan
    from edgesim.domain.system.links import Link
    from edgesim.domain.system.topology import Topology

_PREFIX = "edgesim-testbed"
_NAMES = re.compile(rf"{_PREFIX}-(\d+)-\d+")
_FOLDER = Path("/run/netns")
MOST_WHOLE_BYTE = 1500 - HEADER_BYTE
"""Most that a datagram holds in one packet of the kernel's interfaces, which take 1,500 byte."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Namespaces that are joined by pairs of interfaces, and by media.

    Parameters
    ----------
    names : of the namespace of each device.
    addresses : by sender and receiver: of the receiver's end of what joins them.
    origins : by sender and receiver: of the sender's end.
    switched : the token buckets of links over which datagrams go, by id. TCP sends again what it loses, late and in front of all else, so its links stay up, and those of a
        medium have no bucket of their own: nodes send nothing over one that is down, and drop what comes over it.
    """

    names: Mapping[str, str]
    addresses: Mapping[tuple[str, str], str]
    origins: Mapping[tuple[str, str], str]
    switched: Mapping[str, Bucket]

    def command(self, device_id: str) -> list[str]:
        """Return the command that starts the node of a device in its namespace."""
        return ["ip", "netns", "exec", self.names[device_id], *NODE]

    def listening(self) -> str:
        """Return all addresses: nobody but the peers reaches into a namespace."""
        return "0.0.0.0"  # noqa: S104 - within a namespace of its own

    def address(self, src_id: str, dst_id: str) -> str:
        """Return the address of a device as another one sees it."""
        return self.addresses[src_id, dst_id]

    def origin(self, src_id: str, dst_id: str) -> str:
        """Return the address from which a device sends to another one."""
        return self.origins[src_id, dst_id]

    def occupation_s(self, link: Link, size_byte: int) -> float:
        """Return for how long a message has its medium for itself; 0 on a link of its own, where messages queue in the kernel."""
        return 0.0 if link.medium_id is None else link.occupation_s(size_byte)

    def arrival_s(self, link: Link, size_byte: int) -> float:
        """Return the latency, and on a medium what the simulation takes longer than the kernel, whose bucket is full when a message begins."""
        if link.medium_id is None:
            return link.latency_s
        left_byte = max(0, link.wire_byte(size_byte) - LEAST_BURST_BYTE)
        return link.latency_s + link.occupation_s(size_byte) - 8.0 * left_byte / link.bandwidth_bit_per_s


@dataclass(frozen=True, slots=True)
class NamespaceNetwork:
    """The network of ``--mode netns``, for root on Linux."""

    is_here: bool = True

    def check(self, plan: Plan, topology: Topology) -> Mapping[str, tuple[Link, ...]]:
        """Return the link of each transfer, which is its way.

        Raises
        ------
        ExecutionError
            When this is not root, a tool is missing, or a link or medium is not what a token bucket does.
        """
        check_tools()
        ways = ways_of(plan, topology, is_kernel=True)
        _check_packets(plan, ways)
        _check_media([link for (link,) in ways.values()])
        rates: dict[str, float] = {}
        for (link,) in ways.values():
            rate = link.bandwidth_bit_per_s
            if link.medium_id is not None:
                if rates.setdefault(link.medium_id, rate) != rate:
                    raise ExecutionError(
                        f"links of the medium {link.medium_id!r} have {rates[link.medium_id] / 1e6:g} and {rate / 1e6:g} Mbit/s, but the kernel's token bucket "
                        "for it has one rate; give them the same bandwidth, or use --mode loopback"
                    )
                continue
            if link.burst_byte < LEAST_BURST_BYTE:
                raise ExecutionError(
                    f"link {link.link_id!r} has burst {link.burst_byte} B, but the kernel's token bucket lets at least {LEAST_BURST_BYTE} B leave "
                    f"at once; write burst: {LEAST_BURST_BYTE} B, so that the simulation does too"
                )
            if link.message_overhead_s > 0:
                raise ExecutionError(
                    f"link {link.link_id!r} has a message_overhead, which the kernel does not know; leave it out, or use --mode loopback"
                )
        return ways

    @contextmanager
    def opened(self, device_ids: Collection[str], links: Collection[Link]) -> Iterator[Namespaces]:
        """Make the namespaces, and remove them at the end, with all that is in them."""
        clean()
        media = sorted({link.medium_id for link in links if link.medium_id is not None})
        every = [f"{_PREFIX}-{os.getpid()}-{number}" for number in range(len(device_ids) + len(media))]
        names = dict(zip(device_ids, every, strict=False))
        airs = {medium_id: Air(every[len(names) + number], number) for number, medium_id in enumerate(media)}
        try:
            for name in every:
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
            yield _joined(names, {link.link_id: link for link in links}, airs)
        finally:
            for name in every:
                if (_FOLDER / name).exists():
                    run("ip", "netns", "del", name)


def _check_packets(plan: Plan, ways: Mapping[str, tuple[Link, ...]]) -> None:
    """Refuse datagrams that the kernel would cut into fragments, which are lost and counted by themselves."""
    for transfer in plan.transfers:
        (link,) = ways[transfer.step_id]
        if isinstance(link.transport, Datagram) and min(link.mtu_byte, transfer.size_byte) > MOST_WHOLE_BYTE:
            raise ExecutionError(
                f"link {link.link_id!r} has packets of {link.mtu_byte} byte, but interfaces of the kernel pass on {MOST_WHOLE_BYTE} with their headers, and cut "
                f"larger ones in two; write mtu: {MOST_WHOLE_BYTE} B, or use --mode loopback"
            )


def _check_media(links: Collection[Link]) -> None:
    """Refuse media with more devices than there are addresses for, and more media than networks."""
    on_it: dict[str, set[str]] = {}
    for link in links:
        if link.medium_id is not None:
            on_it.setdefault(link.medium_id, set()).update((link.src_id, link.dst_id))
    for medium_id, device_ids in on_it.items():
        if len(device_ids) > MOST_DEVICES:
            raise ExecutionError(
                f"the medium {medium_id!r} joins {len(device_ids)} devices, but has addresses for {MOST_DEVICES}; take fewer devices, or use --mode loopback"
            )
    if len(on_it) > MOST_MEDIA:
        raise ExecutionError(
            f"there are {len(on_it)} media, but networks for {MOST_MEDIA}; take fewer media, or use --mode loopback"
        )


def _joined(names: Mapping[str, str], links: Mapping[str, Link], airs: Mapping[str, Air]) -> Namespaces:
    """Join devices by pairs of interfaces and by media, with the rates of their links."""
    own = [link for link in links.values() if link.medium_id is None]
    pairs = sorted({(min(link.src_id, link.dst_id), max(link.src_id, link.dst_id)) for link in own})
    addresses: dict[tuple[str, str], str] = {}
    for number, (one, other) in enumerate(pairs):
        near, far = f"to{number}", f"to{number}"
        run("ip", "link", "add", near, "netns", names[one], "type", "veth", "peer", "name", far, "netns", names[other])
        network = f"10.77.{number // 64}.{number % 64 * 4}"
        base = network.rpartition(".")
        for place, (near_id, peer_id) in enumerate(((one, other), (other, one)), start=1):
            address = f"{base[0]}.{int(base[2]) + place}"
            addresses[peer_id, near_id] = address
            run("ip", "-n", names[near_id], "address", "add", f"{address}/30", "dev", near)
            run("ip", "-n", names[near_id], "link", "set", near, "up")
    origins = {(src_id, dst_id): addresses[dst_id, src_id] for src_id, dst_id in addresses}
    switched = {}
    for link in own:
        number = pairs.index((min(link.src_id, link.dst_id), max(link.src_id, link.dst_id)))
        bucket = Bucket(names[link.src_id], f"to{number}", link)
        bucket.switch(is_up=True)
        if isinstance(link.transport, Datagram):
            switched[link.link_id] = bucket
    for medium_id, air in airs.items():
        on_it = [link for link in links.values() if link.medium_id == medium_id]
        air.open(on_it[0])
        places = {
            device_id: n
            for n, device_id in enumerate(sorted({d for one in on_it for d in (one.src_id, one.dst_id)}), 1)
        }
        for device_id, place in places.items():
            air.join(names[device_id], place)
        for link in on_it:
            ends = link.src_id, link.dst_id
            addresses[ends], origins[ends] = air.receiving(places[link.dst_id]), air.sending(places[link.src_id])
    return Namespaces(names, addresses, origins, switched)


def check_tools() -> None:
    """Raise `ExecutionError` when namespaces cannot be made: this is not root, or ip or tc is missing."""
    if os.name != "posix" or os.geteuid() != 0:
        raise ExecutionError("network namespaces are for root on Linux; use --mode loopback")
    missing = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
    if missing:
        raise ExecutionError(
            f"there is no {' and no '.join(missing)} on this machine; install iproute2, or use --mode loopback"
        )


def clean() -> list[str]:
    """Remove the namespaces of runs that were killed, and return their names; those of runs that live stay."""
    left = []
    for path in sorted(_FOLDER.glob(f"{_PREFIX}-*")) if _FOLDER.is_dir() else []:
        found = _NAMES.fullmatch(path.name)
        if found and not Path(f"/proc/{found.group(1)}").exists():
            run("ip", "netns", "del", path.name)
            left.append(path.name)
    return left
