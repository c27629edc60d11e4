"""The matrices of a decoder, whichever model it is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgesim.domain.networks.costs import LayerCost
    from edgesim.interfaces import DeploymentContext
    from edgesim.nn.models.brought.decoder_network import DecoderNetwork

NAMES = ("q", "k", "v", "o", "w1", "w3", "w2")
"""Of queries, keys, values and what gathers them; gate, up and down of the feed-forward part."""


class _Layers(NamedTuple):
    """How layers are called: what stands before the number of a block and behind it, the matrices in the order of `NAMES`, the last one."""

    block: str
    matrices: tuple[str, ...]
    classifier: str


_TOKEN = _Layers("blocks.{}.", NAMES, "classifier")
_LLAMA = _Layers(
    "model.layers.{}.",
    (
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ),
    "lm_head",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matrix:
    """One matrix, and its bias if it has one.

    Parameters
    ----------
    layer_id : of its layer.
    n_weights, n_inputs, n_outputs : numbers that it has, reads and gives, for one token.
    work_flop : of one token.
    """

    layer_id: str
    n_weights: int
    n_inputs: int
    n_outputs: int
    work_flop: float


@dataclass(frozen=True, slots=True)
class Matrices:
    """What a decoder has.

    Parameters
    ----------
    blocks : of each block, by `NAMES`.
    classifier : the last one.
    number_byte : of a number as the network has it.
    n_others : other weights of a whole decoder, such as the vectors of tokens; 0 where a token comes as a vector.
    prompt, n_tokens : tokens of the prompt, None where one token comes as a vector; and how many follow it.
    window : tokens that a token looks back; None for all.
    """

    blocks: tuple[Mapping[str, Matrix], ...]
    classifier: Matrix
    number_byte: int
    n_others: int = 0
    prompt: int | None = None
    n_tokens: int = 1
    window: int | None = None


def matrices_of(context: DeploymentContext) -> Matrices:
    """Return the matrices of the network of the workload. Raises `PlanError` when it is no decoder."""
    from edgesim.nn.models.brought.decoder_network import DecoderNetwork

    if isinstance(context.network, DecoderNetwork):
        return _of_prompt(context, context.network)
    found = _found(context, _TOKEN, 4, 1)
    if found is None:
        raise PlanError(
            "tensor-parallel cuts networks of the models decoder and decoder-token only; write `model: {type: decoder, config: config.json}` or "
            "`model: {type: decoder-token, ...}`"
        )
    return found


def _of_prompt(context: DeploymentContext, network: DecoderNetwork) -> Matrices:
    number_byte = network.lm_head.weight.element_size()
    length = next(iter(context.dataset.inputs.values())).shape[0]
    found = _found(context, _LLAMA, number_byte, length)
    if found is None:
        raise PlanError("tensor-parallel found not all matrices of the decoder")
    n_in_blocks = sum(matrix.n_weights for block in found.blocks for matrix in block.values())
    n_others = sum(parameter.numel() for parameter in network.parameters()) - n_in_blocks - found.classifier.n_weights
    return Matrices(
        found.blocks, found.classifier, number_byte, n_others, length, network.n_tokens, network.shapes.window
    )


def _found(context: DeploymentContext, called: _Layers, number_byte: int, n_tokens: int) -> Matrices | None:
    """Return the matrices of layers with these names; None when some is missing."""
    cost = {layer.layer_id: layer for layer in context.graph.layers}
    blocks: list[dict[str, Matrix]] = []
    while any(name.startswith(called.block.format(len(blocks))) for name in cost):
        names = [f"{called.block.format(len(blocks))}{name}" for name in called.matrices]
        if any(name not in cost for name in names):
            return None
        layers = [_matrix(cost[name], number_byte, n_tokens) for name in names]
        blocks.append(dict(zip(NAMES, layers, strict=True)))
    if not blocks or called.classifier not in cost:
        return None
    return Matrices(tuple(blocks), _matrix(cost[called.classifier], number_byte, 1), number_byte)


def _matrix(cost: LayerCost, number_byte: int, n_tokens: int) -> Matrix:
    n_inputs, n_outputs = (size // number_byte // n_tokens for size in (cost.input_byte, cost.output_byte))
    return Matrix(cost.layer_id, cost.weight_byte // number_byte, n_inputs, n_outputs, cost.work_flop / n_tokens)
