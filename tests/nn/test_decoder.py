"""Decoders by their config.json: parameters as published, work by hand, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from edgesim.domain.networks.samples import Inputs
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError
from edgesim.nn.cost.layers import measure
from edgesim.nn.models.brought.decoder import Decoder
from edgesim.nn.models.brought.decoder_config import read_shapes
from edgesim.nn.models.untrained import ShapeOnly

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 32, "vocab_size": 32000, "hidden_act": "silu", "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
    "torch_dtype": "float16", "tie_word_embeddings": False,
}  # fmt: skip
MISTRAL = {
    **LLAMA,
    "model_type": "mistral",
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
}
LLAMA3 = {**LLAMA, "intermediate_size": 14336, "num_key_value_heads": 8, "vocab_size": 128256}
QWEN2 = {
    **LLAMA, "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
    "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True, "sliding_window": 32,
    "use_sliding_window": False,
}  # fmt: skip
QWEN3 = {
    **QWEN2, "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
    "num_key_value_heads": 8, "head_dim": 128,
}  # fmt: skip
TINY = {
    **LLAMA, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "vocab_size": 11, "torch_dtype": "float32",
}  # fmt: skip


def decoder(folder: Path, config: dict[str, Any]) -> Decoder:
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return Decoder(str(path))


def made(folder: Path, config: dict[str, Any], length: int = 8, device: str = "meta") -> tuple[torch.nn.Module, Inputs]:
    given = ShapeOnly((length,), config["vocab_size"], config["vocab_size"]).load()
    with torch.device(device):
        return decoder(folder, config).build(given.inputs, given.task.output).eval(), given.inputs


@pytest.mark.parametrize(
    ("config", "n_parameters"),
    [
        (LLAMA, 6_738_415_616),  # Llama 2 7B, the sum of the checkpoint's tensors
        (LLAMA3, 8_030_261_248),  # Llama 3 8B
        (MISTRAL, 7_241_732_096),  # Mistral 7B v0.1
        (QWEN2, 494_032_768),  # Qwen2-0.5B
        (QWEN3, 596_049_920),  # Qwen3-0.6B
    ],
)
def test_parameters_are_the_published_ones(config: dict[str, Any], n_parameters: int, tmp_path: Path) -> None:
    network, _ = made(tmp_path, config)
    assert sum(parameter.numel() for parameter in network.parameters()) == n_parameters


def test_work_and_bytes_of_llama_2_are_those_by_hand(tmp_path: Path) -> None:
    """2 FLOP per weight and token; attention reads every token twice (scores, values): 2 x 2 T^2 width per block; one last layer."""
    length = 128
    network, inputs = made(tmp_path, LLAMA, length)
    graph = measure(network, inputs)
    block = 4 * 4096**2 + 3 * 4096 * 11008
    expected = 2 * length * 32 * block + 32 * 4 * length**2 * 4096 + 2 * 4096 * 32000
    linear = sum(layer.work_flop for layer in graph.layers if layer.operator == "linear")
    assert linear == expected
    assert linear / length == pytest.approx(13.0e9, rel=0.01)  # 2 x 6.5 G weights of the blocks
    positions = 2 * 2 * length * 128  # cosine and sine in float16
    assert sum(layer.weight_byte for layer in graph.layers) == 2 * 6_738_415_616 + positions


def test_a_decoder_looks_back_only_and_at_positions(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, _ = made(tmp_path, TINY, 6, "cpu")
    some = torch.tensor([[1, 2, 3, 4, 5, 6]])
    with torch.no_grad():
        other = network.model(some.index_fill(1, torch.tensor([5]), 0))  # type: ignore[operator, union-attr]
        assert torch.allclose(network.model(some)[:, :5], other[:, :5], atol=1e-6)  # type: ignore[operator, union-attr]
        assert network(some).shape == (1, 11)
        turned = some[:, [1, 0, 2, 3, 4, 5]]
        assert not torch.allclose(network(some), network(turned), atol=1e-4)


def test_answers_are_those_of_attention_written_out(tmp_path: Path) -> None:
    """One head of one block by complex numbers: pairs (i, i + half) turn by position x theta^(-2i / head)."""
    torch.manual_seed(1)
    config = {**TINY, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    network, _ = made(tmp_path, config, 5, "cpu")
    trunk: Any = network.model
    block, attention = trunk.layers[0], trunk.layers[0].self_attn
    tokens = torch.tensor([[3, 1, 4, 1, 5]])
    with torch.no_grad():
        x = trunk.embed_tokens(tokens)[0]
        y = x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt()
        turns = torch.outer(torch.arange(5.0), 10000.0 ** (-torch.arange(4.0) / 4))

        def heads(weight: torch.Tensor, *, is_turned: bool) -> torch.Tensor:
            some = (y @ weight.T).view(5, -1, 2, 4)
            pairs = torch.complex(some[:, :, 0], some[:, :, 1])
            return pairs * torch.polar(torch.ones(5, 4), turns)[:, None] if is_turned else pairs

        q, k = (heads(m.weight, is_turned=True) for m in (attention.q_proj, attention.k_proj))
        v = (y @ attention.v_proj.weight.T).view(5, 8)
        rows = []
        for head in range(2):
            scores = (q[:, head] @ k[:, 0].conj().T).real / 8**0.5
            rows.append(scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf).softmax(-1) @ v)
        expected = torch.cat(rows, -1) @ attention.o_proj.weight.T
        found = attention(block.input_layernorm(trunk.embed_tokens(tokens)), trunk.cos, trunk.sin)[0]
    assert torch.allclose(found, expected, atol=1e-6)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    broken = {**LLAMA, "model_type": "bert", "num_key_value_heads": 5, "vocab_size": "many", "hidden_act": "tanh"}
    with pytest.raises(DataError) as caught:
        decoder(tmp_path, broken).find()
    text = str(caught.value)
    assert "`model_type` is 'bert', not one of llama, mistral, qwen2, qwen3" in text
    assert "`vocab_size` is 'many', not a whole number above 0" in text
    assert "`hidden_act` is 'tanh'" in text
    assert str(tmp_path / "config.json") in text
    with pytest.raises(DataError, match=r"32 heads .* cannot share 5"):
        decoder(tmp_path, {**LLAMA, "num_key_value_heads": 5}).find()
    with pytest.raises(DataError, match="cannot be read"):
        read_shapes(tmp_path / "nowhere.json")


def test_a_prompt_that_is_too_long_or_of_other_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the prompt has 5000 tokens, but max_position_embeddings"):
        made(tmp_path, LLAMA, 5000)
    with pytest.raises(DataError, match="the prompt has 10 tokens, but sliding_window"):
        made(tmp_path, {**MISTRAL, "sliding_window": 9}, 10)
    with pytest.raises(DataError, match="vocabulary of 11 tokens, but the workload has 12"):
        decoder(tmp_path, TINY).build({"tokens": TensorSpec((4,), "int64", 12)}, TensorSpec((11,)))
