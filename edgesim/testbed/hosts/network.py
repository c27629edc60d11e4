"""Machines of the user as the places of nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.domain.system.links import Link
from edgesim.errors import ExecutionError
from edgesim.testbed.limits import ways_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.plan import Plan, Transfer
    from edgesim.domain.system.topology import Topology
    from edgesim.testbed.hosts.file import Machines


@dataclass(frozen=True, slots=True)
class Hosts:
    """Machines that are reached by a command."""

    machines: Machines

    def command(self, device_id: str) -> list[str]:
        """Return the command that starts the node of a device."""
        return self.machines.words(device_id)

    def listening(self) -> str:
        """Return all addresses: which one the others use is theirs to know; whoever has not the token is turned away."""
        return "0.0.0.0"  # noqa: S104 - as the page says

    def address(self, src_id: str, dst_id: str) -> str:  # noqa: ARG002 - the same for all
        """Return the address of a device."""
        return self.machines.of_device[dst_id].address

    def origin(self, src_id: str, dst_id: str) -> str:  # noqa: ARG002 - the same for all
        """Return the address of a device."""
        return self.machines.of_device[src_id].address

    def occupation_s(self, link: Link, size_byte: int) -> float:
        """Return the time of the link if senders pace, else that they wait for nothing."""
        return link.occupation_s(size_byte) if self.machines.is_paced else 0.0

    def arrival_s(self, link: Link, size_byte: int) -> float:  # noqa: ARG002 - the form of places
        """Return the latency."""
        return link.latency_s

    @property
    def switched(self) -> None:
        """Return None: outages are refused."""
        return


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """The network of ``--mode hosts``."""

    machines: Machines
    is_here: bool = False

    def check(self, plan: Plan, topology: Topology) -> Mapping[str, tuple[Link, ...]]:
        """Return the link of each transfer, which is its way: what senders wait for.

        Raises
        ------
        ExecutionError
            When a device has no host, or a link is not what senders can pace.
        """
        missing = sorted(set(plan.device_ids) - set(self.machines.of_device))
        if missing:
            raise ExecutionError(
                f"no host is named for {', '.join(map(repr, missing))}; add {'it' if len(missing) == 1 else 'them'} to `hosts`"
            )
        if not self.machines.is_paced:
            return {one.step_id: (_as_it_is(topology, one),) for one in plan.transfers}
        ways = ways_of(plan, topology)
        for name, way in ways.items():
            if len(way) > 1 or way[0].medium_id is not None:
                raise ExecutionError(
                    f"{name!r} goes over a medium or several links, which other machines use too without a word to this one; write paced: false, "
                    "so that the network is what it is"
                )
        return ways

    @contextmanager
    def opened(self, device_ids: Collection[str], links: Collection[Link]) -> Iterator[Hosts]:  # noqa: ARG002 - the form of networks
        """Give the machines, which are there already."""
        yield Hosts(self.machines)


def _as_it_is(topology: Topology, transfer: Transfer) -> Link:
    """Return a link on which senders wait for nothing, over what the first link of the way speaks."""
    first = topology.route(transfer.src_id, transfer.dst_id)[0]
    return Link(
        f"{transfer.src_id}->{transfer.dst_id}", transfer.src_id, transfer.dst_id, first.bandwidth_bit_per_s, mtu_byte=first.mtu_byte,
        transport=first.transport,
    )  # fmt: skip
