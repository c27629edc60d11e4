"""Fits the free numbers of a device's roofline to measured latencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log
from typing import TYPE_CHECKING

import numpy as np

from edgesim.compute.roofline import Roofline
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.devices import OPERATORS, DeviceProfile
from edgesim.errors import PlanError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_FREE = ("conv+linear", "depthwise+other", "memory_bandwidth", "layer_overhead")
"""What is fitted unless said otherwise: two rates, as dense and other operators reach, the memory bandwidth and the overhead per layer."""
UNITS = {
    **dict.fromkeys(OPERATORS, "FLOP/s"),
    "memory_bandwidth": "byte/s", "layer_overhead": "s", "half_rate": "FLOP", "serial_share": "1",
}  # fmt: skip
"""The numbers that can be fitted, with their units."""
_MOST = 1000.0  # a fitted number is at most so many times its start, and at least that part of it
_HALF_RATE_FLOP = 1e5  # where the search for a half_rate begins, since profiles have none
_N_STARTS = 8
_SPREAD = 10.0  # starts lie within this factor of the profile
_FLAT = 1e-6  # a direction whose effect is this small, of the largest one, is not determined


@dataclass(frozen=True, slots=True)
class TimedWork:
    """One measured inference: its layers and how long they took together, in s."""

    work: tuple[LayerWork, ...]
    latency_s: float


@dataclass(frozen=True, slots=True)
class FittedNumber:
    """A fitted number in base units, with its 95 % interval; without bounds where the measurements do not determine it."""

    name: str
    unit: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Fit:
    """A profile and a compute model that fit measurements, and how well each free number is known."""

    profile: DeviceProfile
    compute: Roofline
    numbers: tuple[FittedNumber, ...]

    def latency_s(self, work: tuple[LayerWork, ...]) -> float:
        """Return what the fitted model says that an inference takes, in s."""
        return self.compute.duration_s(Compute("all", "device", work), self.profile)


@dataclass(frozen=True, slots=True)
class Free:
    """A free number: one of `UNITS`, or rates joined by ``+`` that keep their ratio and are fitted as one factor."""

    name: str

    def __post_init__(self) -> None:
        unknown = [one for one in self.parts if one not in UNITS]
        if unknown or (len(self.parts) > 1 and not set(self.parts) <= set(OPERATORS)):
            raise PlanError(
                f"{self.name!r} cannot be fitted; expected one of {', '.join(UNITS)}, or rates joined by +, e.g. conv+linear"
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """The numbers that it stands for."""
        return tuple(self.name.split("+"))

    def start(self, base: DeviceProfile) -> float:
        """Return where the search begins: at the profile."""
        first = self.parts[0]
        if first in OPERATORS:
            return base.flop_per_s[first]
        return {
            "memory_bandwidth": base.memory_bandwidth_byte_per_s, "layer_overhead": max(base.layer_overhead_s, 1e-6),
            "half_rate": _HALF_RATE_FLOP, "serial_share": 0.5,
        }[first]  # fmt: skip

    def bounds(self, base: DeviceProfile) -> tuple[float, float]:
        """Return bounds of its coordinate."""
        if self.name == "serial_share":
            return 0.0, 1.0
        middle = log(self.start(base))
        return middle - log(_MOST), middle + log(_MOST)

    def value(self, coordinate: float) -> float:
        """Return the number at a coordinate: shares are their own, of all else it is the logarithm."""
        return coordinate if self.name == "serial_share" else exp(coordinate)


def free_numbers(names: Sequence[str]) -> tuple[Free, ...]:
    """Return free numbers by name.

    Raises
    ------
    PlanError
        When one cannot be fitted, or is named twice.
    """
    made = tuple(map(Free, names))
    parts = [part for one in made for part in one.parts]
    if len(set(parts)) < len(parts) or not parts:
        raise PlanError(f"numbers to fit are {', '.join(names) or 'none'}; expected at least one, each once")
    return made


def fit(runs: Sequence[TimedWork], base: DeviceProfile, free: Sequence[Free]) -> Fit:
    """Return the numbers with which the roofline comes nearest to measured latencies.

    It minimises the sum of (ln predicted - ln measured)^2 over the runs, so that a relative error counts alike whether an inference
    takes long or not. Numbers that are not free stay as in `base`.

    Parameters
    ----------
    runs : measurements of one device, at least as many as free numbers; each latency above 0.
    base : where the search begins, and what all other numbers are.
    free : what is fitted.

    Raises
    ------
    PlanError
        When there are fewer measurements than free numbers, or the profile has no rate for a layer.

    Notes
    -----
    Trust-region least squares (scipy) from the profile and from 7 points of a Halton sequence around it, the best of them; nothing is
    drawn. Intervals are those of linearised least squares: value x exp(+-t sqrt(s^2 (J'J)^-1)), with J the derivatives at the optimum,
    s^2 the residual variance and t the 97.5 % quantile of Student's distribution with runs - numbers degrees of freedom. They say how
    well the numbers are known if the model is right; what it cannot describe is not in them. There is none with as many numbers as runs,
    for a number at the bound of the search (1000 times its start), and for one that the runs do not determine: then it stays near `base`.

    Examples
    --------
    Two layers at 2 GFLOP/s that were measured without any error.

    >>> base = DeviceProfile("board", {"conv": 1e9}, 1e12, 1e-9, 2**20, 0, 0, 0, 0, "assumed")
    >>> runs = [TimedWork((LayerWork("a", "conv", flop, 0.0),), flop / 2e9) for flop in (1e6, 4e6)]
    >>> [number] = fit(runs, base, free_numbers(["conv"])).numbers
    >>> number.name, round(number.value / 1e9, 2)
    ('conv', 2.0)
    """
    if len(runs) < len(free):
        names = ", ".join(one.name for one in free)
        raise PlanError(
            f"{len(runs)} measurements cannot determine {len(free)} numbers ({names}); measure more, or leave numbers out"
        )
    at, jacobian, residuals = _search(runs, base, free)
    intervals = _intervals(at, jacobian, residuals, [one.bounds(base) for one in free])
    profile, compute = _applied(base, free, at)
    numbers = tuple(
        FittedNumber(
            one.name,
            UNITS[one.parts[0]],
            one.value(place),
            *(map(one.value, interval) if interval is not None else (None, None)),
        )
        for one, place, interval in zip(free, at, intervals, strict=True)
    )
    return Fit(profile, compute, numbers)


def _applied(base: DeviceProfile, free: Sequence[Free], at: Sequence[float]) -> tuple[DeviceProfile, Roofline]:
    """Return the profile and the compute model at a point of the search."""
    rates = dict(base.flop_per_s)
    found: dict[str, float] = {}
    for one, place in zip(free, at, strict=True):
        value = one.value(float(place))
        if one.parts[0] in OPERATORS:
            factor = value / one.start(base)
            rates |= {name: base.flop_per_s[name] * factor for name in one.parts}
        else:
            found[one.name] = value
    profile = replace(
        base,
        flop_per_s=rates,
        memory_bandwidth_byte_per_s=found.get("memory_bandwidth", base.memory_bandwidth_byte_per_s),
        layer_overhead_s=found.get("layer_overhead", base.layer_overhead_s),
    )
    return profile, Roofline(found.get("half_rate", 0.0), found.get("serial_share", 0.0))


def _search(
    runs: Sequence[TimedWork], base: DeviceProfile, free: Sequence[Free]
) -> tuple[list[float], NDArray[np.float64], NDArray[np.float64]]:
    """Return the best point, with derivatives and residuals there."""
    from scipy.optimize import least_squares
    from scipy.stats import qmc

    steps = [Compute("all", "device", run.work) for run in runs]

    def residuals(at: NDArray[np.float64]) -> list[float]:
        profile, compute = _applied(base, free, list(at))
        return [log(compute.duration_s(step, profile) / run.latency_s) for step, run in zip(steps, runs, strict=True)]

    lower, upper = np.array([one.bounds(base) for one in free]).T
    middle = (lower + upper) / 2
    reach = np.minimum((upper - lower) / 2, log(_SPREAD))
    offsets = 2 * qmc.Halton(len(free), scramble=False).random(_N_STARTS)[1:] - 1
    best, least = None, inf
    for offset in (np.zeros(len(free)), *offsets):
        found = least_squares(residuals, middle + 0.99 * reach * offset, bounds=(lower, upper))
        if found.cost < least * (1 - 1e-6) - 1e-15:  # ties go to the one that began at the profile
            best, least = found, found.cost
    assert best is not None  # noqa: S101 - the first cost is below infinity
    return [float(x) for x in best.x], np.asarray(best.jac), np.asarray(best.fun)


def _intervals(
    at: Sequence[float],
    jacobian: NDArray[np.float64],
    residuals: NDArray[np.float64],
    bounds: Sequence[tuple[float, float]],
) -> list[tuple[float, float] | None]:
    """Return the 95 % interval of each coordinate, None of those that are not determined."""
    from scipy.stats import t

    n_over = len(residuals) - len(at)
    if n_over < 1:
        return [None] * len(at)
    inner = [i for i, (x, (low, high)) in enumerate(zip(at, bounds, strict=True)) if min(x - low, high - x) > 1e-3]
    found: list[tuple[float, float] | None] = [None] * len(at)
    if not inner:
        return found
    _, sizes, directions = np.linalg.svd(jacobian[:, inner], full_matrices=False)
    is_flat = sizes <= _FLAT * max(sizes.max(), 1e-9)
    variance = float(residuals @ residuals) / n_over
    for column, i in enumerate(inner):
        if np.abs(directions[is_flat, column]).max(initial=0.0) > 1e-3:
            continue
        spread = float((directions[~is_flat, column] ** 2 / sizes[~is_flat] ** 2).sum() * variance) ** 0.5
        half = float(t.ppf(0.975, n_over)) * spread
        found[i] = (max(at[i] - half, bounds[i][0]), min(at[i] + half, bounds[i][1]))
    return found
