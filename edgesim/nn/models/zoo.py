"""Network architectures as plug-ins. Importing this needs no torch; `build` does."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Len, Lt

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.places import FileName
from edgesim.errors import FOREIGN, DataError, ScenarioError
from edgesim.nn.models.lookup import find_class
from edgesim.nn.models.shapes import image, one_float, vector

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class SmallCNN:
    """Small convolutional network for small images: 3x3 convolutions, one max pooling, global average pooling, one linear layer.

    Each convolution (padding 1, no bias) is followed by batch normalisation and ReLU. The layers are called ``conv1``,
    ``bn1``, ``relu1``, ..., ``pool``, ..., ``average``, ``flatten``, ``classifier`` and run one after the other.

    Parameters
    ----------
    channels : output channels of the convolutions, in order; those of the last are the filters that student networks divide.
    pool_after : the 2x2 max pooling stands behind this convolution, counted from 1; 0 for none.
    """

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"
    channels: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (32, 32, 64)
    pool_after: Annotated[int, Ge(0)] = 2

    def __post_init__(self) -> None:
        if self.pool_after > len(self.channels):
            raise ScenarioError(
                f"pool_after is {self.pool_after}, but small-cnn has {len(self.channels)} convolutions; "
                f"choose 0 to {len(self.channels)}"
            )

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When the image is too small to be pooled.
        """
        from edgesim.nn.models.networks import small_cnn

        channels, height, width = image("small-cnn", inputs)
        if self.pool_after and min(height, width) < 2:
            raise DataError(f"an image of {height}x{width} pixels cannot be pooled; set pool_after: 0")
        return small_cnn(channels, self.channels, self.pool_after, vector("small-cnn", output))

    def filter_layer(self) -> str:
        """Return the name of the last ReLU: filters are read behind normalisation and ReLU, where activity is never negative."""
        return f"relu{len(self.channels)}"


@dataclass(frozen=True, slots=True)
class StridedCNN:
    """Convolutional network that shrinks the image by strides: 3x3 convolutions, global average pooling, one linear layer.

    Each convolution (padding 1, no bias) is followed by batch normalisation and ReLU; layers are called as in ``small-cnn``.
    On one processor core it trains fastest for its accuracy among the networks here: with channels 24-48-96-48 it has 99,000
    parameters and 2.2 M multiply-adds on CIFAR-100.

    Parameters
    ----------
    channels : output channels of the convolutions, in order; those of the last are the filters that student networks divide.
    strides : of each convolution.
    """

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"
    channels: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (24, 48, 96, 48)
    strides: tuple[Annotated[int, Ge(1)], ...] = (2, 2, 2, 1)

    def __post_init__(self) -> None:
        if len(self.strides) != len(self.channels):
            raise ScenarioError(
                f"strided-cnn has {len(self.channels)} channels but {len(self.strides)} strides; give one for each convolution"
            )

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator."""
        from edgesim.nn.models.networks import strided_cnn

        channels, _, _ = image("strided-cnn", inputs)
        return strided_cnn(channels, self.channels, self.strides, vector("strided-cnn", output))

    def filter_layer(self) -> str:
        """Return the name of the last ReLU, as in ``small-cnn``."""
        return f"relu{len(self.channels)}"


@dataclass(frozen=True, slots=True)
class WideResNet:
    """WideResNet-d-k for images of 32x32 pixels: three stages of 16k, 32k and 64k channels, (d - 4) / 6 blocks each.

    Blocks normalise before they convolve; the first convolution of stages 2 and 3 has stride 2; no convolution has a bias.
    WRN-16-1 has 0.18 M parameters, WRN-40-4 9.0 M.

    Parameters
    ----------
    depth : d, 6n + 4.
    width : k.
    dropout : share of activations between the two convolutions of a block that are dropped in training.

    References
    ----------
    S. Zagoruyko, N. Komodakis, Wide Residual Networks, BMVC 2016, arXiv 1605.07146.
    """

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"
    depth: Annotated[int, Ge(10)] = 16
    width: Annotated[int, Ge(1)] = 1
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def __post_init__(self) -> None:
        if (self.depth - 4) % 6:
            nearest = 4 + 6 * max(1, round((self.depth - 4) / 6))
            raise ScenarioError(f"the depth of a WideResNet is 6n + 4, not {self.depth}; nearest is {nearest}")

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator."""
        from edgesim.nn.models.networks import wide_resnet

        channels, _, _ = image("wrn", inputs)
        return wide_resnet(channels, self.depth, self.width, self.dropout, vector("wrn", output))

    def filter_layer(self) -> str:
        """Return the name of the last ReLU, behind the last block and its normalisation."""
        return "relu"


