"""Computation time by the roofline of a device."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.domain.plan import Compute
from edgesim.domain.system.topology import DeviceProfile
from edgesim.errors import PlanError


@dataclass(frozen=True, slots=True)
class Roofline:
    """Each layer takes as long as its arithmetic or its memory traffic, whichever is longer, plus a fixed overhead.

    The time of a step is the sum over its layers of ``max(F / R_o, B / W) + t_0`` with F the layer's work in FLOP, R_o the
    device's sustained rate for the layer's operator class in FLOP/s, B the bytes moved (input, weights and output, each
    once), W the memory bandwidth in byte/s and t_0 the overhead per layer in s, plus the fixed time of the step. A step
    without either takes no time.

    Valid for one inference at a time on an otherwise idle device with rates measured for layers of similar size: small
    layers reach less than the sustained rate, and tensors that stay in a cache move faster than W.

    References
    ----------
    S. Williams, A. Waterman, D. Patterson, Roofline: an insightful visual performance model for multicore architectures,
    Communications of the ACM 52(4):65-76, 2009, doi 10.1145/1498765.1498785. Per layer and with t_0 added: ours.

    Examples
    --------
    >>> from edgesim.domain.plan import LayerWork
    >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e8, 0.001, 2**20, 0, 0, 0, 0, "assumed")
    >>> step = Compute("conv1", "w1", (LayerWork("conv1", "conv", work_flop=4e6, moved_byte=3e5),))
    >>> Roofline().duration_s(step, profile)  # max(4 ms, 3 ms) + 1 ms
    0.005
    """

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        """Return the time in s that `step` occupies a device of that profile.

        Raises
        ------
        PlanError
            When the profile has no rate for an operator class of the step.
        """
        total_s = step.fixed_s
        for layer in step.work:
            rate = profile.flop_per_s.get(layer.operator)
            if rate is None:
                raise PlanError(
                    f"device profile {profile.name!r} has no rate for operator class {layer.operator!r}, which layer "
                    f"{layer.layer_id!r} needs; add it to the profile's flop_per_s"
                )
            memory_s = layer.moved_byte / profile.memory_bandwidth_byte_per_s
            total_s += max(layer.work_flop / rate, memory_s) + profile.layer_overhead_s
        return total_s
