"""Convolutional networks for texts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le, Len, Lt

from edgesim.domain.networks.samples import SampleKind
from edgesim.nn.models.shapes import tokens, vector

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class TextCNN:
    """Convolutions of several widths side by side over the words of a text, the maximum of each over the text, one linear layer.

    Each token has a learnt vector; padding has zeros. A branch of width w convolves windows of w tokens and applies ReLU, once or,
    with `consecutive` 2, twice in a row. Convolutions have no bias and see w - 1 zeros at both ends, so that what stands behind a text stays
    zero, and the maximum over a text is the same with any amount of padding. Layers are called ``embedding``, ``branches.0`` ...,
    ``features``, ``head``.

    Parameters
    ----------
    widths : tokens in the windows of each branch; a width may stand there several times.
    channels : of each convolution; what a branch gives.
    consecutive : convolutions in a row in each branch.
    embedding : numbers of the vector of a token.
    dropout : share of the features that is dropped in training.
    branch_dropout : probability with which a whole branch is dropped in training, which prepares the last layer for losses.

    References
    ----------
    Y. Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014, doi 10.3115/v1/D14-1181: the parallel widths. H. Kim,
    Y.-S. Jeong, Sentiment Classification Using Convolutional Neural Networks, Applied Sciences 9(11) 2347, 2019, doi
    10.3390/app9112347: consecutive convolutions. Ours: no bias in convolutions, learnt vectors in place of given ones.
    """

    kind_of_samples: ClassVar[SampleKind] = "texts"
    widths: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (3, 4, 5)
    channels: Annotated[int, Ge(1)] = 64
    consecutive: Annotated[int, Ge(1), Le(2)] = 1
    embedding: Annotated[int, Ge(1)] = 32
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5
    branch_dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator."""
        from edgesim.nn.models.text_networks import TextNetwork

        _, n_tokens = tokens("text-cnn", inputs)
        return TextNetwork(n_tokens, vector("text-cnn", output), **dataclasses.asdict(self))

    def filter_layer(self) -> str:
        """Return the layer that holds the features of all branches."""
        return "features"
