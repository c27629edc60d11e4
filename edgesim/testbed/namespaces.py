"""A network namespace for each device, a pair of interfaces for each link, and the kernel's token buckets: ``--mode netns``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.errors import ExecutionError
from edgesim.network.transport import Datagram
from edgesim.testbed.limits import ways_of
from edgesim.testbed.places import NODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.plan import Plan
    from edgesim.domain.system.links import Link
    from edgesim.domain.system.topology import Topology

LEAST_BURST_BYTE = 1600
"""A token bucket of the kernel must hold a whole packet of Ethernet."""
_QUEUE_BYTE = 2**24
_PREFIX = "edgesim-testbed"
_NAMES = re.compile(rf"{_PREFIX}-(\d+)-\d+")
_FOLDER = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class Bucket:
    """The token bucket of a link, at the sender's end.

    Parameters
    ----------
    name, interface : the namespace of the sender, and what it sends over.
    link : whose rate it has.
    """

    name: str
    interface: str
    link: Link

    def switch(self, *, is_up: bool) -> None:
        """Let packets through at the rate of the link, or lose all, and those that wait."""
        bucket = (
            "tbf", "rate", f"{round(self.link.bandwidth_bit_per_s)}bit", "burst", str(self.link.burst_byte), "limit", str(_QUEUE_BYTE),
        )  # fmt: skip
        how = bucket if is_up else ("blackhole",)
        _run("tc", "-n", self.name, "qdisc", "replace", "dev", self.interface, "root", *how)


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Namespaces that are joined by pairs of interfaces.

    Parameters
    ----------
    names : of the namespace of each device.
    addresses : by sender and receiver: of the receiver's end of their pair.
    switched : the token buckets of links over which datagrams go, by id. TCP sends again what it loses, late and in front of all else, so its links stay up: nodes
        send nothing over one that is down, and drop what comes over it.
    """

    names: Mapping[str, str]
    addresses: Mapping[tuple[str, str], str]
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

    def occupation_s(self, link: Link, size_byte: int) -> float:  # noqa: ARG002 - the form of places
        """Return 0: the rate is the kernel's."""
        return 0.0


@dataclass(frozen=True, slots=True)
class NamespaceNetwork:
    """The network of ``--mode netns``, for root on Linux."""

    is_here: bool = True

    def check(self, plan: Plan, topology: Topology) -> Mapping[str, tuple[Link, ...]]:
        """Return the link of each transfer, which is its way.

        Raises
        ------
        ExecutionError
            When this is not root, a tool is missing, or a link is not what a token bucket does.
        """
        check_tools()
        ways = ways_of(plan, topology, is_kernel=True)
        for (link,) in ways.values():
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
        names = {device_id: f"{_PREFIX}-{os.getpid()}-{number}" for number, device_id in enumerate(device_ids)}
        try:
            for name in names.values():
                _run("ip", "netns", "add", name)
                _run("ip", "-n", name, "link", "set", "lo", "up")
            yield Namespaces(names, *_joined(names, {link.link_id: link for link in links}))
        finally:
            for name in names.values():
                if (_FOLDER / name).exists():
                    _run("ip", "netns", "del", name)


def _joined(
    names: Mapping[str, str], links: Mapping[str, Link]
) -> tuple[dict[tuple[str, str], str], dict[str, Bucket]]:
    """Join devices by pairs of interfaces, with the rates of their links; return the addresses, and what can be taken down."""
    pairs = sorted({(min(ends), max(ends)) for link in links.values() for ends in [(link.src_id, link.dst_id)]})
    addresses: dict[tuple[str, str], str] = {}
    for number, (one, other) in enumerate(pairs):
        near, far = f"to{number}", f"to{number}"
        _run("ip", "link", "add", near, "netns", names[one], "type", "veth", "peer", "name", far, "netns", names[other])
        network = f"10.77.{number // 64}.{number % 64 * 4}"
        base = network.rpartition(".")
        for place, (own, peer) in enumerate(((one, other), (other, one)), start=1):
            address = f"{base[0]}.{int(base[2]) + place}"
            addresses[peer, own] = address
            _run("ip", "-n", names[own], "address", "add", f"{address}/30", "dev", near)
            _run("ip", "-n", names[own], "link", "set", near, "up")
    switched = {}
    for link in links.values():
        number = pairs.index((min(link.src_id, link.dst_id), max(link.src_id, link.dst_id)))
        bucket = Bucket(names[link.src_id], f"to{number}", link)
        bucket.switch(is_up=True)
        if isinstance(link.transport, Datagram):
            switched[link.link_id] = bucket
    return addresses, switched


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
            _run("ip", "netns", "del", path.name)
            left.append(path.name)
    return left


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise ExecutionError(
            f"`{' '.join(command)}` failed: {done.stderr.strip() or 'no reason given'}; use --mode loopback"
        )
