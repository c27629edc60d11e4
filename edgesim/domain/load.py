"""How many requests a trial has, and when they come."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Annotated, Any, Protocol, runtime_checkable

from annotated_types import Ge

from edgesim.domain.bounds import not_negative, positive, whole
from edgesim.errors import PlanError
from edgesim.plugins import Plugin
from edgesim.units import Quantity, Seconds


@runtime_checkable
class FiniteArrivals(Protocol):
    """What an arrival model may be besides: one that knows whether its requests end."""

    @property
    def is_finite(self) -> bool:
        """Whether they do; of others it is not known, and the load must say when a trial ends."""


@runtime_checkable
class ScalableArrivals(Protocol):
    """What an arrival model may be besides: one with a mean rate, which can be another."""

    @property
    def mean_rate_hz(self) -> float:
        """Mean number of requests per second in the long run."""

    @property
    def is_drawn(self) -> bool:
        """Whether the releases differ between replications."""

    def at_rate(self, rate_hz: float) -> ScalableArrivals:
        """Return the same arrivals, quicker or slower, with this mean rate."""


@runtime_checkable
class CountedArrivals(Protocol):
    """What an arrival model may be besides: one whose requests are the same in every replication, and known beforehand."""

    def n_until(self, moment_s: float) -> int:
        """Return how many requests are released until a moment, in s."""


def ends(arrivals: object) -> bool:
    """Return whether an arrival model is known to release a last request."""
    return isinstance(arrivals, FiniteArrivals) and arrivals.is_finite


def n_expected(load: Load | None) -> int:
    """Return about how many requests a trial has: 1 without a load, and where neither its number nor its rate is known (`is_counted`).

    Examples
    --------
    >>> from edgesim.arrivals.periodic import Periodic
    >>> n_expected(Load(Periodic(0.5), horizon_s=600.0)), n_expected(Load(Periodic(0.5), requests=30, horizon_s=600.0)), n_expected(None)
    (1200, 30, 1)
    """
    if load is None:
        return 1
    n_most = inf if load.requests is None else load.requests
    if isinstance(load.arrivals, CountedArrivals):
        n_most = min(n_most, load.arrivals.n_until(inf if load.horizon_s is None else load.horizon_s))
    if load.horizon_s is not None and isinstance(load.arrivals, ScalableArrivals):
        n_most = min(n_most, load.arrivals.mean_rate_hz * load.horizon_s)
    return max(1, round(n_most)) if n_most < inf else 1


def is_counted(load: Load) -> bool:
    """Return whether it is known about how many requests a trial has."""
    return load.requests is not None or isinstance(load.arrivals, (CountedArrivals, ScalableArrivals))


def uncounted(load: Load) -> str:
    """Return why requests cannot be taken many trials at once, whatever the plan; empty where they can."""
    if not is_counted(load):
        return "it is not known how many requests a trial has"
    if load.admission_limit is not None:
        return "whether a request is admitted depends on how many are in the system"
    return ""


def lasts_s(load: Load | None) -> float:
    """Return for about how long a trial's requests come, in s; 0 without a load, and where neither its horizon nor its rate is known.

    Examples
    --------
    >>> from edgesim.arrivals.periodic import Periodic
    >>> lasts_s(Load(Periodic(0.5), requests=1200)), lasts_s(Load(Periodic(0.5), requests=1200, horizon_s=60.0)), lasts_s(None)
    (600.0, 60.0, 0.0)
    """
    if load is None:
        return 0.0
    of_requests_s = 0.0 if load.requests is None else inf
    if load.requests is not None and isinstance(load.arrivals, ScalableArrivals):
        of_requests_s = load.requests / load.arrivals.mean_rate_hz
    if load.horizon_s is None:
        return of_requests_s if of_requests_s < inf else 0.0
    return min(load.horizon_s, of_requests_s or load.horizon_s) if of_requests_s < inf else 0.0


def is_drawn(arrivals: object) -> bool:
    """Return whether releases may differ between replications; of arrivals that do not say so, they may."""
    return not isinstance(arrivals, ScalableArrivals) or arrivals.is_drawn


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that come one after another or together, in place of one single request per trial.

    Parameters
    ----------
    arrivals : what releases the requests, a plug-in of seam ``arrivals``.
    requests : number of requests after which no more come.
    horizon_s : when a trial ends at the latest, in s; requests without an answer by then are unfinished.
    warm_up_s : requests released before are simulated, but do not count, in s.
    admission_limit : most requests in the system; one more is rejected.

    Raises
    ------
    PlanError
        When the requests would never end, or the warm-up lasts as long as the trial.
    """

    arrivals: Annotated[Any, Plugin("arrivals")]
    requests: Annotated[int, Ge(1)] | None = None
    horizon_s: Annotated[float, Quantity("s", is_minimum_excluded=True)] | None = None
    warm_up_s: Seconds = 0.0
    admission_limit: Annotated[int, Ge(1)] | None = None

    def __post_init__(self) -> None:
        counts = {"requests": self.requests, "admission_limit": self.admission_limit}
        whole("the load", 1, **{name: count for name, count in counts.items() if count is not None})
        not_negative("the load", warm_up_s=self.warm_up_s)
        if self.horizon_s is not None:
            positive("the load", horizon_s=self.horizon_s)
        if self.requests is None and self.horizon_s is None and not ends(self.arrivals):
            raise PlanError("the load never ends; give it `requests`, `horizon`, or both")
        if self.horizon_s is not None and self.warm_up_s >= self.horizon_s:
            raise PlanError(f"the warm-up of {self.warm_up_s:g} s leaves nothing of a horizon of {self.horizon_s:g} s")
