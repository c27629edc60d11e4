"""Times of repetitions on a machine that others use too, and what state it is in."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

LOW = 0.05
"""Quantile of the repetitions that is given as the time: what disturbs a measurement makes it longer, never shorter."""
now_s = time.thread_time
"""The clock: time in which this thread had a processor, in s. On an idle machine that is the time on the wall; on one that others use, waiting for
a processor is not in it."""
_SYSTEM = Path("/sys")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc
_NEVER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Timed:
    """What repetitions of the same took, in s: the 5 % quantile, the median, and how many there were."""

    low_s: float
    median_s: float
    n: int

    @property
    def spread(self) -> float:
        """How much longer the median is, as a share of the low quantile: the noise of the machine."""
        return self.median_s / self.low_s - 1 if self.low_s else 0.0


def timed(times_s: Sequence[float]) -> Timed:
    """Return the quantiles of repetitions.

    >>> timed([0.25, 0.5, 1.0])
    Timed(low_s=0.275, median_s=0.5, n=3)
    """
    low_s, median_s = np.quantile(times_s, [LOW, 0.5])
    return Timed(round(float(low_s), 12), round(float(median_s), 12), len(times_s))


@dataclass(frozen=True, slots=True)
class Conditions:
    """The state of the machine after a measurement.

    Parameters
    ----------
    processor_share : share of the measurement in which this process had a processor; below 1 others took it away.
    temperature_c : highest temperature that the system tells, in degrees Celsius; None where it tells none.
    clock_hz : clock of the first processor; None where the system does not tell it.
    """

    processor_share: float
    temperature_c: float | None
    clock_hz: float | None

    def __str__(self) -> str:
        temperature = "not told" if self.temperature_c is None else f"{self.temperature_c:.0f} C"
        clock = "not told" if self.clock_hz is None else f"{self.clock_hz / 1e9:.2f} GHz"
        return f"processor for {self.processor_share:.0%} of the time, temperature {temperature}, clock {clock}"


def clock_cost_s() -> float:
    """Return what reading the clock twice adds to every measured time, in s."""
    return timed([-now_s() + now_s() for _ in range(1000)]).median_s


class Watch:
    """Tells how long this process has been at work, by the wall and by the processor."""

    def __init__(self) -> None:
        self._wall_s, self._processor_s = time.perf_counter(), time.process_time()

    @property
    def elapsed_s(self) -> float:
        """Time since the start, in s."""
        return time.perf_counter() - self._wall_s

    def conditions(self) -> Conditions:
        """Return the state of the machine now, and the share of the processor since the start."""
        share = (time.process_time() - self._processor_s) / max(self.elapsed_s, 1e-9)
        return Conditions(min(share, 1.0), temperature_c(), clock_hz())


def temperature_c(system: Path = _SYSTEM) -> float | None:
    """Return the highest temperature of the thermal zones of Linux, in degrees Celsius; None without one."""
    found = [_number(path) for path in system.glob("class/thermal/thermal_zone*/temp")]
    return max((one / 1e3 for one in found if one is not None), default=None)


def clock_hz(system: Path = _SYSTEM, told: Path = Path("/proc/cpuinfo")) -> float | None:
    """Return the clock of the first processor as Linux tells it; None where it does not."""
    found = _number(system / "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")
    if found is not None:
        return found * 1e3
    try:
        lines = told.read_text(encoding="utf-8").splitlines()
        return next((float(line.split(":")[1]) * 1e6 for line in lines if line.startswith("cpu MHz")), None)
    except (OSError, ValueError):
        return None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch infer with one thread, as edgesim does, and put its number of threads back; see `keep_all_memory`."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    keep_all_memory()
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def keep_all_memory() -> None:
    """Let this process keep memory that it frees, as one that infers all the time does; it stays so.

    Otherwise glibc gives large tensors back to the system, or not, depending on what was freed before, and the time of a layer
    then has page faults in it or not. Systems with another C library are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
