"""Computation time as it was measured, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from edgesim.compute.roofline import Roofline
from edgesim.domain.bounds import named, one_of
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import DeviceProfile
from edgesim.errors import PlanError
from edgesim.units import Quantity, Seconds

Otherwise = Literal["refuse", "roofline"]
"""What becomes of a layer without a measurement."""


@dataclass(frozen=True, slots=True)
class LayerTime:
    """How long a layer took.

    Parameters
    ----------
    layer : its name, as `edgesim plan` shows it.
    work_flop : its arithmetic work when it was measured, in FLOP: that of the whole layer, or of a piece.
    time_s : what it took, in s.
    profile : name of the profile of the devices that it was measured on; empty: of all.
    """

    layer: str
    work_flop: Annotated[float, Quantity("FLOP")]
    time_s: Seconds
    profile: str = ""

    def __post_init__(self) -> None:
        named("a measured layer", layer=self.layer)
        if self.time_s < 0 or self.work_flop < 0:
            raise PlanError(f"measured layer {self.layer!r} has a time or work below 0")


@dataclass(frozen=True, slots=True)
class Measured:
    """Each layer takes as long as it was measured; a piece of it takes its share of the time.

    Measurements stand in the scenario, or in a table that is read with it.

    Parameters
    ----------
    times : what was measured. Several entries of one layer on one profile are pieces of it.
    file : table with columns ``layer``, ``work`` and ``time``, and optionally ``profile``, relative to the scenario, in place of `times`.
    otherwise : of layers that were not measured: ``refuse`` them, or take the time of the ``roofline``.

    Formula
    -------
    With the measured piece whose work G is nearest to F: t_0 + (t - t_0) F / G, with t the measured time, t_0 the overhead per layer of
    the profile, at most t. Work of 0 scales with nothing: then the time is t.

    Validity
    --------
    The device, the program and the sizes of the measurement, one inference at a time. A piece much smaller than what was measured
    uses a device less well than its share says: measure pieces of that size too.

    References
    ----------
    Ours; layer times measured on the device are what Y. Kang et al., Neurosurgeon, ASPLOS 2017, doi 10.1145/3037697.3037698, predict by
    regression.

    Examples
    --------
    >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.001, 2**20, 0, 0, 0, 0, "assumed")
    >>> half = Compute("conv1", "w1", (LayerWork("conv1", "conv", work_flop=4e6, moved_byte=3e5),))
    >>> round(Measured((LayerTime("conv1", 8e6, 0.005),)).duration_s(half, profile), 6)  # 1 ms + 4 ms / 2
    0.003
    """

    times: tuple[LayerTime, ...] = ()
    file: str = ""
    otherwise: Otherwise = "refuse"
    _by_name: dict[tuple[str, str], list[LayerTime]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.file:
            raise PlanError(
                "a table of layer times is read with its scenario and cannot be swept; write one scenario for each file, with `extends:`"
            )
        if not self.times:
            raise PlanError(
                "measured computation needs `times` of layers, or a `file` with the columns layer, work and time"
            )
        one_of("measured computation", Otherwise, otherwise=self.otherwise)
        by_name: dict[tuple[str, str], list[LayerTime]] = {}
        for one in self.times:
            by_name.setdefault((one.profile, one.layer), []).append(one)
        object.__setattr__(self, "_by_name", by_name)

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        """Return the time in s that `step` occupies a device of that profile.

        Raises
        ------
        PlanError
            When a layer was not measured, unless the roofline stands in for it.
        """
        return step.fixed_s + sum(self._layer_s(layer, profile) for layer in step.work)

    def _layer_s(self, layer: LayerWork, profile: DeviceProfile) -> float:
        found = self._by_name.get((profile.name, layer.layer_id)) or self._by_name.get(("", layer.layer_id))
        if found is None:
            if self.otherwise == "roofline":
                return Roofline().layer_s(layer, profile)
            raise PlanError(
                f"layer {layer.layer_id!r} was not measured on device profile {profile.name!r}; add its time, or write "
                "`otherwise: roofline`"
            )
        near = min(found, key=lambda one: abs(one.work_flop - layer.work_flop))
        if near.work_flop == 0.0:
            return near.time_s
        overhead_s = min(profile.layer_overhead_s, near.time_s)
        return overhead_s + (near.time_s - overhead_s) * layer.work_flop / near.work_flop
