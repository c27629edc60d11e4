"""What the transfers of a stage are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesim.nn.cut.stages import Stage


def scatter_id(stage: Stage, device_id: str) -> str:
    """Return the id of the transfer of what a device needs for a stage."""
    return f"{stage.name}/scatter/{device_id}"


def exchange_id(stage: Stage, phase: int, src_id: str, dst_id: str) -> str:
    """Return the id of a transfer between two devices of a stage."""
    return f"{stage.name}/exchange{phase}/{src_id}/{dst_id}"


def gather_id(stage: Stage, device_id: str) -> str:
    """Return the id of the transfer of what a device computed in a stage."""
    return f"{stage.name}/gather/{device_id}"
