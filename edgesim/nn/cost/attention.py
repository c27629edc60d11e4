"""Attention modules of torch as what they compute: projections, heads, scaled dot-product attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from edgesim.nn.cost.constants import NotConstantError, constant, numbers
from edgesim.nn.cost.plain import Attention, Permuted, Reshaped
from edgesim.nn.cost.rewrite import free_name
from edgesim.nn.cost.trace import submodule

if TYPE_CHECKING:
    from collections.abc import Callable


def scaled_dot_product(graph: fx.GraphModule, node: fx.Node) -> tuple[tuple[fx.Node, ...], nn.Module] | None:
    """Return what a call of `scaled_dot_product_attention` reads and the module of it; None when its mask is no constant."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given: dict[str, Any] = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    sources = tuple(given[name] for name in names[:3])
    if any(not source.meta["is_sampled"] or len(source.meta["tensors"][0][0]) != 4 for source in sources):
        return None
    mask = given.get("attn_mask")
    mask = constant(graph, mask) if isinstance(mask, fx.Node) else mask
    if mask is not None and mask.dim() == 4 and mask.shape[0] != 1:
        return None
    scale, is_causal = numbers((given.get("scale"), given.get("is_causal", False)))
    return sources, Attention(scale, is_causal=is_causal, mask=mask)


def expand_attention(graph: fx.GraphModule) -> bool:
    """Let projections and one attention stand for each attention module and each layer of an encoder; return whether any was.

    A module stays that reads tensors without the batch on their first axis, has a mask that depends on the input, gives its weights to a reader, or has keys or
    values of another size or with added positions.
    """
    found = False
    expansions: list[tuple[type[nn.Module], Callable[[_Writer, Any], Any]]] = [
        (nn.TransformerEncoder, _encoder), (nn.TransformerEncoderLayer, _encoder_layer), (nn.MultiheadAttention, _attention),
    ]  # fmt: skip
    for kind, expand in expansions:
        for node in list(graph.graph.nodes):
            module = submodule(graph, node)
            if not isinstance(module, kind):
                continue
            writer = _Writer(graph, node, module)
            try:
                result = expand(writer, module)
            except NotConstantError:
                writer.undo()
                continue
            writer.replace(result)
            found = True
    graph.recompile()
    return found


