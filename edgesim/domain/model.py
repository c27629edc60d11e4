"""What a network costs, layer by layer, and the data it is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.domain.bounds import all_of, named, not_negative, whole
from edgesim.errors import DataError, PlanError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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


@dataclass(frozen=True, slots=True)
class Split:
    """Samples and labels: `inputs` of shape (n, channels, height, width), float32; `labels` of shape (n,), int64."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise PlanError(f"a split has {len(self.inputs)} samples and {len(self.labels)} labels; each needs one")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def largest_share(self) -> float:
        """Share of the most frequent label: the accuracy of answering the same to every sample."""
        import numpy as np

        return float(np.unique(self.labels, return_counts=True)[1].max() / len(self))


@dataclass(frozen=True, slots=True)
class Dataset:
    """A classification data set in three disjoint splits.

    Training sees `train` only; model selection, filter activations and fitted heads see `validation`; every reported
    accuracy is of `test`, which nothing else touches.

    Parameters
    ----------
    name : as registered, with options.
    train, validation, test : the splits.
    n_classes : number of classes.
    licence, source : where it comes from.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    n_classes: int
    licence: str
    source: str

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of a sample.

        Raises
        ------
        DataError
            When samples are no images.
        """
        shape = self.train.inputs.shape[1:]
        if len(shape) != 3 or 0 in shape:
            raise DataError(
                f"{self.name}: samples have shape {shape}; expected images of shape (channels, height, width): what is no image is "
                "brought to that form, a series of n values to (1, 1, n)"
            )
        channels, height, width = shape
        return channels, height, width
