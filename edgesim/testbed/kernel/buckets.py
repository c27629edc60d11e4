"""The kernel's token buckets, and the commands that make them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.errors import ExecutionError

if TYPE_CHECKING:
    from edgesim.domain.system.links import Link

LEAST_BURST_BYTE = 1600
"""A token bucket of the kernel must hold a whole packet of Ethernet."""
_QUEUE_BYTE = 2**24


@dataclass(frozen=True, slots=True)
class Bucket:
    """The token bucket of a link, at the sender's end, or of a medium.

    Parameters
    ----------
    name, interface : the namespace, and what is sent over.
    link : whose rate it has, and whose burst; those of a medium have none in a scenario, and the bucket the least one.
    """

    name: str
    interface: str
    link: Link

    def switch(self, *, is_up: bool) -> None:
        """Let packets through at the rate of the link, or lose all, and those that wait."""
        burst_byte = max(self.link.burst_byte, LEAST_BURST_BYTE)
        bucket = (
            "tbf", "rate", f"{round(self.link.bandwidth_bit_per_s)}bit", "burst", str(burst_byte), "limit", str(_QUEUE_BYTE),
        )  # fmt: skip
        how = bucket if is_up else ("blackhole",)
        run("tc", "-n", self.name, "qdisc", "replace", "dev", self.interface, "root", *how)


def run(*command: str) -> None:
    """Run a command. Raises `ExecutionError` when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise ExecutionError(
            f"`{' '.join(command)}` failed: {done.stderr.strip() or 'no reason given'}; use --mode loopback"
        )
