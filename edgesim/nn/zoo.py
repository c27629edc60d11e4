"""Network architectures as plug-ins. Importing this needs no torch; `build` does."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Len, Lt

from edgesim.errors import FOREIGN, DataError, ScenarioError

if TYPE_CHECKING:
    import torch


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

    channels: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (32, 32, 64)
    pool_after: Annotated[int, Ge(0)] = 2

    def __post_init__(self) -> None:
        if self.pool_after > len(self.channels):
            raise ScenarioError(
                f"pool_after is {self.pool_after}, but small-cnn has {len(self.channels)} convolutions; "
                f"choose 0 to {len(self.channels)}"
            )

    def build(self, input_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When the image is too small to be pooled.
        """
        from edgesim.nn.modules import small_cnn

        channels, height, width = input_shape
        if self.pool_after and min(height, width) < 2:
            raise DataError(f"an image of {height}x{width} pixels cannot be pooled; set pool_after: 0")
        return small_cnn(channels, self.channels, self.pool_after, n_classes)

    def last_conv(self) -> str:
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

    channels: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (24, 48, 96, 48)
    strides: tuple[Annotated[int, Ge(1)], ...] = (2, 2, 2, 1)

    def __post_init__(self) -> None:
        if len(self.strides) != len(self.channels):
            raise ScenarioError(
                f"strided-cnn has {len(self.channels)} channels but {len(self.strides)} strides; give one for each convolution"
            )

    def build(self, input_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator."""
        from edgesim.nn.networks import strided_cnn

        return strided_cnn(input_shape[0], self.channels, self.strides, n_classes)

    def last_conv(self) -> str:
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

    depth: Annotated[int, Ge(10)] = 16
    width: Annotated[int, Ge(1)] = 1
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def __post_init__(self) -> None:
        if (self.depth - 4) % 6:
            nearest = 4 + 6 * max(1, round((self.depth - 4) / 6))
            raise ScenarioError(f"the depth of a WideResNet is 6n + 4, not {self.depth}; nearest is {nearest}")

    def build(self, input_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator."""
        from edgesim.nn.networks import wide_resnet

        return wide_resnet(input_shape[0], self.depth, self.width, self.dropout, n_classes)

    def last_conv(self) -> str:
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

    depth: Literal[11, 13, 16, 19] = 11
    width: Annotated[int, Ge(1)] = 64

    def build(self, input_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator."""
        from edgesim.nn.networks import vgg

        return vgg(input_shape[0], min(input_shape[1:]), self.depth, self.width, n_classes)

    def last_conv(self) -> str:
        """Return the name of the last ReLU."""
        return f"relu{self.depth - 3}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A `torch.nn.Module` of your own, by import path.

    The class is made with the options; where it has parameters called ``input_shape`` (channels, height, width) or
    ``n_classes``, these are passed too. It is looked up where Python finds modules, and in the working directory.

    Parameters
    ----------
    target : ``"package.module:Class"``, a subclass of `torch.nn.Module`; nothing else is called.
    filters : name of the submodule whose output channels are the filters that student networks divide: its last convolution,
        or the ReLU behind it. What a convolution says is read behind the activation that follows it.
    options : keyword arguments of the target.

    Notes
    -----
    The text of the file that defines the target is part of what determines the weights: after a change it is trained anew.
    """

    target: str
    filters: str
    options: dict[str, Any] = field(default_factory=dict)

    def build(self, input_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
        """Return the untrained network.

        Raises
        ------
        DataError
            When the target cannot be imported or made, or is no subclass of `torch.nn.Module`.
        """
        make = self._made_by()
        wanted = inspect.signature(make).parameters
        given = {"input_shape": input_shape, "n_classes": n_classes}
        try:
            return make(**self.options, **{name: value for name, value in given.items() if name in wanted})
        except TypeError as error:
            raise DataError(f"model {self.target!r} cannot be made: {error}") from error
        except FOREIGN as error:
            raise DataError(f"model {self.target!r} fails while it is made: {type(error).__name__}: {error}") from error

    def last_conv(self) -> str:
        """Return the name that the user gave."""
        return self.filters

    def content(self) -> str:
        """Return the SHA-256 of the file that defines the target, in hex."""
        source = inspect.getsourcefile(self._made_by())
        return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""

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
