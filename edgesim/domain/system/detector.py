"""How devices that fail are found out: heartbeats, and the time without one after which a device is taken as down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgesim.domain.bounds import positive, whole
from edgesim.domain.system.devices import DeviceId
from edgesim.errors import PlanError
from edgesim.units import Bytes, Quantity


@dataclass(frozen=True, slots=True)
class Detector:
    """Heartbeats: messages that every device of the plan sends to a monitor, which takes a device as down while it hears nothing.

    A device sends one each `period`, from a moment in the first period that is drawn, while it is up. They are messages like all others: they
    take links, bytes and energy, wait behind others, are lost and delayed. The monitor suspects a device when `timeout` has passed since the
    last heartbeat came (since the start, before the first), and trusts it again when the next one comes. What comes at that very moment comes
    in time. While the monitor itself is down it suspects nobody, and each device has a whole `timeout` when it is up again.

    Parameters
    ----------
    period_s : distance of the heartbeats of a device, in s.
    timeout_s : how long the monitor waits for one, in s; at least the period.
    size_byte : of a heartbeat, without headers, in byte.
    monitor : id of the device that listens; by default the one that answers.

    Formula
    -------
    Detected after timeout - U + d, U uniform on [0, period), d the time that a heartbeat takes: in the mean timeout - period / 2 + d. Where each
    heartbeat is lost with probability p, k = floor(timeout / period) in a row make a false alarm: (1 - p) p^k / period a second for each device.

    Raises
    ------
    PlanError
        When the timeout is shorter than the period: every device would be suspected between two heartbeats.

    References
    ----------
    W. Chen, S. Toueg, M. K. Aguilera, On the Quality of Service of Failure Detectors, IEEE Transactions on Computers 51(5), 2002,
    doi 10.1109/TC.2002.1004595 (detection time and mistakes of heartbeats as measures).
    """

    period_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]
    timeout_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]
    size_byte: Bytes = 32
    monitor: DeviceId | None = None

    def __post_init__(self) -> None:
        positive("the detector", period_s=self.period_s, timeout_s=self.timeout_s)
        whole("the detector", 1, size_byte=self.size_byte)
        if self.timeout_s < self.period_s:
            raise PlanError(
                f"the detector's timeout of {self.timeout_s:g} s is shorter than the period of {self.period_s:g} s of heartbeats; "
                "every device would be suspected between two of them: give a longer timeout"
            )
