"""Computation time when several cores of a device work on one layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from edgesim.compute.roofline import FLOAT_BIT, moved_byte, rate_of
from edgesim.domain.bounds import not_negative, one_of, positive, whole
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import Cores, DeviceProfile, Topology
from edgesim.errors import PlanError

Use = Literal["fastest", "all"]
"""How many cores work on a layer: as many as make it fastest, or all."""
ALONE = Cores(1)
"""What a profile without `cores` has."""
OPERAND_BYTE_PER_FLOP = 4.0
"""A multiply-add is two FLOP and reads two float32."""
TILE_BYTE = 12.0
"""Three tiles, of both operands and of the result, in float32: so many bytes for each value of one tile."""


@dataclass(frozen=True, slots=True)
class MultiCore:
    """Several cores of a device divide each layer; they interrupt one another to do so, and share the memories beyond their own.

    The cores, their memories and the time that dividing takes are those of the device's profile (`cores`), and its rates those of one
    core. Devices whose profile has no `cores` compute by the roofline. A device computes one step at a time, so that devices must not
    have `cores` of their own besides: the same cores would be counted twice.

    Parameters
    ----------
    cores : most cores, of every device, that work on a layer; by default all of its profile.
    use : ``fastest`` gives each layer as many cores as make it fastest, fewer where several numbers do; ``all`` always gives it all.
    used_width : multiply-adds that the program begins in a cycle of a core: fewer than the profile's `vector_width` when it uses no
        vectors, and fewer than 1 when each waits for the one before; by default all.
    tiles : whether the program computes tile by tile in the local and the shared memory; else each multiply-add reads from main memory.
    serial_share : share of the arithmetic that only one core does, 0 to 1.
    weight_bits : bits of a weight in memory, as of the model roofline.

    Formula
    -------
    Of a layer on n cores: t_n + t_0 + max(F v / (R u) (s + (1 - s) / n), Q_d / W, Q_s / W_s), with F its work, R the rate of one core
    for its operator class, v = `vector_width` of the profile, u = `used_width`, s = `serial_share`, t_0 the overhead per layer; t_1 = 0
    and t_n = `synchronisation` + (n - 1) `interrupt` of the profile for n > 1. W and W_s are the bandwidths of the main and the
    shared memory.
    Traffic: Q(M) = max(B, 4 F / b) byte with B the bytes that the layer moves when each moves once, b = max(1, sqrt(M / 12)) the side of
    square tiles of which three lie in M byte; Q_d = Q(shared memory), or Q(local memory) without one, Q_s = Q(local memory). Without
    `tiles` b = 1 and all of it comes from the main memory. Layers other than convolutions and matrix products move B; so do all where
    the profile has no memories.

    Validity
    --------
    As of the roofline; a layer divides into pieces of one size for any number of cores. Tiles are those of a matrix product, the form into
    which convolutions are brought; memory traffic and arithmetic overlap, as with two buffers and a DMA. Caches are not modelled: a
    program without tiles finds some operands in them. Power does not depend on how many cores work.

    References
    ----------
    Divided layers, interrupts and small convolutions that do not gain: Zeng et al., Optimizing convolution neural network on the TI C6678
    multicore DSP, 2018 (abstract). Traffic of tiles: J.-W. Hong, H. T. Kung, I/O complexity: the red-blue pebble game, STOC 1981,
    doi 10.1145/800076.802486. Serial share: G. M. Amdahl, AFIPS 1967, doi 10.1145/1465482.1465560. Together in a roofline: ours.

    Examples
    --------
    >>> profile = DeviceProfile("dsp", {"conv": 1e9}, 1e9, 0, 2**20, 0, 0, 0, 0, "assumed", Cores(8, interrupt_s=1e-4))
    >>> large, small = LayerWork("conv1", "conv", 8e6, 3e5), LayerWork("conv2", "conv", 1e5, 3e4)
    >>> [MultiCore().n_cores(layer, profile) for layer in (large, small)]
    [8, 1]
    >>> round(1e3 * MultiCore().duration_s(Compute("conv1", "w1", (large,)), profile), 3)  # in ms: 8 / 8 + 7 x 0.1
    1.7
    """

    cores: Annotated[int, Ge(1)] | None = None
    use: Use = "fastest"
    used_width: Annotated[float, Gt(0)] | None = None
    tiles: bool = True
    serial_share: Annotated[float, Ge(0), Le(1)] = 0.0
    weight_bits: Annotated[float, Gt(0), Le(32)] = FLOAT_BIT

    def __post_init__(self) -> None:
        subject = "a multi-core device"
        whole(subject, 1, cores=1 if self.cores is None else self.cores)
        one_of(subject, Use, use=self.use)
        not_negative(subject, serial_share=self.serial_share)
        positive(subject, weight_bits=self.weight_bits, used_width=1.0 if self.used_width is None else self.used_width)
        if self.serial_share > 1 or self.weight_bits > FLOAT_BIT:
            raise PlanError("a multi-core device has a serial_share of at most 1 and at most 32 weight_bits")

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when no profile has cores, has fewer or narrower ones than are asked for, or a device counts its own."""
        several = [device for device in topology.devices if device.profile.cores is not None]
        if not several:
            raise PlanError(
                "compute multi-core needs a device whose profile has `cores`; take profile ti-c6678, or write "
                "e.g. `profiles: {board: {extends: phone, cores: {count: 4}}}`"
            )
        twice = [device.device_id for device in several if device.n_cores > 1]
        if twice:
            raise PlanError(
                f"compute multi-core gives all cores of a profile to each computation, but {', '.join(twice[:5])} "
                f"{'have' if len(twice) > 1 else 'has'} `cores` for computations side by side; leave one of the two out"
            )
        for device in several:
            cores = device.profile.cores or ALONE
            for key, asked, has in (
                ("cores", self.cores, cores.n_cores),
                ("used_width", self.used_width, cores.vector_width),
            ):
                if asked is not None and asked > has:
                    raise PlanError(
                        f"compute multi-core has {key} {asked:g}, but profile {device.profile.name!r} of {device.device_id} has {has:g}; "
                        f"expected at most that"
                    )

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        """Return the time in s that `step` occupies a device of that profile.

        Raises
        ------
        PlanError
            When the profile has no rate for an operator class of the step.
        """
        return step.fixed_s + sum(self.divided_s(layer, profile, self.n_cores(layer, profile)) for layer in step.work)

    def n_cores(self, layer: LayerWork, profile: DeviceProfile) -> int:
        """Return how many cores work on a layer. Raises `PlanError` as `duration_s` does."""
        n_has = (profile.cores or ALONE).n_cores
        n_most = n_has if self.cores is None else min(self.cores, n_has)
        if self.use == "all":
            return n_most
        return min(range(1, n_most + 1), key=lambda n_cores: self.divided_s(layer, profile, n_cores))

    def divided_s(self, layer: LayerWork, profile: DeviceProfile, n_cores: int) -> float:
        """Return the time of one layer on so many cores, in s. Raises `PlanError` as `duration_s` does."""
        cores = profile.cores or ALONE
        width = cores.vector_width if self.used_width is None or profile.cores is None else self.used_width
        share = self.serial_share + (1.0 - self.serial_share) / n_cores
        arithmetic_s = layer.work_flop * cores.vector_width / (rate_of(layer, profile) * width) * share
        memory_s = self._memory_s(layer, profile, cores)
        return max(arithmetic_s, memory_s) + cores.division_s(n_cores) + profile.layer_overhead_s

    def _memory_s(self, layer: LayerWork, profile: DeviceProfile, cores: Cores) -> float:
        local_byte = cores.local_memory_byte if self.tiles else 0.0
        main_byte = once_byte = moved_byte(layer, self.weight_bits)
        shared_s = 0.0
        if cores.local_memory_byte is not None and local_byte is not None and layer.operator != "other":
            outer_byte = local_byte
            if self.tiles and cores.shared_memory_byte is not None and cores.shared_bandwidth_byte_per_s is not None:
                outer_byte = cores.shared_memory_byte
                shared_s = max(once_byte, _read_byte(layer, local_byte)) / cores.shared_bandwidth_byte_per_s
            main_byte = max(once_byte, _read_byte(layer, outer_byte))
        return max(main_byte / profile.memory_bandwidth_byte_per_s, shared_s)


def _read_byte(layer: LayerWork, memory_byte: float) -> float:
    """Return what the operands of a layer come to when they are read for each tile that fits a memory, in byte."""
    return OPERAND_BYTE_PER_FLOP * layer.work_flop / max(1.0, sqrt(memory_byte / TILE_BYTE))
