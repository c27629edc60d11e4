"""Computation time by the roofline of a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from edgesim.domain.bounds import not_negative, positive
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import DeviceProfile
from edgesim.errors import PlanError
from edgesim.units import Quantity

FLOAT_BIT = 32.0
"""Bits of a weight as networks hold it."""


@dataclass(frozen=True, slots=True)
class Roofline:
    """Each layer takes as long as its arithmetic or its memory traffic, whichever is longer, plus a fixed overhead.

    The rates, the memory bandwidth and the overhead are those of the device's profile. The options describe what else a real device
    does; by default none of them applies.

    Parameters
    ----------
    half_rate_flop : work with which a layer, or its piece, reaches half of the rate; less work reaches less, more work more.
    serial_share : share of the shorter of arithmetic and memory traffic that does not overlap with the longer one, 0 to 1.
    weight_bits : bits of a weight in memory: 32 as the network has them, 8 and 4 when they are quantised (with a scale of 16 bits for
        32 weights 8.5 and 4.5). Only times change: messages, the memory of a plan and answers remain those of float32.

    Formula
    -------
    Of a layer: A = (F + h) / R with F its work in FLOP, h = `half_rate_flop`, R the device's rate for its operator class in FLOP/s (A = 0
    for F = 0); M = (B - (1 - q / 32) V) / W with B the bytes moved (input, weights and output, each once), V those of the weights,
    q = `weight_bits`, W the memory bandwidth in byte/s; time = max(A, M) + s min(A, M) + t_0 with s = `serial_share` and t_0 the overhead
    per layer. A step takes the sum over its layers and its fixed time; without either it takes no time.

    Validity
    --------
    One inference at a time on an otherwise idle device, with rates measured for layers of similar size: small layers reach less than
    the sustained rate, which `half_rate_flop` describes, and tensors that stay in a cache move faster than W.

    References
    ----------
    S. Williams, A. Waterman, D. Patterson, Roofline: an insightful visual performance model for multicore architectures,
    Communications of the ACM 52(4):65-76, 2009, doi 10.1145/1498765.1498785. Half rate: R. W. Hockney, C. R. Jesshope, Parallel
    Computers 2, 1988 (their n_1/2). Per layer, with t_0 and with s: ours.

    Examples
    --------
    >>> from edgesim.domain.plan import LayerWork
    >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e8, 0.001, 2**20, 0, 0, 0, 0, "assumed")
    >>> step = Compute("conv1", "w1", (LayerWork("conv1", "conv", work_flop=4e6, moved_byte=3e5, weight_byte=2e5),))
    >>> Roofline().duration_s(step, profile)  # max(4 ms, 3 ms) + 1 ms
    0.005
    >>> round(1e3 * Roofline(1e6, 1.0, weight_bits=8).duration_s(step, profile), 3)  # in ms: 5 + 1.5 + 1
    7.5
    """

    half_rate_flop: Annotated[float, Quantity("FLOP")] = 0.0
    serial_share: Annotated[float, Ge(0), Le(1)] = 0.0
    weight_bits: Annotated[float, Gt(0), Le(32)] = FLOAT_BIT

    def __post_init__(self) -> None:
        not_negative("a roofline", half_rate_flop=self.half_rate_flop, serial_share=self.serial_share)
        positive("a roofline", weight_bits=self.weight_bits)
        if self.serial_share > 1 or self.weight_bits > FLOAT_BIT:
            raise PlanError("a roofline has a serial_share of at most 1 and at most 32 weight_bits")

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        """Return the time in s that `step` occupies a device of that profile.

        Raises
        ------
        PlanError
            When the profile has no rate for an operator class of the step.
        """
        total_s = step.fixed_s
        for layer in step.work:
            total_s += self.layer_s(layer, profile)
        return total_s

    def layer_s(self, layer: LayerWork, profile: DeviceProfile) -> float:
        """Return the time of one layer in s. Raises `PlanError` as `duration_s` does."""
        work_flop = layer.work_flop + self.half_rate_flop if layer.work_flop else 0.0
        arithmetic_s = work_flop / rate_of(layer, profile)
        memory_s = moved_byte(layer, self.weight_bits) / profile.memory_bandwidth_byte_per_s
        longer_s = max(arithmetic_s, memory_s)
        if self.serial_share:
            longer_s += self.serial_share * min(arithmetic_s, memory_s)
        return longer_s + profile.layer_overhead_s


def rate_of(layer: LayerWork, profile: DeviceProfile) -> float:
    """Return the rate of a profile for a layer, in FLOP/s.

    Raises
    ------
    PlanError
        When the profile has none for its operator class.
    """
    rate = profile.flop_per_s.get(layer.operator)
    if rate is None:
        raise PlanError(
            f"device profile {profile.name!r} has no rate for operator class {layer.operator!r}, which layer "
            f"{layer.layer_id!r} needs; add it to the profile's flop_per_s"
        )
    return rate


def moved_byte(layer: LayerWork, weight_bits: float) -> float:
    """Return the bytes that a layer moves when its weights have so many bits in place of 32.

    Examples
    --------
    >>> moved_byte(LayerWork("fc", "linear", 2e3, moved_byte=5000.0, weight_byte=4000.0), 8)
    2000.0
    """
    return layer.moved_byte - layer.weight_byte * (1.0 - weight_bits / FLOAT_BIT)
