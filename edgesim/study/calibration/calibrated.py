"""From measured rows to fitted profiles, the error of every row, and the profiles as a scenario takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from edgesim.compute.fitting import Fit, FittedNumber, Free, TimedWork, fit
from edgesim.compute.roofline import Roofline
from edgesim.errors import PlanError, UnknownNameError
from edgesim.scenario.topology.build import catalog_profile
from edgesim.study.calibration.works import divided
from edgesim.units import show, show_exactly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.system.devices import DeviceProfile
    from edgesim.study.calibration.rows import MeasuredRow
    from edgesim.study.calibration.works import Works

_DIGITS = 5  # of fitted numbers as they are written; the errors are those of the written numbers


@dataclass(frozen=True, slots=True)
class Compared:
    """A measured row and what the fitted profile says of it, in s."""

    row: MeasuredRow
    predicted_s: float

    @property
    def error(self) -> float:
        """Predicted / measured - 1."""
        return self.predicted_s / self.row.latency_s - 1


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was fitted for a device, and how it compares with each of its rows."""

    device: str
    base: str
    profile: DeviceProfile
    compute: Roofline
    numbers: tuple[FittedNumber, ...]
    rows: tuple[Compared, ...]

    def errors(self, use: str) -> list[float]:
        """Return the absolute relative errors of the rows of one use."""
        return [abs(one.error) for one in self.rows if one.row.use == use]


def calibrate(rows: Sequence[MeasuredRow], works: Works, base: str, free: Sequence[Free]) -> list[Calibrated]:
    """Fit a profile for each device to its rows of use ``fit``, and compare it with all of its rows.

    Rows of use ``predict`` have no influence on a fit.

    Parameters
    ----------
    rows : as read from a table.
    works : the layers of every network in it.
    base : catalog profile that every fit begins with; empty: the one called like the device.
    free : what is fitted.

    Raises
    ------
    PlanError
        When a device has too few rows to fit, is called like no profile, or several share a compute model that is fitted.
    """
    devices = list(dict.fromkeys(row.device for row in rows))
    shared = [one.name for one in free if one.name in {"half_rate", "serial_share"}]
    if shared and len(devices) > 1:
        raise PlanError(
            f"{', '.join(shared)} belongs to the compute model, which all devices of a scenario share, but there are rows of "
            f"{len(devices)} devices; calibrate one device at a time, or leave it out"
        )
    return [_calibrated(device, [row for row in rows if row.device == device], works, base, free) for device in devices]


def _calibrated(device: str, rows: Sequence[MeasuredRow], works: Works, base: str, free: Sequence[Free]) -> Calibrated:
    try:
        start = catalog_profile(base or device)
    except UnknownNameError as error:
        raise PlanError(
            f"{error}; name the profile from which memory, power and a start are taken with --base"
        ) from None
    works_of_rows = [divided(works[row.network], row.n) for row in rows]
    runs = [TimedWork(work, row.latency_s) for work, row in zip(works_of_rows, rows, strict=True) if row.use == "fit"]
    try:
        found = fit(runs, start, free)
    except PlanError as error:
        raise PlanError(f"device {device!r}: {error}") from None
    written = _rounded(found)
    compared = tuple(Compared(row, written.latency_s(work)) for work, row in zip(works_of_rows, rows, strict=True))
    return Calibrated(device, base or device, written.profile, written.compute, found.numbers, compared)


def _rounded(found: Fit) -> Fit:
    """Return a fit with the numbers as they are written."""
    profile, compute = found.profile, found.compute
    rounded = replace(
        profile,
        flop_per_s={name: _round(rate) for name, rate in profile.flop_per_s.items()},
        memory_bandwidth_byte_per_s=_round(profile.memory_bandwidth_byte_per_s),
        layer_overhead_s=_round(profile.layer_overhead_s),
    )
    return replace(
        found, profile=rounded, compute=Roofline(_round(compute.half_rate_flop), _round(compute.serial_share))
    )


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def profile_text(found: Sequence[Calibrated], table: str) -> str:
    """Return the fitted profiles as a file that a scenario takes with ``extends:``.

    Parameters
    ----------
    found : what was fitted.
    table : name of the table of latencies, for the source of the numbers.
    """
    lines = [
        f"# Fitted to rows of {table} by `edgesim calibrate`. A scenario takes it with `extends:` and the name of this file.",
        "profiles:",
    ]
    for one in found:
        errors = one.errors("predict") or one.errors("fit")
        kind = "predicted" if one.errors("predict") else "fitted"
        lines += [
            f"  {one.device}: # {len(one.errors('fit'))} rows fitted; {kind} rows: median error {median(errors):.1%}, worst {max(errors):.1%}",
            f"    extends: {one.base}",
            "    compute_rate:",
            *(f"      {name}: {show_exactly(rate, 'FLOP/s')}" for name, rate in one.profile.flop_per_s.items()),
            f"    memory_bandwidth: {show_exactly(one.profile.memory_bandwidth_byte_per_s, 'byte/s')}",
            f"    layer_overhead: {show_exactly(one.profile.layer_overhead_s, 's')}",
            f'    source: "{", ".join(number.name for number in one.numbers)}: fitted to {table}; all else as {one.base}"',
        ]
    compute = found[0].compute
    if compute != Roofline():
        lines += ["compute:", "  type: roofline"]
        lines += [f"  half_rate: {show_exactly(compute.half_rate_flop, 'FLOP')}"] if compute.half_rate_flop else []
        lines += [f"  serial_share: {compute.serial_share}"] if compute.serial_share else []
    return "\n".join(lines) + "\n"


def document(found: Sequence[Calibrated]) -> list[dict[str, Any]]:
    """Return what was fitted as plain data, in base units."""
    return [
        {
            "device": one.device,
            "base": one.base,
            "numbers": {
                number.name: {"value": number.value, "unit": number.unit, "low": number.low, "high": number.high}
                for number in one.numbers
            },
            "rows": [
                {
                    "network": row.row.network, "n": row.row.n, "use": row.row.use, "line": row.row.line,
                    "measured_s": row.row.latency_s, "predicted_s": row.predicted_s, "error": row.error,
                }
                for row in one.rows
            ],
        }
        for one in found
    ]  # fmt: skip


def shown(value: float | None, unit: str) -> str:
    """Return a number for a table; what is not determined is a dash."""
    if value is None:
        return "-"
    return f"{value:.3g}" if unit == "1" else show(value, unit)
