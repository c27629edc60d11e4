"""What a network costs, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.domain.bounds import all_of, named, not_negative, whole


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The cost of one layer for one sample, counted from the real module.

    Parameters
    ----------
    layer_id : name of its node in the traced module.
    operator : operator class, one of `edgesim.domain.system.topology.OPERATORS`.
    output_shape : without the batch axis.
    work_flop : arithmetic work, in FLOP (a multiply-add is two).
    weight_byte : parameters and buffers, in byte.
    input_byte, output_byte : tensors read and written, in byte.
    kind : what it computes, more closely than its class, e.g. ``"conv2d 3x3"`` or ``"gelu"``; empty where nobody says.
    """

    layer_id: str
    operator: str
    output_shape: tuple[int, ...]
    work_flop: float
    weight_byte: int
    input_byte: int
    output_byte: int
    kind: str = ""

    def __post_init__(self) -> None:
        named("a layer", layer_id=self.layer_id, operator=self.operator)
        subject = f"layer {self.layer_id!r}"
        not_negative(subject, work_flop=self.work_flop)
        whole(subject, 0, weight_byte=self.weight_byte, input_byte=self.input_byte, output_byte=self.output_byte)


@dataclass(frozen=True, slots=True)
class ModelGraph:
    """All layers of a network in order of execution.

    Parameters
    ----------
    layers : in order of execution.
    input_byte : one input sample, in byte.
    peak_activation_byte : the largest sum of tensors alive at once, in byte.

    Examples
    --------
    >>> one = LayerCost("one", "linear", (3,), 12.0, 36, 8, 12)  # 2 x 3 multiply-adds; 6 weights and 3 biases of 4 byte
    >>> two = LayerCost("two", "linear", (1,), 6.0, 16, 12, 4)
    >>> graph = ModelGraph((one, two), input_byte=8, peak_activation_byte=20)
    >>> graph.work_flop, graph.weight_byte
    (18.0, 52)
    """

    layers: tuple[LayerCost, ...]
    input_byte: int
    peak_activation_byte: int

    def __post_init__(self) -> None:
        all_of("a network", LayerCost, layers=self.layers)
        whole("a network", 0, input_byte=self.input_byte, peak_activation_byte=self.peak_activation_byte)

    @property
    def work_flop(self) -> float:
        """Arithmetic work of one inference, in FLOP."""
        return sum(layer.work_flop for layer in self.layers)

    @property
    def weight_byte(self) -> int:
        """Parameters and buffers, in byte."""
        return sum(layer.weight_byte for layer in self.layers)
