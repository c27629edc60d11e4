"""What a simulation records."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

Outcome = Literal["completed", "degraded", "failed", "timed_out", "unfinished"]


@dataclass(frozen=True, slots=True)
class Outage:
    """One interval in which a device or link is down, in s from the start of the trial.

    Parameters
    ----------
    target_id : a device id or a link id.
    start_s, end_s : half-open interval; the default is the whole trial.
    cause : the failure model's label.
    """

    target_id: str
    start_s: float = 0.0
    end_s: float = inf
    cause: str = ""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What became of one request.

    Parameters
    ----------
    released_s : when it was asked, in s.
    latency_s : from release to answer, in s; NaN without an answer.
    outcome : ``completed`` with everything delivered, ``degraded`` with something missing, ``failed`` when the answer cannot
        come any more, ``timed_out`` when the request's deadline passed, ``unfinished`` at the end of the simulated time.
    lost : bit i is set when the i-th transfer of the plan was not delivered in time.
    input_byte, intermediate_byte, result_byte : bytes put on links, each hop counted, headers included.
    energy_j : energy of the devices that the plan uses, in J.
    """

    released_s: float
    latency_s: float
    outcome: Outcome
    lost: int
    input_byte: int
    intermediate_byte: int
    result_byte: int
    energy_j: float
