"""A small GPT. Importing this needs no torch; `build` does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Lt

from edgesim.domain.bounds import whole
from edgesim.domain.networks.samples import SampleKind
from edgesim.errors import DataError, ScenarioError
from edgesim.nn.models.shapes import tokens

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class GPT:
    """Small decoder of language: attention to what came before, and a network of two linear layers, in each of its blocks.

    Characters and positions have learnt vectors; normalisation stands in front of attention and network, and behind the last block. It answers
    at every place of a text, and what stands behind a place never changes the answer there. Layers are called ``embedding``, ``blocks.0.q`` ...,
    ``head``.

    Parameters
    ----------
    blocks : one after another.
    width : numbers of a character between layers.
    heads : of attention; they divide the width.
    dropout : share of what attention and networks give that is dropped in training.

    Formula
    -------
    Parameters of a block = 12 width^2 + 13 width, without biases of q, k, v and o: 4 width^2 of attention, 8 width^2 of a network of 4 width
    units; together with the vectors 0.8 million by default.

    References
    ----------
    A. Radford et al., Language Models are Unsupervised Multitask Learners, 2019 (GPT-2): the order of the layers. Ours: no bias in attention, and small.
    """

    kind_of_samples: ClassVar[SampleKind] = "texts whose next character is asked"
    blocks: Annotated[int, Ge(1)] = 4
    width: Annotated[int, Ge(2)] = 128
    heads: Annotated[int, Ge(1)] = 4
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1

    def __post_init__(self) -> None:
        whole("gpt", 1, blocks=self.blocks, width=self.width, heads=self.heads)
        if self.width % self.heads:
            raise ScenarioError(
                f"gpt: {self.heads} heads do not divide a width of {self.width}; give a width that is a multiple of the heads"
            )

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When inputs are no texts, or answers are not one vector for each place of them.
        """
        from edgesim.nn.models.decoders.gpt_network import GPTNetwork

        length, n_tokens = tokens("gpt", inputs)
        if len(output.shape) != 2 or output.shape[1] != length:
            raise DataError(
                f"gpt answers at each of the {length} places of a text, but the task wants an answer of shape {output.shape}; take data whose task "
                "is next-character, or another model"
            )
        return GPTNetwork(n_tokens, output.shape[0], length, **dataclasses.asdict(self))

    def filter_layer(self) -> None:
        """Return None: its units are not divided among students."""
