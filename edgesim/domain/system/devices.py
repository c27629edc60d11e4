"""Devices, what a class of them can do, and the ids by which options name devices and links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from edgesim.domain.bounds import finite, named, not_negative, one_of, positive, whole
from edgesim.errors import PlanError
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

Sharing = Literal["fifo", "fair"]
"""How a resource serves what asks for it together: in order of arrival, or all at once at fair rates."""
LinkSharing = Literal["fifo", "fair", "fifo_packets"]
"""How a link with a channel of its own serves messages: as `Sharing`, or packet by packet in order of arrival."""
OnOutage = Literal["lost", "resume"]
"""What becomes of work that an outage interrupts: it is lost, or it goes on when the outage is over."""

OPERATORS = ("conv", "depthwise", "linear", "other")
"""Operator classes: convolution, depthwise convolution, matrix product, and all that moves more data than it computes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Marks a plug-in's option as naming something of the topology, so that a scenario is checked before it runs.

    Parameters
    ----------
    kind : what is named; a ``target`` is a link when the text holds ``->``, else a device.
    is_pattern : whether the text is a pattern (`edgesim.domain.system.selection.is_selected`), which must match at least one id.
    """

    kind: Literal["device", "link", "target"]
    is_pattern: bool = False


DeviceId = Annotated[str, Reference("device")]
DeviceGlob = Annotated[str, Reference("device", is_pattern=True)]
LinkGlob = Annotated[str, Reference("link", is_pattern=True)]
TargetGlob = Annotated[str, Reference("target", is_pattern=True)]


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores of a device that can work on one layer together, and the memories between them and the main one.

    Parameters
    ----------
    n_cores : how many.
    vector_width : multiply-adds that a core begins in a cycle when all lanes of its vector units are used, as the rates of its profile say.
    local_memory_byte : memory of each core that a tile of a layer can lie in, in byte; None where nobody says.
    shared_memory_byte : memory that all cores reach without the main one, in byte; None without one.
    shared_bandwidth_byte_per_s : sustained bandwidth of the shared memory to all cores together, in byte/s.
    synchronisation_s : time for which a layer that several cores work on takes longer, whatever their number, in s.
    interrupt_s : time for which it takes longer for each core besides the first, in s.
    """

    n_cores: int
    vector_width: float = 1.0
    local_memory_byte: float | None = None
    shared_memory_byte: float | None = None
    shared_bandwidth_byte_per_s: float | None = None
    synchronisation_s: float = 0.0
    interrupt_s: float = 0.0

    def __post_init__(self) -> None:
        subject = "cores of a device profile"
        whole(subject, 1, n_cores=self.n_cores)
        positive(
            subject, vector_width=self.vector_width, local_memory_byte=_given(self.local_memory_byte),
            shared_memory_byte=_given(self.shared_memory_byte),
            shared_bandwidth_byte_per_s=_given(self.shared_bandwidth_byte_per_s),
        )  # fmt: skip
        not_negative(subject, synchronisation_s=self.synchronisation_s, interrupt_s=self.interrupt_s)
        if (self.shared_memory_byte is None) != (self.shared_bandwidth_byte_per_s is None):
            raise PlanError(f"{subject}: shared_memory and shared_bandwidth go together; give both or neither")

    def division_s(self, n_cores: int) -> float:
        """Return for how long a layer takes longer because so many cores work on it, in s.

        Examples
        --------
        >>> Cores(8, synchronisation_s=0.25, interrupt_s=0.5).division_s(1), Cores(8, synchronisation_s=0.25, interrupt_s=0.5).division_s(3)
        (0.0, 1.25)
        """
        return self.synchronisation_s + (n_cores - 1) * self.interrupt_s if n_cores > 1 else 0.0