@dataclass(frozen=True, slots=True)
class VGG:
    """VGG-11, 13, 16 or 19 with batch normalisation, global average pooling and one linear layer instead of three.

    Convolutions are 3x3 with padding 1 and no bias. A pooling is left out where the map is smaller than 2 pixels.

    Parameters
    ----------
    depth : of the published family; the three linear layers it counts are one here.
    width : channels of the first convolution; 64 is the published one, later ones have up to eight times as many.

    References
    ----------
    K. Simonyan, A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, arXiv 1409.1556.
    """

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"
    depth: Literal[11, 13, 16, 19] = 11
    width: Annotated[int, Ge(1)] = 64

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator."""
        from edgesim.nn.models.networks import vgg

        channels, height, width = image("vgg", inputs)
        return vgg(channels, min(height, width), self.depth, self.width, vector("vgg", output))

    def filter_layer(self) -> str:
        """Return the name of the last ReLU."""
        return f"relu{self.depth - 3}"


@dataclass(frozen=True, slots=True)
class MLP:
    """Multi-layer perceptron for tables and other vectors: linear layers with ReLU between them.

    The layers are called ``linear1``, ``relu1``, ..., ``classifier`` and run one after the other; all linear layers have a bias.

    Parameters
    ----------
    hidden : units of the hidden layers, in order; those of the last are the filters that student networks divide.
    dropout : share of the activations behind each ReLU that is dropped in training.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations by back-propagating errors, Nature 323, 1986.
    """

    kind_of_samples: ClassVar[SampleKind] = "rows of numbers"
    hidden: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (64, 32)
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator."""
        from edgesim.nn.models.networks import mlp

        (n_inputs,) = one_float("mlp", inputs, ("features",))
        return mlp(n_inputs, self.hidden, self.dropout, vector("mlp", output))

    def filter_layer(self) -> str:
        """Return the name of the last ReLU."""
        return f"relu{len(self.hidden)}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A `torch.nn.Module` of your own, by import path.

    The class is made with the options; where it has parameters called ``input_shape`` (of the only input, without the batch axis),
    ``inputs`` (shapes by name), ``n_classes`` (numbers of an answer that is a vector) or ``output_shape``, these are passed too. Its
    forward method takes one input whatever its name, several by the names that the data set gives them. It is looked up where Python finds modules, and in the working directory.

    Parameters
    ----------
    target : ``"package.module:Class"``, a subclass of `torch.nn.Module`; nothing else is called.
    filters : name of the submodule whose units are the filters that student networks divide: its last convolution or hidden linear
        layer, or the ReLU behind it. What a convolution says is read behind the activation that follows it. Only strategies with
        student networks need it.
    options : keyword arguments of the target.
    weights : file of trained weights, as safetensors or as a state dict of `torch.save`; training starts with them. Nothing in it is run.
    training : ``none`` takes the weights as they are: nothing is trained, and `workload.training` is not used.
    output : which of several things that the network gives is the answer: position in a tuple, from 0, or name in a mapping.

    Notes
    -----
    The text of the file that defines the target is part of what determines the weights, and so is the file of weights: after a change
    it is trained anew.
    """

    target: str
    filters: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    weights: FileName | None = None
    training: Literal["none"] | None = None
    output: str | int | None = None

    def __post_init__(self) -> None:
        if self.training == "none" and self.weights is None:
            raise ScenarioError("`training: none` takes weights as they are; name their file with `weights`")

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network.

        Raises
        ------
        DataError
            When the target cannot be imported or made, or is no subclass of `torch.nn.Module`.
        """
        make = self._made_by()
        wanted = inspect.signature(make).parameters
        shapes = {name: tuple(spec.shape) for name, spec in inputs.items()}
        given: dict[str, Any] = {"inputs": shapes, "output_shape": tuple(output.shape)}
        if len(shapes) == 1:
            (given["input_shape"],) = shapes.values()
        if len(output.shape) == 1:
            (given["n_classes"],) = output.shape
        try:
            network = make(**self.options, **{name: value for name, value in given.items() if name in wanted})
        except TypeError as error:
            raise DataError(f"model {self.target!r} cannot be made: {error}") from error
        except FOREIGN as error:
            raise DataError(f"model {self.target!r} fails while it is made: {type(error).__name__}: {error}") from error
        if self.weights is not None:
            from edgesim.nn.models.brought.weights import put_weights

            put_weights(network, Path(self.weights))
        if self.output is not None:
            from edgesim.nn.models.brought.outputs import use_output

            use_output(network, self.output)
        return network

    def is_trained(self) -> bool:
        """Return whether the weights of the file are taken as they are."""
        return self.training == "none"

    def filter_layer(self) -> str | None:
        """Return the name that the user gave."""
        return self.filters

    def find(self) -> None:
        """Raise `DataError` when the target is not there, without running any of its code."""
        find_class(self.target)

    def content(self) -> str:
        """Return the SHA-256 of the file that defines the target, in hex, and behind a space that of the weights, if any."""
        source = inspect.getsourcefile(self._made_by())
        files = [*([source] if source else []), *([self.weights] if self.weights is not None else [])]
        return " ".join(hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files)

    def _made_by(self) -> type[torch.nn.Module]:
        from torch import nn

        module, _, name = self.target.partition(":")
        here = str(Path.cwd())
        sys.path.append(here)
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise DataError(
                f"model {self.target!r} cannot be imported: {error}; expected 'package.module:Class'"
            ) from error
        except FOREIGN as error:
            raise DataError(
                f"model {self.target!r} fails while it is imported: {type(error).__name__}: {error}"
            ) from error
        finally:
            sys.path.remove(here)
        if not (isinstance(found, type) and issubclass(found, nn.Module)):
            raise DataError(f"model {self.target!r} is no subclass of torch.nn.Module; name a class that is one")
        return found
