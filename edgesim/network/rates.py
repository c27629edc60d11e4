"""Rates of links and media that change with time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Annotated

from edgesim.errors import PlanError
from edgesim.files.recorded import Start
from edgesim.units import Quantity, Seconds


@dataclass(frozen=True, slots=True)
class RateStep:
    """The rate from some time on.

    Parameters
    ----------
    time_s : from the start of the trial, or of the period, in s.
    rate_bit_per_s : the rate from then on; 0: nothing is sent.
    """

    time_s: Seconds
    rate_bit_per_s: Annotated[float, Quantity("bit/s")]


@dataclass(frozen=True, slots=True)
class Steps:
    """Change the rate at given times, the same in every replication; between them it is constant.

    What is under way goes on at the new rate. Until the first step a link has its `bandwidth`, and a medium sets no limit; after the
    last one the rate stays, or with `period_s` all steps come again.

    Parameters
    ----------
    steps : times and rates, in order of time.
    period_s : after which the steps come again, in s; all of their times are below it.
    file : text file with columns ``time`` and ``rate``, relative to the scenario, in place of `steps`.
    start : with a file, what its times count from: ``zero``, the start of a trial; ``first``, the first of them, e.g. for times of day.

    Formula
    -------
    A message of n bits that begins to leave at t has left at the first t' at which the integral of the rate from t to t' is n.

    Validity
    --------
    Measured rates of an application or of the data link, averaged over times that are long against one packet. A sender that adapts to
    the rate, or gives up after a timeout while it is 0, is not modelled.
    """

    steps: tuple[RateStep, ...] = ()
    period_s: Annotated[float, Quantity("s", is_minimum_excluded=True)] | None = None
    file: str = ""
    start: Start = "zero"

    def __post_init__(self) -> None:
        if self.file:
            raise PlanError(
                "a file of rates is read with its scenario and cannot be swept; write one scenario for each file, with `extends:`"
            )
        if self.start == "first":
            raise PlanError("`start: first` goes with a file of rates; let the steps count from the start of a trial")
        if not self.steps:
            raise PlanError("a changing rate needs steps; list `time` and `rate`, or name a `file`")
        if any(later.time_s <= earlier.time_s for earlier, later in pairwise(self.steps)):
            raise PlanError("the times of rate steps must increase; put them in order, one rate for each time")
        if self.period_s is not None and self.steps[-1].time_s >= self.period_s:
            raise PlanError(
                f"the last rate step, at {self.steps[-1].time_s:g} s, lies behind the period of {self.period_s:g} s; lengthen the period"
            )
        if self.period_s is None and self.steps[-1].rate_bit_per_s == 0.0:
            raise PlanError(
                "the last rate is 0 for ever; give a `period`, a last rate above 0, or an outage by failure model scripted"
            )
        if all(step.rate_bit_per_s == 0.0 for step in self.steps):
            raise PlanError("a rate that is always 0 sends nothing; give one step at least a rate above 0")

    def changes(self) -> Iterator[tuple[float, float]]:
        """Yield when the rate changes, in s, and to what, in bit/s.

        Examples
        --------
        >>> from itertools import islice
        >>> steps = Steps((RateStep(0.0, 1e6), RateStep(2.0, 5e5)), period_s=3.0)
        >>> list(islice(steps.changes(), 3))
        [(0.0, 1000000.0), (2.0, 500000.0), (3.0, 1000000.0)]
        """
        for n_before in count() if self.period_s is not None else (0,):
            begin_s = n_before * (self.period_s or 0.0)
            for step in self.steps:
                yield begin_s + step.time_s, step.rate_bit_per_s
