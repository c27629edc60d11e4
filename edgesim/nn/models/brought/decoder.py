"""Decoders of language models by their Hugging Face `config.json`, shapes only. Importing this needs no torch; `build` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.places import FileName
from edgesim.errors import NetworkError
from edgesim.nn.models.brought.decoder_config import read_shapes
from edgesim.nn.models.shapes import tokens, vector

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decoder of a language model, by the `config.json` that lies beside its weights on Hugging Face; only shapes are read.

    Llama, Mistral, Qwen2 and Qwen3, and what has their `model_type`: RMS normalisation, attention of grouped heads with rotary positions,
    feed-forward networks with a gate. It reads a prompt, ``input`` tokens long, and gives the numbers of the token that follows, one for
    each of the vocabulary. Layers are called as there: ``model.layers.0.self_attn.q_proj`` and so on. Weights are neither read nor
    drawn: it is for studies of cost, with ``input: [512]``, ``classes`` and ``values`` the size of the vocabulary.

    Parameters
    ----------
    config : the file.
    tokens : how many tokens follow the prompt in a request: the first when it was read, each other when the one before is known. More than one
        with strategy ``tensor-parallel`` only.

    References
    ----------
    H. Touvron et al., Llama 2: Open Foundation and Fine-Tuned Chat Models, arXiv 2307.09288, 2023. J. Ainslie et al., GQA, EMNLP 2023,
    arXiv 2305.13245.
    """

    kind_of_samples: ClassVar[SampleKind] = "tokens of a decoder"
    config: FileName
    tokens: Annotated[int, Ge(1)] = 1

    def find(self) -> None:
        """Raise `DataError` when the file is not there, or is no configuration of such a decoder."""
        if Path(self.config).is_file():  # what is not there is told by its place
            read_shapes(Path(self.config))

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the network, on torch's default device.

        Raises
        ------
        DataError
            When the file is none, or inputs and answers are not those of its vocabulary.
        """
        from edgesim.nn.models.brought.decoder_network import DecoderNetwork

        shapes = read_shapes(Path(self.config))
        length, n_values = tokens("decoder", inputs)
        for name, given in (
            ("tokens, `values`", n_values),
            ("numbers of an answer, `classes`", vector("decoder", output)),
        ):
            if given != shapes.n_tokens:
                raise NetworkError(
                    f"model decoder: {self.config} has a vocabulary of {shapes.n_tokens} tokens, but the workload has {given} {name}; give it "
                    f"`values: {shapes.n_tokens}` and `classes: {shapes.n_tokens}`"
                )
        for name, most in (("max_position_embeddings", shapes.length), ("sliding_window", shapes.window)):
            if most is not None and length > most:
                raise NetworkError(
                    f"model decoder: the prompt has {length} tokens, but {name} of {self.config} is {most}; shorten `input`"
                )
        if shapes.length is not None and length + self.tokens > shapes.length + 1:  # the last token is read by nobody
            raise NetworkError(
                f"model decoder: prompt and tokens are {length + self.tokens} together, of which the last is not read, but "
                f"max_position_embeddings of {self.config} is {shapes.length}; shorten `input`, or take fewer `tokens`"
            )
        return DecoderNetwork(shapes, length, self.tokens)

    def filter_layer(self) -> None:
        """Return None: its units are not divided among students."""
