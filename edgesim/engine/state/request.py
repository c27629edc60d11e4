"""One request of a trial: what of it is done, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from edgesim.domain.records import Outcome, RequestRecord
from edgesim.engine.program.compiled import Program

NO_REQUEST = -1
"""The number of a message that belongs to no request."""
_made = tuple.__new__  # of a named tuple; its own constructor takes longer
_BITS = b"10" + bytes(254)  # a digit for each transfer: 0 when it was delivered


class Request:
    """The state of one request.

    Parameters
    ----------
    program : the plan.
    number, released_s : its number, and when it was released, in s.
    plan : which of the plans of the program it follows.
    """

    __slots__ = ("answer", "answered_s", "busy_s", "come", "delivered", "ended_s", "is_degraded", "missing", "missing_local", "n_lost", "n_open",
                 "n_retransmitted", "number", "partial", "plan", "receive_s", "released_s", "traffic_byte",
                 "transmit_s")  # fmt: skip

    def __init__(self, program: Program, number: int, released_s: float, plan: int) -> None:
        steps, span = program.steps, program.spans[plan]
        n_devices = len(program.devices.device_ids)
        self.number = number
        self.plan = plan
        self.answer = span.answer
        self.released_s = released_s
        self.answered_s = nan
        self.ended_s = nan
        self.n_open = 0  # what is under way and may bring the answer: work, messages, running deadlines of steps
        self.missing = [*steps.n_inputs]  # inputs that have not come; below 0 when the computation has begun
        self.missing_local = [*steps.n_local]  # those that its device computes; below 0 when its deadline was started
        self.come: set[int] = set()  # alternatives that came before the step that needs them began
        self.is_degraded = False  # a step went on with less than its inputs
        self.delivered = bytearray(span.delivered)  # by step: 1 for a message that came in time, 2 for computations
        self.partial: dict[int, float] = {}
        self.n_lost: dict[int, int] = {}  # by step, how often it was lost, where that is recovered
        self.n_retransmitted = 0
        self.traffic_byte = [0, 0, 0]
        self.busy_s = [0.0] * n_devices
        self.transmit_s = [0.0] * n_devices
        self.receive_s = [0.0] * n_devices


Task = tuple[Request, int]
"""A step of a request, by its index in the plan."""


@dataclass(slots=True)
class Totals:
    """What messages that belong to no request cost together: bytes by kind of traffic, and times by device in s."""

    traffic_byte: list[int]
    busy_s: list[float]
    transmit_s: list[float]
    receive_s: list[float]


class Errand(Request):
    """A message that belongs to no request, as a heartbeat: of a request it has what links and devices look at.

    Parameters
    ----------
    device_id : of the device that it comes from, or is for.
    released_s : when it is sent, in s.
    totals : what it costs is added to these.
    change : the number of the change of plans that it brings weights for; 0: it is a heartbeat.
    """

    __slots__ = ("change", "device_id")

    def __init__(self, device_id: str, released_s: float, totals: Totals, change: int) -> None:
        self.device_id, self.change = device_id, change
        self.number = NO_REQUEST
        self.released_s = self.ended_s = released_s  # so that nobody tries it again
        self.n_open = 0
        self.n_retransmitted = 0
        self.traffic_byte, self.busy_s = totals.traffic_byte, totals.busy_s
        self.transmit_s, self.receive_s = totals.transmit_s, totals.receive_s

    @staticmethod
    def totals(n_devices: int) -> Totals:
        """Return totals of nothing."""
        return Totals([0, 0, 0], [0.0] * n_devices, [0.0] * n_devices, [0.0] * n_devices)


def record(request: Request, outcome: Outcome, latency_s: float, energy_j: float) -> RequestRecord:
    """Sum up a request."""
    input_byte, intermediate_byte, result_byte = request.traffic_byte
    return _made(
        RequestRecord,
        (request.released_s, latency_s, outcome, lost(request), input_byte, intermediate_byte, result_byte, energy_j, partial(request),
         request.n_retransmitted, request.plan),
    )  # fmt: skip


def lost(request: Request) -> int:
    """Return a number of which bit i is set when transfer i was not delivered in time."""
    delivered = request.delivered
    return 0 if all(delivered) else int(delivered[::-1].translate(_BITS, b"\2"), 2)


def partial(request: Request) -> tuple[tuple[int, float], ...]:
    """Return which share of each message that is not whole arrived in time."""
    return tuple(sorted(request.partial.items())) if request.partial else ()