def _given(value: float | None) -> float:
    return 1.0 if value is None else value


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """What a class of devices can do.

    Parameters
    ----------
    name : name in the catalog.
    flop_per_s : sustained rate by operator class, in FLOP/s (one multiply-add is two FLOP).
    memory_bandwidth_byte_per_s : sustained memory bandwidth, in byte/s.
    layer_overhead_s : fixed time per layer (dispatch, cache warm-up), in s.
    memory_byte : memory that a network may use, in byte.
    idle_w, busy_w, transmit_w, receive_w : power of the whole device in each state, with one core or one link in use, in W.
    source : reference of the numbers, or ``"assumed"``.
    cores : cores that can work on one layer together, of which the rates are those of one; None where nobody says.
    """

    name: str
    flop_per_s: Mapping[str, float]
    memory_bandwidth_byte_per_s: float
    layer_overhead_s: float
    memory_byte: int
    idle_w: float
    busy_w: float
    transmit_w: float
    receive_w: float
    source: str
    cores: Cores | None = None

    def __hash__(self) -> int:
        """Return a hash; a mapping of rates has none of its own."""
        return hash((self.name, frozenset(self.flop_per_s.items()), self.memory_bandwidth_byte_per_s, self.memory_byte))

    def __post_init__(self) -> None:
        named("a device profile", name=self.name)
        subject = f"device profile {self.name!r}"
        positive(
            subject, memory_bandwidth_byte_per_s=self.memory_bandwidth_byte_per_s, **_rates(subject, self.flop_per_s)
        )
        not_negative(
            subject, layer_overhead_s=self.layer_overhead_s, memory_byte=self.memory_byte, idle_w=self.idle_w, busy_w=self.busy_w,
            transmit_w=self.transmit_w, receive_w=self.receive_w,
        )  # fmt: skip


def _rates(subject: str, flop_per_s: Mapping[str, float]) -> dict[str, float]:
    """Return the rates of operator classes, each by the name under which a refusal shows it."""
    unknown = [name for name in flop_per_s if name not in OPERATORS]
    if unknown or not flop_per_s:
        raise PlanError(f"{subject} has flop_per_s of {unknown or 'nothing'}; expected some of {', '.join(OPERATORS)}")
    return {f"flop_per_s of {name}": rate for name, rate in flop_per_s.items()}


@dataclass(frozen=True, slots=True)
class HostOverhead:
    """What the program of a device costs it besides its work.

    Each message that it sends or receives occupies it for a + b x bytes, as a computation does.

    Parameters
    ----------
    per_message_s : a, in s.
    per_byte_s : b, per byte of the message without headers, in s.
    least_computation_s : what any computation takes at least, however little its work is, in s.

    Examples
    --------
    >>> HostOverhead(0.001, 1e-6).time_s(500)
    0.0015
    """

    per_message_s: Seconds = 0.0
    per_byte_s: Seconds = 0.0
    least_computation_s: Seconds = 0.0

    def __post_init__(self) -> None:
        not_negative(
            "a host_overhead", per_message_s=self.per_message_s, per_byte_s=self.per_byte_s, least_computation_s=self.least_computation_s,
        )  # fmt: skip

    def time_s(self, size_byte: float) -> float:
        """Return the time that a message takes, in s."""
        return self.per_message_s + self.per_byte_s * size_byte


@dataclass(frozen=True, slots=True)
class Device:
    """A computing node.

    Parameters
    ----------
    device_id : distinct in the topology.
    profile : what it can do; its rates are those of one core.
    position_m : where it stands (x, y), in m, if that matters.
    n_cores : computations that run at the same time, each on one core.
    sharing : ``fifo`` gives a core to each computation in order of arrival; ``fair`` lets all run at once, each at
        min(1, cores / computations) of its speed (processor sharing).
    on_outage : what becomes of computations when the device goes down.
    host_overhead : what each message costs that it sends or receives at the end of its way, and what a computation takes at least; relaying costs nothing.
    battery_j : energy after which it is down for ever, counted from the first release of a trial on, in J; None: no limit.
    """

    device_id: str
    profile: DeviceProfile
    position_m: tuple[float, float] | None = None
    n_cores: int = 1
    sharing: Sharing = "fifo"
    on_outage: OnOutage = "lost"
    host_overhead: HostOverhead = HostOverhead()
    battery_j: float | None = None

    def __post_init__(self) -> None:
        named("a device", device_id=self.device_id)
        subject = f"device {self.device_id!r}"
        whole(subject, 1, n_cores=self.n_cores)
        one_of(subject, Sharing, sharing=self.sharing)
        one_of(subject, OnOutage, on_outage=self.on_outage)
        positive(subject, battery_j=_given(self.battery_j))
        if self.position_m is not None:
            x_m, y_m = self.position_m
            finite(subject, **{"position_m x": x_m, "position_m y": y_m})
