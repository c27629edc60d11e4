"""What is known of Wi-Fi standards: rates by distance, and what a message costs; each number with its reference or "assumed".

The numbers stand in ``wifi.toml`` beside this file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources import files
from math import log10, pi
from typing import Any, Literal, get_args

Standard = Literal["802.11n", "802.11ac"]
STANDARDS: tuple[Standard, ...] = get_args(Standard)
LIGHT_M_PER_S = 299_792_458.0


@dataclass(frozen=True, slots=True)
class Radio:
    """A station of a Wi-Fi cell, and its channel.

    A station sends at the fastest rate whose sensitivity is at most what arrives,

        P_tx - L(d) - margin,   L(d) = 20 log10(4 pi min(d, b) f / c) + 10 x log10(max(d, b) / b),

    with breakpoint b and exponent x. Of this rate the efficiency is left for data; the rest are headers, gaps and acknowledgements.

    Parameters
    ----------
    frequency_hz, transmit_dbm, margin_db, breakpoint_m, exponent : f, P_tx, what fading and walls take, b, x.
    message_overhead_s : time per message that occupies the cell.
    efficiency : rate of data / rate on the air, of messages of many packets.
    contention : share by which a message takes longer per other device that waits.
    rates_bit_per_s, sensitivities_dbm : rates on the air, slowest first, and the least power for each.

    References
    ----------
    V. Erceg et al., TGn Channel Models, IEEE 802.11-03/940r4, 2004, model D; IEEE 802.11-2016. Messages: fitted to ns-3.
    """

    frequency_hz: float
    transmit_dbm: float
    margin_db: float
    breakpoint_m: float
    exponent: float
    message_overhead_s: float
    efficiency: float
    contention: float
    rates_bit_per_s: tuple[float, ...]
    sensitivities_dbm: tuple[float, ...]

    def path_loss_db(self, distance_m: float) -> float:
        """Return L(d); below 1 m as at 1 m."""
        near_m = min(max(distance_m, 1.0), self.breakpoint_m)
        far_db = 10 * self.exponent * log10(max(distance_m, self.breakpoint_m) / self.breakpoint_m)
        return 20 * log10(4 * pi * near_m * self.frequency_hz / LIGHT_M_PER_S) + far_db

    def rate_bit_per_s(self, distance_m: float) -> float | None:
        """Return the rate on the air, None out of reach.

        Examples
        --------
        >>> [radio("802.11n").rate_bit_per_s(distance_m) for distance_m in (5.0, 30.0, 100.0)]
        [65000000.0, 26000000.0, None]
        """
        power_dbm = self.transmit_dbm - self.margin_db - self.path_loss_db(distance_m)
        heard = zip(self.rates_bit_per_s, self.sensitivities_dbm, strict=True)
        return max((rate for rate, least_dbm in heard if power_dbm >= least_dbm), default=None)

    @property
    def reach_m(self) -> float:
        """The largest distance with a rate, by bisection."""
        near_m, far_m = 1.0, 1e6
        while far_m - near_m > 0.01:
            middle_m = (near_m + far_m) / 2
            near_m, far_m = (middle_m, far_m) if self.rate_bit_per_s(middle_m) is not None else (near_m, middle_m)
        return near_m


@lru_cache(maxsize=1)
def _read() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("edgesim.scenario.catalog").joinpath("wifi.toml").read_text(encoding="utf-8"))


@lru_cache
def radio(standard: Standard) -> Radio:
    """Return what is known of a standard."""
    numbers = _read()[standard]
    values: dict[str, Any] = {one.name: numbers[one.name] for one in fields(Radio)}
    lists: dict[str, Any] = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Radio(**(values | lists))


def summary(standard: Standard) -> str:
    """Return what the standard is taken to be, in a few words."""
    return str(_read()[standard]["summary"])


def references(standard: Standard) -> dict[str, str]:
    """Return where each number of a standard comes from, by field; ``"assumed"`` without a reference."""
    return dict(_read()[standard]["references"])
