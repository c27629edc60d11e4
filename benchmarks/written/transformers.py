"""Networks with attention, and those that took its form: ViT, Swin, GPT, Llama, BERT, MLP-Mixer, ConvNeXt."""

from __future__ import annotations

import torch
from torch import nn

functional = nn.functional


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution, then a network for each pixel, scaled."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm, self.pwconv1, self.act = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, 4 * dim), nn.GELU()
        self.pwconv2, self.gamma = nn.Linear(4 * dim, dim), nn.Parameter(0.5 * torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x
        x = self.dwconv(x).permute(0, 2, 3, 1)
        x = self.pwconv2(self.act(self.pwconv1(self.norm(x))))
        x = (self.gamma * x).permute(0, 3, 1, 2)
        return shortcut + x


class ConvNeXt(nn.Module):
    """A stem, two blocks, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.blocks = nn.Conv2d(3, 12, 2, 2), nn.Sequential(ConvNeXtBlock(12), ConvNeXtBlock(12))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.stem(x)).mean([-2, -1])))


class Mixer(nn.Module):
    """MLP-Mixer: networks along the tokens, and along the channels."""

    def __init__(self, dim: int = 16, tokens: int = 64) -> None:
        super().__init__()
        self.patches, self.norm1, self.norm2 = nn.Conv2d(3, dim, 4, 4), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.token_mix = nn.Sequential(nn.Linear(tokens, 32), nn.GELU(), nn.Linear(32, tokens))
        self.channel_mix = nn.Sequential(nn.Linear(dim, 64), nn.GELU(), nn.Linear(64, dim))
        self.head = nn.Linear(dim, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.token_mix(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channel_mix(self.norm2(x))
        return self.head(x.mean(dim=1))


class Attention(nn.Module):
    """As in timm: one projection for all, products written out."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads, self.scale = num_heads, (dim // num_heads) ** -0.5
        self.qkv, self.proj, self.drop = nn.Linear(dim, dim * 3), nn.Linear(dim, dim), nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, n, dim = x.shape
        qkv = self.qkv(x).reshape(batch, n, 3, self.num_heads, dim // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        attn = self.drop(((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1))
        return self.proj((attn @ v).transpose(1, 2).reshape(batch, n, dim))


class Block(nn.Module):
    """Attention and a network, each behind a normalisation and beside a shortcut."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(dim), Attention(dim, num_heads), nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Patches, a token for the class, positions, blocks."""

    def __init__(self, dim: int = 16, num_heads: int = 4) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, 8, 8)
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, dim)), nn.Parameter(torch.randn(1, 17, dim))
        self.blocks = nn.ModuleList([Block(dim, num_heads) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class EncoderViT(nn.Module):
    """Patches and torch's own encoder, with the mean of all tokens."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.patches, self.positions = nn.Conv2d(3, dim, 4, 4), nn.Parameter(torch.randn(1, 64, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 32, batch_first=True, norm_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(dim, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.encoder(x).mean(1))


class SwinBlock(nn.Module):
    """Attention within windows, shifted or not, with a bias for each pair of places."""

    def __init__(self, dim: int, num_heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift, self.num_heads = window, shift, num_heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.bias = nn.Parameter(0.1 * torch.randn(num_heads, window**2, window**2))
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        n, length, dim = x.shape
        qkv = self.qkv(x).view(n, length, 3, self.num_heads, dim // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attn = q @ k.transpose(-2, -1) * (dim // self.num_heads) ** -0.5 + self.bias
        return self.proj((attn.softmax(-1) @ v).transpose(1, 2).reshape(n, length, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, height, width, dim = x.shape
        w = self.window
        y = self.norm1(x)
        if self.shift:
            y = torch.roll(y, shifts=(-self.shift, -self.shift), dims=(1, 2))
        y = y.view(batch, height // w, w, width // w, w, dim).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, dim)
        y = self.attend(y).view(batch, height // w, width // w, w, w, dim)
        y = y.permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, dim)
        if self.shift:
            y = torch.roll(y, shifts=(self.shift, self.shift), dims=(1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class Swin(nn.Module):
    """Two blocks and a merging of patches."""

    def __init__(self, dim: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, dim, 4, 4)
        self.block1, self.block2 = SwinBlock(dim, 3, 4, 0), SwinBlock(dim, 3, 4, 2)
        self.reduction, self.head = nn.Linear(4 * dim, 2 * dim, bias=False), nn.Linear(2 * dim, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block2(self.block1(self.patches(x).permute(0, 2, 3, 1)))
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.head(self.reduction(x).mean((1, 2)))


class CausalAttention(nn.Module):
    """As in nanoGPT."""

    def __init__(self, dim: int, n_head: int, block_size: int) -> None:
        super().__init__()
        self.n_head, self.n_embd = n_head, dim
        self.c_attn, self.c_proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.register_buffer("bias", torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, t, dim = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(batch, t, self.n_head, dim // self.n_head).transpose(1, 2)
        q = q.view(batch, t, self.n_head, dim // self.n_head).transpose(1, 2)
        v = v.view(batch, t, self.n_head, dim // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (self.n_embd // self.n_head) ** -0.5
        att = functional.softmax(att.masked_fill(self.bias[:, :, :t, :t] == 0, float("-inf")), dim=-1)
        return self.c_proj((att @ v).transpose(1, 2).contiguous().view(batch, t, dim))


class GPT(nn.Module):
    """Tokens and positions, two blocks, logits of the next token."""

    def __init__(self, vocab: int = 40, dim: int = 16, block_size: int = 32) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, dim), nn.Embedding(block_size, dim)
        self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(4)])
        self.attns = nn.ModuleList([CausalAttention(dim, 4, block_size) for _ in range(2)])
        self.mlps = nn.ModuleList(
            [nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)) for _ in range(2)]
        )
        self.ln_f, self.lm_head = nn.LayerNorm(dim), nn.Linear(dim, vocab, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(tokens.size(1), device=tokens.device)
        x = self.wte(tokens) + self.wpe(positions)
        for number in range(2):
            x = x + self.attns[number](self.norms[2 * number](x))
            x = x + self.mlps[number](self.norms[2 * number + 1](x))
        return self.lm_head(self.ln_f(x))[:, -1]


class RMSNorm(nn.Module):
    """As in Llama."""

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return normed.type_as(x) * self.weight


def rotate_half(x: torch.Tensor) -> torch.Tensor:
    x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return torch.cat((-x2, x1), dim=-1)


class LlamaBlock(nn.Module):
    """Rotary positions, keys and values that heads share, a gated network."""

    def __init__(self, dim: int, n_heads: int, n_kv_heads: int, hidden: int) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = n_heads, n_kv_heads, dim // n_heads
        self.wq, self.wo = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.wk = nn.Linear(dim, n_kv_heads * self.head_dim, bias=False)
        self.wv = nn.Linear(dim, n_kv_heads * self.head_dim, bias=False)
        self.w1, self.w3 = nn.Linear(dim, hidden, bias=False), nn.Linear(dim, hidden, bias=False)
        self.w2, self.attention_norm, self.ffn_norm = nn.Linear(hidden, dim, bias=False), RMSNorm(dim), RMSNorm(dim)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, length, dim = x.shape
        h = self.attention_norm(x)
        q = self.wq(h).view(batch, length, self.n_heads, self.head_dim).transpose(1, 2)
        k = self.wk(h).view(batch, length, self.n_kv_heads, self.head_dim).transpose(1, 2)
        v = self.wv(h).view(batch, length, self.n_kv_heads, self.head_dim).transpose(1, 2)
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        repeats = self.n_heads // self.n_kv_heads
        k, v = k.repeat_interleave(repeats, dim=1), v.repeat_interleave(repeats, dim=1)
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.wo(out.transpose(1, 2).reshape(batch, length, dim))
        h = self.ffn_norm(x)
        return x + self.w2(functional.silu(self.w1(h)) * self.w3(h))


class Llama(nn.Module):
    """Two blocks and logits of the next token."""

    def __init__(
        self, vocab: int = 40, dim: int = 16, heads: tuple[int, int] = (4, 2), hidden: int = 40, n_layers: int = 2
    ) -> None:
        super().__init__()
        self.tok_embeddings, self.norm = nn.Embedding(vocab, dim), RMSNorm(dim)
        self.layers = nn.ModuleList([LlamaBlock(dim, *heads, hidden) for _ in range(n_layers)])
        self.output = nn.Linear(dim, vocab, bias=False)
        size = dim // heads[0]
        turns = torch.outer(torch.arange(64.0), 10000 ** (-torch.arange(0.0, size, 2) / size)).repeat(1, 2)
        self.register_buffer("cos", turns.cos(), persistent=False)
        self.register_buffer("sin", turns.sin(), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tok_embeddings(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.output(self.norm(x))[:, -1]


class Bert(nn.Module):
    """torch's own attention in both directions, the first token's vector for the class."""

    def __init__(self, vocab: int = 40, dim: int = 16) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(vocab, dim), nn.Parameter(torch.randn(1, 16, dim))
        self.norm, self.attention = nn.LayerNorm(dim), nn.MultiheadAttention(dim, 4, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.wide, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.pooler, self.classifier = nn.Linear(dim, dim), nn.Linear(dim, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.words(tokens) + self.places)
        x = self.norm1(x + self.attention(x, x, x)[0])
        x = self.norm2(x + self.narrow(functional.gelu(self.wide(x))))
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))
