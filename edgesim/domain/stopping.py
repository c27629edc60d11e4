"""When a study has enough replications."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.domain.bounds import all_of, named, positive, whole
from edgesim.errors import PlanError


@dataclass(frozen=True, slots=True)
class Target:
    """How narrow the 95 % interval of a metric is to be.

    Parameters
    ----------
    metric : its name.
    half_width : most of half the interval's width, in the metric's base unit, or as a share of the estimate.
    is_relative : whether it is a share of the estimate.
    """

    metric: str
    half_width: float
    is_relative: bool

    def __post_init__(self) -> None:
        named("a target", metric=self.metric)
        positive(f"the target of {self.metric!r}", half_width=self.half_width)

    def is_met(self, value: float, low: float, high: float) -> bool:
        """Return whether an estimate with this interval is narrow enough; one without an interval (NaN) is not.

        Examples
        --------
        >>> Target("latency", 0.05, is_relative=True).is_met(2.0, 1.95, 2.05)  # half the width is 0.05, 5 % of 2 are 0.1
        True
        >>> Target("latency", 0.01, is_relative=False).is_met(2.0, 1.95, 2.05)
        False
        """
        return (high - low) / 2 <= self.half_width * (abs(value) if self.is_relative else 1.0)


@dataclass(frozen=True, slots=True)
class Stopping:
    """Replicate until all targets are met, at least `floor` and at most `ceiling` times.

    Parameters
    ----------
    floor, ceiling : bounds on the number of replications.
    targets : what all strategies of a factor point must meet.
    """

    floor: int
    ceiling: int
    targets: tuple[Target, ...]

    def __post_init__(self) -> None:
        whole("a stopping rule", 1, floor=self.floor, ceiling=self.ceiling)
        all_of("a stopping rule", Target, targets=self.targets)
        if self.floor > self.ceiling:
            raise PlanError(f"a stopping rule has floor {self.floor} above its ceiling {self.ceiling}")

    def checkpoints(self, step: int, growth: float = 1.25) -> tuple[int, ...]:
        """Return after how many replications is decided: whole steps, a quarter more each time, and the ceiling.

        Few looks, since each is a chance to stop on an interval that is narrow by luck.

        Examples
        --------
        >>> Stopping(300, 2000, ()).checkpoints(200)
        (400, 600, 800, 1000, 1400, 1800, 2000)
        """
        found = [min(-(-self.floor // step) * step, self.ceiling)]
        while found[-1] < self.ceiling:
            found.append(min(-(-int(found[-1] * growth + 0.5) // step) * step, self.ceiling))
        return tuple(found)
