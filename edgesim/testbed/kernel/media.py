"""A medium of the kernel: a namespace between devices that passes on what they send, through one token bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.testbed.kernel.buckets import Bucket, run

if TYPE_CHECKING:
    from edgesim.domain.system.links import Link

MOST_DEVICES = 254
"""Most on one medium, and"""
MOST_MEDIA = 256
"""most media, by the addresses that there are."""
_GATEWAY = "169.254.0.1"
_BEHIND = "169.254.0.2"
_MAC = "02:00:00:00:00:02"
_TABLE = "100"
_NO_FILTER = "for one in all default; do echo 0 > /proc/sys/net/ipv4/conf/$one/rp_filter; done"


@dataclass(frozen=True, slots=True)
class Air:
    """A namespace that devices are joined to.

    What comes for a receiving address goes over a pair of interfaces of the namespace, ``in`` and ``out``, of which the first has the token bucket, and from there to its
    device: each packet passes the bucket once. What comes for a sending address, which only TCP's acknowledgements do, goes to its device at once.

    Parameters
    ----------
    name : of the namespace.
    number : of the medium, distinct.
    """

    name: str
    number: int

    def receiving(self, place: int) -> str:
        """Return the address at which a device gets messages, given its place on the medium, from 1."""
        return f"10.78.{self.number}.{place}"

    def sending(self, place: int) -> str:
        """Return the address from which a device sends them."""
        return f"10.79.{self.number}.{place}"

    def open(self, link: Link) -> None:
        """Make the pair of interfaces in the namespace, with the rate of a link of the medium."""
        _within(self.name, f"{_NO_FILTER}; echo 1 > /proc/sys/net/ipv4/ip_forward")
        run("ip", "-n", self.name, "link", "add", "in", "type", "veth", "peer", "name", "out", "address", _MAC)
        for end in ("in", "out"):
            run("ip", "-n", self.name, "link", "set", end, "up")
        run("ip", "-n", self.name, "neigh", "add", _BEHIND, "lladdr", _MAC, "dev", "in", "nud", "permanent")
        run("ip", "-n", self.name, "route", "add", f"{self.receiving(0)}/24", "via", _BEHIND, "dev", "in", "onlink")
        run("ip", "-n", self.name, "rule", "add", "iif", "out", "lookup", _TABLE)
        Bucket(self.name, "in", link).switch(is_up=True)

    def join(self, name: str, place: int) -> None:
        """Join the namespace of a device, with a place on the medium."""
        own, far = f"air{self.number}", f"port{place}"
        sending, receiving = self.sending(place), self.receiving(place)
        _within(name, _NO_FILTER)
        run("ip", "link", "add", own, "netns", name, "type", "veth", "peer", "name", far, "netns", self.name)
        for address in (sending, receiving):
            run("ip", "-n", name, "address", "add", f"{address}/32", "dev", own)
        run("ip", "-n", name, "link", "set", own, "up")
        run("ip", "-n", self.name, "address", "add", f"{_GATEWAY}/32", "dev", far)
        run("ip", "-n", self.name, "link", "set", far, "up")
        run("ip", "-n", self.name, "route", "add", f"{sending}/32", "dev", far)
        run("ip", "-n", self.name, "route", "add", f"{receiving}/32", "dev", far, "table", _TABLE)
        for network in (self.sending(0), self.receiving(0)):
            way = ("via", _GATEWAY, "dev", own, "onlink", "src", sending)
            run("ip", "-n", name, "route", "add", f"{network}/24", *way)


def _within(name: str, words: str) -> None:
    run("ip", "netns", "exec", name, "sh", "-c", words)
