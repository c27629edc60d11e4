"""What passes messages on and computes nothing: switches, hubs, routers, access points."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.domain.bounds import named, whole


@dataclass(frozen=True, slots=True)
class Switch:
    """A thing that links join and that computes nothing, takes no power of the study, and is no device.

    A message that has come over one link waits for the next one (`store_and_forward`). Without a limit the queue of an output link
    holds whatever comes.

    Parameters
    ----------
    switch_id : distinct from those of devices and other switches.
    n_ports : most neighbours, or None for any number.
    queue_byte : most bytes that wait for one output link, behind the message that is being sent, headers included; a message
        that does not fit is lost as a whole. None: no limit.

    Examples
    --------
    >>> Switch("s", n_ports=0)
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: switch 's' has n_ports 0; it must be a whole number of at least 1
    """

    switch_id: str
    n_ports: int | None = None
    queue_byte: int | None = None

    def __post_init__(self) -> None:
        named("a switch", switch_id=self.switch_id)
        subject = f"switch {self.switch_id!r}"
        whole(subject, 1, n_ports=1 if self.n_ports is None else self.n_ports)
        whole(subject, 0, queue_byte=0 if self.queue_byte is None else self.queue_byte)
