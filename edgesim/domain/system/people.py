"""People who look at what networks are not sure of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from edgesim.domain.bounds import not_negative, positive, whole
from edgesim.errors import PlanError
from edgesim.units import Quantity, Seconds

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class People:
    """People at one queue: who is free takes the sample that came first, within the hours of work of each day.

    The time that a sample takes is log-normal. What is not done when the hours end is taken up where it was left on the next day. A trial begins at
    midnight. Samples that are not done at the horizon of a trial keep the answer of the networks.

    Parameters
    ----------
    number : of people.
    service_s : mean time for a sample, in s.
    service_spread : standard deviation of its logarithm; 0: all take the same.
    begin_s, end_s : hours of work: from and to which time of the day, in s.
    cost_per_minute : of the work of one person, in any currency.
    sample_km2 : what a sample shows, in square kilometres; with it there are person-minutes per square kilometre.

    Formula
    -------
    S = service exp(spread z - spread^2 / 2), z standard normal: E[S] = service, E[S^2] = service^2 exp(spread^2).

    Raises
    ------
    PlanError
        When nobody works at any time.
    """

    number: Annotated[int, Ge(1)] = 1
    service_s: Annotated[float, Quantity("s", is_minimum_excluded=True)] = 20.0
    service_spread: Annotated[float, Ge(0)] = 0.5
    begin_s: Seconds = 0.0
    end_s: Seconds = DAY_S
    cost_per_minute: Annotated[float, Ge(0)] = 0.0
    sample_km2: Annotated[float, Gt(0)] | None = None

    def __post_init__(self) -> None:
        whole("people", 1, number=self.number)
        positive("people", service_s=self.service_s)
        not_negative("people", service_spread=self.service_spread, cost_per_minute=self.cost_per_minute)
        if self.sample_km2 is not None:
            positive("people", sample_km2=self.sample_km2)
        if not 0 <= self.begin_s < self.end_s <= DAY_S:
            raise PlanError(
                f"people work from {self.begin_s / 3600:g} h to {self.end_s / 3600:g} h of a day; expected a time from 0 h on and a later one, up to 24 h"
            )
