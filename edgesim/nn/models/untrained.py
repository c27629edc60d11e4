"""Networks of which only the cost matters: shapes in place of data, and VGG-16 as published. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Len

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.errors import DataError
from edgesim.nn.models.shapes import image, vector
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec
    from edgesim.interfaces import ModelBuilder
    from edgesim.nn.train.training import TrainedNetwork

Extent = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True)
class ShapeOnly:
    """No samples, only their shape: the network is not trained and its accuracy is not asked.

    Everything else of a study works: plans, traffic, latency, energy, memory, failures. Weights are not even allocated, so
    VGG-16 takes no memory. Strategies that learn from data refuse it.

    Parameters
    ----------
    input : of a sample: channels, height and width of an image, or any other axes; of a text its length in tokens, with `values`.
    classes : number of classes.
    values : of an input of tokens: how many different ones there are. Without it, inputs are float numbers.
    """

    input: Annotated[tuple[Extent, ...], Len(1)]
    classes: Extent
    values: Extent | None = None

    def load(self) -> Dataset:
        """Return three empty splits."""
        import numpy as np

        name = "tokens" if self.values is not None else "images" if len(self.input) == 3 else "inputs"
        dtype = np.float32 if self.values is None else np.int64
        split = Samples({name: np.empty((0, *self.input), dtype)}, np.empty(0, np.int64))
        n_values = {} if self.values is None else {name: self.values}
        task = Classification(self.classes)
        return Dataset("shape-only", split, split, split, task, "none", "none", n_values=n_values)


@dataclass(frozen=True, slots=True)
class VGG16:
    """VGG-16 as published (configuration D), with three linear layers: 138 M parameters, 15.5 G multiply-adds at 224x224.

    Thirteen 3x3 convolutions with bias and ReLU, five 2x2 max poolings, linear layers of 4096, 4096 and n outputs with ReLU
    between. Layers are called ``conv1_1`` ... ``conv5_3``, ``relu1_1`` ..., ``pool1`` ..., ``fc6``, ``fc7``, ``fc8``. The model
    ``vgg`` is its smaller relative with normalisation and one linear layer.

    References
    ----------
    K. Simonyan, A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, arXiv 1409.1556.
    """

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When the image has fewer than 32 pixels to a side.
        """
        from edgesim.nn.models.networks import vgg16

        shape = image("vgg16", inputs)
        if min(shape[1:]) < 32:
            raise DataError(
                f"vgg16 halves the image five times; {shape[1]}x{shape[2]} pixels are too few; use model 'vgg'"
            )
        return vgg16(shape, vector("vgg16", output))

    def filter_layer(self) -> str:
        """Return the name of the last ReLU of the convolutions."""
        return "relu5_3"


@dataclass(frozen=True, slots=True)
class DecoderToken:
    """What a decoder of the Llama kind does for one token: matrix products, norms and attention to the token itself.

    Only its cost matters: the input stands for an embedded token (give ``input: [1, 1, width]``), the classes are the vocabulary.
    Layers of block i are called ``blocks.i.q``, ``k``, ``v``, ``o``, ``w1``, ``w2``, ``w3``; the last one is ``classifier``.

    Parameters
    ----------
    blocks : decoder blocks.
    hidden : units of the feed-forward part.
    heads, kv_heads : heads of queries, and of keys and values.

    Validity
    --------
    Short contexts: reading the keys and values of earlier tokens is left out.

    References
    ----------
    H. Touvron et al., Llama 2, arXiv 2307.09288.
    """

    kind_of_samples: ClassVar[SampleKind] = "tokens of a decoder"
    blocks: Extent
    hidden: Extent
    heads: Extent
    kv_heads: Extent

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network. Raises `DataError` when the width is not divisible by the heads."""
        from edgesim.nn.models.networks import decoder_token

        *_, width = image("decoder-token", inputs)
        if width % self.heads or self.heads % self.kv_heads:
            raise DataError(
                f"decoder-token: a width of {width} is no multiple of {self.heads} heads, or they of {self.kv_heads} kv_heads"
            )
        n_tokens = vector("decoder-token", output)
        options = {"blocks": self.blocks, "hidden": self.hidden, "heads": self.heads, "kv_heads": self.kv_heads}
        return decoder_token(width, n_tokens, **options)

    def filter_layer(self) -> None:
        """Return None: no layer is divided into parts."""


def untrained(builder: ModelBuilder, dataset: Dataset) -> TrainedNetwork:
    """Return a network whose weights are not allocated: enough for plans, which depend on shapes only."""
    import torch

    from edgesim.nn.train.training import TrainedNetwork

    with torch.device("meta"):
        network = builder.build(dataset.inputs, dataset.task.output)
    return TrainedNetwork(network.eval(), "untrained", {})