class _Writer:
    """Writes nodes in front of one that they stand for."""

    def __init__(self, graph: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
        self.graph, self.node, self.module = graph, node, module
        self.target = str(node.target)
        self.made: list[fx.Node] = []

    def options(self, *names: str) -> dict[str, Any]:
        """Return the arguments of the call by name."""
        return {**dict(zip(names, self.node.args, strict=False)), **self.node.kwargs}

    def call(self, name: str, *sources: fx.Node) -> fx.Node:
        """Call a submodule."""
        with self.graph.graph.inserting_before(self.node):
            made = self.graph.graph.call_module(name, sources)
        self.made.append(made)
        return made

    def add(self, label: str, module: nn.Module, *sources: fx.Node) -> fx.Node:
        """Call a new module, named after the one that is expanded."""
        name = free_name(self.graph, f"{self.target}_{label}".replace(".", "_"))
        self.graph.add_submodule(name, module.eval())
        return self.call(name, *sources)

    def function(self, function: Any, *args: Any) -> fx.Node:
        """Call a function."""
        with self.graph.graph.inserting_before(self.node):
            made = self.graph.graph.call_function(function, args)
        self.made.append(made)
        return made

    def replace(self, result: fx.Node) -> None:
        """Let the readers of the module's node read the result."""
        if isinstance(self.module, nn.MultiheadAttention):
            for user in list(self.node.users):
                user.replace_all_uses_with(result)
                self.graph.graph.erase_node(user)
        else:
            self.node.replace_all_uses_with(result)
        self.graph.graph.erase_node(self.node)

    def undo(self) -> None:
        """Take away what was written."""
        for made in reversed(self.made):
            self.graph.graph.erase_node(made)


def _attend(writer: _Writer, module: nn.MultiheadAttention, options: dict[str, Any], target: str) -> fx.Node:
    """Write one attention on q, k and v of shape (n, positions, features)."""
    mask = options.get("attn_mask")
    mask = constant(writer.graph, mask) if isinstance(mask, fx.Node) else mask
    projection: Any = module.in_proj_weight  # None when keys or values are of another size
    is_plain = projection is not None and module.bias_k is None and not module.add_zero_attn
    if not is_plain or not module.batch_first or options.get("key_padding_mask") is not None:
        raise NotConstantError
    if isinstance(mask, torch.Tensor):
        if mask.dim() != 2:
            raise NotConstantError
        mask = ~mask if mask.dtype == torch.bool else mask  # torch's modules say by True what is not seen
    n_heads, size = module.num_heads, module.embed_dim // module.num_heads
    label = target.removeprefix(writer.target).replace(".", "_").strip("_")
    label = f"{label}_" if label else ""
    heads = []
    for position, name in enumerate("qkv"):
        source = options[("query", "key", "value")[position]]
        rows = slice(position * module.embed_dim, (position + 1) * module.embed_dim)
        linear = nn.Linear(module.embed_dim, module.embed_dim, module.in_proj_bias is not None, device="meta")
        linear.weight = nn.Parameter(module.in_proj_weight.detach()[rows], requires_grad=False)
        if module.in_proj_bias is not None:
            linear.bias = nn.Parameter(module.in_proj_bias.detach()[rows], requires_grad=False)
        projected = writer.add(f"{label}{name}", linear, source)
        n_positions = _shape(source)[0]
        split = writer.add(
            f"{label}{name}_heads", Reshaped((n_positions, module.embed_dim), (n_positions, n_heads, size)), projected
        )
        heads.append(writer.add(f"{label}{name}_first", Permuted((1, 0, 2)), split))
    attended = writer.add(f"{label}attention", Attention(mask=mask), *heads)
    n_queries = _shape(options["query"])[0]
    back = writer.add(f"{label}back", Permuted((1, 0, 2)), attended)
    joined = writer.add(f"{label}joined", Reshaped((n_queries, n_heads, size), (n_queries, module.embed_dim)), back)
    out = nn.Linear(module.embed_dim, module.embed_dim, module.out_proj.bias is not None, device="meta")
    out.weight, out.bias = module.out_proj.weight, module.out_proj.bias
    return writer.add(f"{label}out", out, joined)


def _attention(writer: _Writer, module: nn.MultiheadAttention) -> fx.Node:
    options = writer.options("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask")
    is_first = [user.op == "call_function" and user.args[1:] == (0,) for user in writer.node.users]
    sources = [options[name] for name in ("query", "key", "value")]
    if not all(is_first) or any(not source.meta["is_sampled"] or len(_shape(source)) != 2 for source in sources):
        raise NotConstantError
    return _attend(writer, module, options, writer.target)


def _encoder_layer(
    writer: _Writer, module: nn.TransformerEncoderLayer, source: fx.Node | None = None, target: str | None = None
) -> fx.Node:
    """Write a layer of an encoder: attention and two linear layers, each with a sum and a normalisation."""
    options = writer.options("src", "src_mask", "src_key_padding_mask", "is_causal")
    target = target or writer.target
    x = source or options["src"]
    mask = options.get("src_mask", options.get("mask"))
    if (
        options.get("src_key_padding_mask") is not None
        or not writer.node.meta["is_sampled"]
        or len(_shape(writer.node)) != 2
    ):
        raise NotConstantError
    first = writer.call(f"{target}.norm1", x) if module.norm_first else x
    first.meta = {**writer.node.meta, **first.meta}
    given = {"query": first, "key": first, "value": first, "attn_mask": mask}
    attended = _attend(writer, module.self_attn, given, f"{target}.self_attn")
    x = writer.function(torch.add, x, attended)
    x = x if module.norm_first else writer.call(f"{target}.norm1", x)
    inner = writer.call(f"{target}.norm2", x) if module.norm_first else x
    inner = writer.call(f"{target}.linear1", inner)
    activation: Any = module.activation
    if isinstance(activation, nn.Module):
        inner = writer.add(f"activation_{target}", activation, inner)
    else:
        inner = writer.function(activation, inner)
    inner = writer.call(f"{target}.linear2", inner)
    x = writer.function(torch.add, x, inner)
    return x if module.norm_first else writer.call(f"{target}.norm2", x)


def _encoder(writer: _Writer, module: nn.TransformerEncoder) -> fx.Node:
    options = writer.options("src", "mask", "src_key_padding_mask", "is_causal")
    x = options["src"]
    for number, layer in enumerate(module.layers):
        if not isinstance(layer, nn.TransformerEncoderLayer):
            raise NotConstantError
        x = _encoder_layer(writer, layer, x, f"{writer.target}.layers.{number}")
        x.meta = {**writer.node.meta}
    return x if module.norm is None else writer.call(f"{writer.target}.norm", x)


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["tensors"][0][0][1:])
