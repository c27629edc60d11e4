"""What a network costs, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The cost of one layer for one sample, counted from the real module.

    Parameters
    ----------
    layer_id : name of its node in the traced module.
    operator : operator class, one of `edgesim.domain.topology.OPERATORS`.
    output_shape : without the batch axis.
    work_flop : arithmetic work, in FLOP (a multiply-add is two).
    weight_byte : parameters and buffers, in byte.
    input_byte, output_byte : tensors read and written, in byte.
    """

    layer_id: str
    operator: str
    output_shape: tuple[int, ...]
    work_flop: float
    weight_byte: int
    input_byte: int
    output_byte: int


@dataclass(frozen=True, slots=True)
class ModelGraph:
    """All layers of a network in order of execution.

    Parameters
    ----------
    layers : in order of execution.
    input_byte : one input sample, in byte.
    peak_activation_byte : the largest sum of tensors alive at once, in byte.
    """

    layers: tuple[LayerCost, ...]
    input_byte: int
    peak_activation_byte: int

    @property
    def work_flop(self) -> float:
        """Arithmetic work of one inference, in FLOP."""
        return sum(layer.work_flop for layer in self.layers)

    @property
    def weight_byte(self) -> int:
        """Parameters and buffers, in byte."""
        return sum(layer.weight_byte for layer in self.layers)
