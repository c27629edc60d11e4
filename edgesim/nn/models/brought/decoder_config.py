"""What the Hugging Face `config.json` of a decoder says of the shapes of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError, NetworkError
from edgesim.files.untrusted import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MOST_BYTE = 1 << 20
"""A configuration of more is none: those of published models have about 1 kB."""
KINDS = ("llama", "mistral", "qwen2", "qwen3")
"""Values of `model_type` of decoders that are built alike."""
ACTIVATIONS = ("silu", "gelu", "relu")
DTYPES = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Types of weights, and byte of each."""
_MOST = 1 << 24
_COUNTS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


@dataclass(frozen=True, slots=True)
class Shapes:
    """What a configuration says of the layers of a decoder.

    Parameters
    ----------
    width : numbers of a token between layers.
    hidden : of a token inside the feed-forward network.
    n_blocks, n_tokens : attention with feed-forward network, one after another; tokens of the vocabulary.
    n_heads, n_groups, head : heads of attention, heads of keys and values that they share, numbers of a head.
    activation : of the gate.
    dtype : of weights and of what layers give.
    has_attention_bias, has_output_bias, has_network_bias : of q, k and v; of the projection behind the heads; of the feed-forward network.
    has_head_norms : whether q and k are normalised per head.
    is_tied : whether embedding and last layer are one matrix.
    window : tokens that a token looks back; None for all.
    length : most tokens that it was made for.
    theta, epsilon : base of the rotary positions, and what normalisations add below the root.
    """

    width: int
    hidden: int
    n_blocks: int
    n_tokens: int
    n_heads: int
    n_groups: int
    head: int
    activation: str
    dtype: str
    has_attention_bias: bool
    has_output_bias: bool
    has_network_bias: bool
    has_head_norms: bool
    is_tied: bool
    window: int | None
    length: int | None
    theta: float
    epsilon: float


def read_shapes(path: Path) -> Shapes:
    """Return what a `config.json` says.

    Raises
    ------
    DataError
        With all that is wrong with it.
    """
    try:
        config = read_json(path, most_byte=MOST_BYTE)
    except DataError as error:
        raise NetworkError(f"model decoder: {path}: {error}; expected the config.json of a decoder") from None
    if not isinstance(config, dict):
        raise NetworkError(f"model decoder: {path} is no mapping; expected the config.json of a decoder")
    faults = list(_faults(config))
    if faults:
        raise NetworkError(
            f"model decoder: {path}: {'; '.join(faults)}; expected the config.json of a decoder like Llama"
        )
    return _shapes(config)


def _faults(config: Mapping[str, Any]) -> Iterator[str]:
    kind = config.get("model_type")
    if kind not in KINDS:
        yield f"`model_type` is {kind!r}, not one of {', '.join(KINDS)}"
    optional = ("num_key_value_heads", "head_dim", "sliding_window", "max_position_embeddings")
    for name in (*_COUNTS, *(name for name in optional if config.get(name) is not None)):
        if not _is_count(config.get(name)):
            yield f"`{name}` is {config.get(name, 'missing')!r}, not a whole number above 0"
    if config.get("hidden_act", "silu") not in ACTIVATIONS:
        yield f"`hidden_act` is {config['hidden_act']!r}, not one of {', '.join(ACTIVATIONS)}"
    if _dtype(config) not in DTYPES:
        yield f"`torch_dtype` is {_dtype(config)!r}, not one of {', '.join(DTYPES)}"
    for name in ("rope_theta", "rms_norm_eps"):
        if not (type(config.get(name, 1.0)) in {int, float} and config.get(name, 1.0) > 0):
            yield f"`{name}` is {config[name]!r}, not a number above 0"
    if all(_is_count(config.get(name)) for name in _COUNTS):
        yield from _uneven(config)


def _uneven(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield which numbers do not go together."""
    n_heads, n_groups = config["num_attention_heads"], config.get("num_key_value_heads")
    if _is_count(n_groups) and n_heads % n_groups:
        yield f"{n_heads} heads (`num_attention_heads`) cannot share {n_groups} (`num_key_value_heads`) evenly"
    if config.get("head_dim") is None and config["hidden_size"] % n_heads:
        yield f"`hidden_size` {config['hidden_size']} is no multiple of `num_attention_heads` {n_heads}"
    elif _is_count(config.get("head_dim", 2)) and _head(config) % 2:
        yield f"a head has {_head(config)} numbers, but rotary positions turn pairs"


def _shapes(config: Mapping[str, Any]) -> Shapes:
    kind = config["model_type"]
    has_bias = bool(config.get("attention_bias", False))
    is_windowed = bool(config.get("use_sliding_window", kind == "mistral"))
    return Shapes(
        width=config["hidden_size"],
        hidden=config["intermediate_size"],
        n_blocks=config["num_hidden_layers"],
        n_tokens=config["vocab_size"],
        n_heads=config["num_attention_heads"],
        n_groups=config.get("num_key_value_heads") or config["num_attention_heads"],
        head=_head(config),
        activation=config.get("hidden_act", "silu"),
        dtype=_dtype(config),
        has_attention_bias=has_bias or kind == "qwen2",
        has_output_bias=has_bias,
        has_network_bias=bool(config.get("mlp_bias", False)),
        has_head_norms=kind == "qwen3",
        is_tied=bool(config.get("tie_word_embeddings", False)),
        window=config.get("sliding_window") if is_windowed else None,
        length=config.get("max_position_embeddings"),
        theta=float(config.get("rope_theta", 10000.0)),
        epsilon=float(config.get("rms_norm_eps", 1e-6)),
    )


def _head(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _dtype(config: Mapping[str, Any]) -> Any:
    return config.get("torch_dtype") or config.get("dtype") or "float32"


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value < _MOST
