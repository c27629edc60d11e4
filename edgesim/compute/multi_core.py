"""Computation time when all cores of a device work on one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from edgesim.compute.roofline import FLOAT_BIT, moved_byte, rate_of
from edgesim.domain.bounds import not_negative, positive, whole
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import DeviceProfile, Topology
from edgesim.errors import PlanError
from edgesim.units import Seconds


@dataclass(frozen=True, slots=True)
class MultiCore:
    """Several cores work on each layer together; a part of its arithmetic is serial, and all share one memory.

    The rates of the profile are those of one core. A device computes one step at a time with all of its cores, so that devices must
    not have `cores` of their own: the same cores would be counted twice.

    Parameters
    ----------
    cores : cores, of every device, that work on a layer.
    serial_share : share of the arithmetic that only one core does, 0 to 1.
    synchronisation_s : time per layer in which the cores wait for one another, in s; none with one core.
    weight_bits : bits of a weight in memory, as of the model roofline.

    Formula
    -------
    Of a layer: max(F / R (s + (1 - s) / c), M) + t_0 + y, with F its work, R the rate of one core for its operator class, s =
    `serial_share`, c = `cores`, M the time of its memory traffic as in the roofline, t_0 the overhead per layer of the profile and
    y = `synchronisation_s` for c > 1.

    Validity
    --------
    As of the roofline. The memory bandwidth of the profile is that of all cores together; one core alone often reaches less.

    References
    ----------
    G. M. Amdahl, Validity of the single processor approach to achieving large scale computing capabilities, AFIPS 1967,
    doi 10.1145/1465482.1465560. Per layer, inside a roofline: ours.

    Examples
    --------
    >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.001, 2**20, 0, 0, 0, 0, "assumed")
    >>> step = Compute("conv1", "w1", (LayerWork("conv1", "conv", work_flop=8e6, moved_byte=3e5),))
    >>> round(1e3 * MultiCore(cores=4, serial_share=0.2).duration_s(step, profile), 3)  # in ms: 8 ms x (0.2 + 0.8 / 4) + 1 ms
    4.2
    """

    cores: Annotated[int, Ge(1)] = 4
    serial_share: Annotated[float, Ge(0), Le(1)] = 0.0
    synchronisation_s: Seconds = 0.0
    weight_bits: Annotated[float, Gt(0), Le(32)] = FLOAT_BIT

    def __post_init__(self) -> None:
        whole("a multi-core device", 1, cores=self.cores)
        not_negative("a multi-core device", serial_share=self.serial_share, synchronisation_s=self.synchronisation_s)
        positive("a multi-core device", weight_bits=self.weight_bits)
        if self.serial_share > 1 or self.weight_bits > FLOAT_BIT:
            raise PlanError("a multi-core device has a serial_share of at most 1 and at most 32 weight_bits")

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when a device has cores of its own, which would be counted twice."""
        twice = [device.device_id for device in topology.devices if device.n_cores > 1]
        if self.cores > 1 and twice:
            raise PlanError(
                f"compute multi-core gives all {self.cores} cores to each computation, but {', '.join(twice[:5])} "
                f"{'have' if len(twice) > 1 else 'has'} `cores` for computations side by side; leave one of the two out"
            )

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        """Return the time in s that `step` occupies a device of that profile.

        Raises
        ------
        PlanError
            When the profile has no rate for an operator class of the step.
        """
        return step.fixed_s + sum(self._layer_s(layer, profile) for layer in step.work)

    def _layer_s(self, layer: LayerWork, profile: DeviceProfile) -> float:
        share = self.serial_share + (1.0 - self.serial_share) / self.cores
        arithmetic_s = layer.work_flop / rate_of(layer, profile) * share
        memory_s = moved_byte(layer, self.weight_bits) / profile.memory_bandwidth_byte_per_s
        wait_s = self.synchronisation_s if self.cores > 1 else 0.0
        return max(arithmetic_s, memory_s) + profile.layer_overhead_s + wait_s
