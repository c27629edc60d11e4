"""Where nodes run and how they reach each other: here, processes of one machine whose senders pace what they send."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.plan import Plan
    from edgesim.domain.system.links import Link
    from edgesim.domain.system.topology import Topology
    from edgesim.testbed.course.director import Switched

LOCALHOST = "127.0.0.1"
NODE = (sys.executable, "-m", "edgesim.testbed.node")
"""The command that starts a node on this machine."""


class Place(Protocol):
    """Where the nodes of a plan run."""

    def command(self, device_id: str) -> list[str]:
        """Return the command that starts the node of a device."""

    def listening(self) -> str:
        """Return the address on which a node waits for others."""

    def address(self, src_id: str, dst_id: str) -> str:
        """Return the address of a device as another one sees it."""

    def origin(self, src_id: str, dst_id: str) -> str:
        """Return the address from which a device sends to another one, as that sees it."""

    def occupation_s(self, link: Link, size_byte: int) -> float:
        """Return the time for which a sender keeps others, and its next message, from what it sends over, in s."""

    def arrival_s(self, link: Link, size_byte: int) -> float:
        """Return how long a message waits where it has come, in s."""

    @property
    def switched(self) -> Mapping[str, Switched] | None:
        """Where the kernel sends what nodes give it: the links that it takes down, by id; None where nodes pace what they send."""


class Network(Protocol):
    """Makes such places."""

    @property
    def is_here(self) -> bool:
        """Whether all nodes are on this machine: they read its files, share its clock and its cores, and can be stopped."""

    def check(self, plan: Plan, topology: Topology) -> Mapping[str, tuple[Link, ...]]:
        """Return the links of the way of each transfer. Raises `ExecutionError` when it cannot do what a link does."""

    def opened(self, device_ids: Collection[str], links: Collection[Link]) -> AbstractContextManager[Place]:
        """Make a place for these devices, and remove it at the end."""


@dataclass(frozen=True, slots=True)
class SameMachine:
    """Processes that talk over 127.0.0.1; senders pace packets by a virtual clock."""

    def command(self, device_id: str) -> list[str]:  # noqa: ARG002 - the form of places
        """Return the command of this machine."""
        return list(NODE)

    def listening(self) -> str:
        """Return 127.0.0.1."""
        return LOCALHOST

    def address(self, src_id: str, dst_id: str) -> str:  # noqa: ARG002 - the form of places
        """Return 127.0.0.1."""
        return LOCALHOST

    def origin(self, src_id: str, dst_id: str) -> str:  # noqa: ARG002 - the form of places
        """Return 127.0.0.1."""
        return LOCALHOST

    def occupation_s(self, link: Link, size_byte: int) -> float:
        """Return the time of the link."""
        return link.occupation_s(size_byte)

    def arrival_s(self, link: Link, size_byte: int) -> float:  # noqa: ARG002 - the form of places
        """Return the latency."""
        return link.latency_s

    @property
    def switched(self) -> None:
        """Return None: nodes pace what they send, and send nothing over a link that is down."""
        return


@dataclass(frozen=True, slots=True)
class LoopbackNetwork:
    """The network of ``--mode loopback``: it needs no privileges and makes nothing."""

    is_here: bool = True

    def check(self, plan: Plan, topology: Topology) -> Mapping[str, tuple[Link, ...]]:
        """Return the links of the way of each transfer; see `edgesim.testbed.limits.ways_of`."""
        from edgesim.testbed.limits import ways_of

        return ways_of(plan, topology)

    @contextmanager
    def opened(self, device_ids: Collection[str], links: Collection[Link]) -> Iterator[SameMachine]:  # noqa: ARG002 - as above
        """Give the machine."""
        yield SameMachine()
