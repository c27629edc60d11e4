"""The kernels of a cut network, by its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.nn.kernels.cut.boxes import BoxesKernel
from edgesim.nn.kernels.cut.owner import OwnerKernel
from edgesim.nn.kernels.cut.shares import CodedKernel, EntriesKernel

if TYPE_CHECKING:
    from edgesim.interfaces import Kernel
    from edgesim.nn.kernels.cut.stages import Cut


def kernels_of(cut: Cut) -> dict[str, Kernel]:
    """Return what devices compute of a cut network, by the ids of the computations."""
    made: dict[str, Kernel] = {}
    kept: tuple[str, ...] = ()
    for number in range(len(cut.ids) + 1):
        owner = OwnerKernel(cut, number, kept)
        made[cut.ids[number - 1].join if number else cut.ids[0].before] = owner
        kept = owner.keeps
        if number < len(cut.ids):
            made |= _of_devices(cut, number, kept)
    return made


def _of_devices(cut: Cut, number: int, kept: tuple[str, ...]) -> dict[str, Kernel]:
    made: dict[str, Kernel] = {}
    for (device, phase), step_id in cut.ids[number].computes.items():
        if cut.divided(number) is not None:
            made[step_id] = EntriesKernel(cut, number, device, kept)
        elif cut.coded(number) is not None:
            made[step_id] = CodedKernel(cut, number, device)
        else:
            made[step_id] = BoxesKernel(cut, number, device, phase, kept)
    return made
