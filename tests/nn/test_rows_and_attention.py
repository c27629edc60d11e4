"""Linear layers of any rank, row-wise operators and attention: cut networks equal whole ones, and counts are those by hand."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.networks.samples import Samples
from edgesim.domain.networks.task import TensorSpec
from edgesim.nn.cost.layers import measure
from edgesim.nn.cost.moves import plain
from edgesim.nn.cut.network import NOTHING, CutNetwork
from edgesim.nn.cut.schedule import schedule
from edgesim.nn.cut.staging import staged
from edgesim.strategies.modnn import stage_boxes

functional = nn.functional


class SelfAttention(nn.Module):
    """Written out: one projection for queries, keys and values, a mask that is a buffer."""

    def __init__(self, width: int, n_heads: int, longest: int = 32) -> None:
        super().__init__()
        self.n_heads, self.width = n_heads, width
        self.all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("mask", torch.tril(torch.ones(longest, longest)).view(1, 1, longest, longest))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.size()
        q, k, v = self.all(x).split(self.width, dim=2)
        q = q.view(batch, length, self.n_heads, width // self.n_heads).transpose(1, 2)
        k = k.view(batch, length, self.n_heads, width // self.n_heads).transpose(1, 2)
        v = v.view(batch, length, self.n_heads, width // self.n_heads).transpose(1, 2)
        scores = (q @ k.transpose(-2, -1)) * (self.width // self.n_heads) ** -0.5
        scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf")).softmax(-1)
        return self.out((scores @ v).transpose(1, 2).contiguous().view(batch, length, width))


class Decoder(nn.Module):
    """A block as of GPT-2 behind positions that are learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, 32, 12))
        self.attention, self.first, self.second = SelfAttention(12, 4), nn.LayerNorm(12), nn.LayerNorm(12)
        self.wide, self.narrow = nn.Linear(12, 48), nn.Linear(48, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.positions[:, : x.shape[1]]
        x = x + self.attention(self.first(x))
        return (x + self.narrow(functional.gelu(self.wide(self.second(x))))).mean(1)


class Grouped(nn.Module):
    """Rotary positions, grouped-query attention and a gated network, as of Llama."""

    def __init__(self, width: int = 16, n_heads: int = 4, n_groups: int = 2) -> None:
        super().__init__()
        self.size, self.n_heads, self.n_groups = width // n_heads, n_heads, n_groups
        self.q, self.out = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(width, n_groups * self.size, bias=False) for _ in "kv")
        self.norm, self.again = nn.RMSNorm(width), nn.Parameter(torch.randn(width))
        self.gate, self.up, self.down = nn.Linear(width, 40), nn.Linear(width, 40), nn.Linear(40, width)
        turns = torch.outer(torch.arange(32.0), 10000 ** (-torch.arange(0.0, self.size, 2) / self.size))
        self.register_buffer("cos", torch.cat((turns, turns), -1).cos())
        self.register_buffer("sin", torch.cat((turns, turns), -1).sin())

    def turned(self, x: torch.Tensor) -> torch.Tensor:
        half = x.shape[-1] // 2
        other = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
        return x * self.cos[: x.shape[2]] + other * self.sin[: x.shape[2]]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        y = self.norm(x)
        q = self.turned(self.q(y).view(batch, length, self.n_heads, self.size).transpose(1, 2))
        k = self.turned(self.k(y).view(batch, length, self.n_groups, self.size).transpose(1, 2))
        v = self.v(y).view(batch, length, self.n_groups, self.size).transpose(1, 2)
        read = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.out(read.transpose(1, 2).reshape(batch, length, width))
        y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.again
        return (x + self.down(functional.silu(self.gate(y)) * self.up(y)))[:, -1]


class Encoder(nn.Module):
    """torch's own encoder, either order of its norms."""

    def __init__(self, *, norm_first: bool, activation: object = "gelu") -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            12,
            3,
            20,
            batch_first=True,
            norm_first=norm_first,
            activation=activation,  # type: ignore[arg-type]
        )
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(12), enable_nested_tensor=False)
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[:, 0])


class Windows(nn.Module):
    """Attention within windows that are put into the batch, as of Swin, and a linear layer on the feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8)
        self.attention, self.wide = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        batch, height, width, n = x.shape
        y = self.norm(x).view(batch, height // 4, 4, width // 4, 4, n).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, n)
        y = self.attention(y, y, y, need_weights=False)[0]
        y = y.view(batch, height // 4, width // 4, 4, 4, n).permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, n)
        return functional.gelu(self.wide(x + torch.roll(y, (1, 1), (1, 2)))).mean((1, 2))


class Map(nn.Module):
    """A block as of ConvNeXt: rows of channels behind a depthwise convolution, scaled, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(6, 6, 7, padding=3, groups=6)
        self.norm, self.wide, self.narrow = nn.LayerNorm(6), nn.Linear(6, 24), nn.Linear(24, 6)
        self.scale = nn.Parameter(torch.randn(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(functional.gelu(self.wide(y)))
        return (x + y.permute(0, 3, 1, 2)).mean([-2, -1])


class Shuffled(nn.Module):
    """Channels divided, mixed and joined again, as of ShuffleNet."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.mixed = nn.Conv2d(8, 8, 1, groups=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.first(x).chunk(2, dim=1)
        x = torch.cat((left, self.deep(right)), 1)
        batch, n, height, width = x.size()
        x = x.view(batch, 2, n // 2, height, width).transpose(1, 2).contiguous().view(batch, n, height, width)
        return self.mixed(x)[:, :, 1::2].flatten(1)


NETWORKS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {}
torch.manual_seed(0)
NETWORKS["decoder"] = Decoder(), (9, 12)
NETWORKS["grouped"] = Grouped(), (11, 16)
NETWORKS["grouped-one"] = Grouped(n_groups=1), (8, 16)
NETWORKS["encoder"] = Encoder(norm_first=True), (7, 12)
NETWORKS["encoder-behind"] = Encoder(norm_first=False, activation=nn.SiLU()), (7, 12)
NETWORKS["windows"] = Windows(), (3, 16, 16)
NETWORKS["map"] = Map(), (3, 14, 12)
NETWORKS["shuffled"] = Shuffled(), (3, 9, 7)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("form", ["strips", "tiles", "channels"])
@pytest.mark.parametrize("execution", ["mapreduce", "halo"])
@pytest.mark.parametrize("name", NETWORKS)
def test_cut_equals_whole(name, execution, form):
    """On two and five devices of different speed, to 1e-5; nothing is left uncut, and the network survives pickling."""
    network, shape = copy.deepcopy(NETWORKS[name])
    network.eval()
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    cut_up = staged(network, shape, execution, form)
    assert cut_up.uncut == ()
    for speeds in ([1.0, 0.4], [1.0, 1.0, 0.3, 1.0, 0.8]):
        schedules = [schedule(stage, stage_boxes(stage, form, speeds)) for stage in cut_up.stages]
        samples = Samples({"x": x}, np.zeros(3, dtype=np.int64))
        for one in (cut_up, pickle.loads(pickle.dumps(cut_up))):  # noqa: S301 - our own
            assert relative(CutNetwork(one, schedules, samples).answers([NOTHING] * len(schedules)), expected) < 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_plain_form_answers_as_the_network(name):
    """Batches of one and of three."""
    network, shape = NETWORKS[name]
    network.eval()
    graph = plain(network, shape)
    for n in (1, 3):
        x = torch.randn(n, *shape)
        with torch.no_grad():
            torch.testing.assert_close(graph(x), network(x), rtol=1e-5, atol=1e-5)


def test_a_run_of_rows_sends_keys_and_values_only():
    """Two devices with half of 8 tokens each: each gets the other's keys and values of 4 tokens, 2 x 4 x 16 x 4 byte."""
    network, shape = Encoder(norm_first=True).eval(), (8, 12)
    cut_up = staged(network, shape, "halo", "strips")
    run = cut_up.stages[0]
    plan = schedule(run, stage_boxes(run, "strips", [1.0, 1.0]))
    sent = [sum(run.tensor(name).byte_of(box) for name, box in message.parts) for message in plan.messages]
    assert sent[:4] == [2 * 4 * 12 * 4] * 4


def test_features_of_a_linear_layer_divide_its_weights_along_the_last_axis():
    """Rows need all weights, features their share."""
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
    for form, share in (("strips", 1), ("channels", 2)):
        (stage,) = staged(network, (10, 6), "mapreduce", form).stages
        boxes = stage_boxes(stage, form, [1.0, 1.0])["_0"]
        held_byte = [sum(stage.layers[0].weights_of(box).values()) for box in boxes]
        assert held_byte == [4 * (48 + 8) // share] * 2


def counted(network: nn.Module, inputs) -> dict[str, tuple[float, int, int, int]]:
    return {
        layer.layer_id: (layer.work_flop, layer.weight_byte, layer.input_byte, layer.output_byte)
        for layer in measure(network, inputs).layers
    }


class Rows(nn.Module):
    """One of each, called on what the one before gives."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 6)
        self.linear, self.layer_norm, self.rms_norm = nn.Linear(6, 4), nn.LayerNorm(4), nn.RMSNorm(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.gru, self.lstm = nn.GRU(4, 5, batch_first=True, bidirectional=True), nn.LSTM(10, 3, 2, batch_first=True)
        self.conv, self.up = nn.Conv1d(3, 2, 3), nn.ConvTranspose1d(2, 4, 4, stride=2, groups=2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.rms_norm(self.layer_norm(self.linear(self.embedding(tokens))))
        x = self.attention(x, x, x, need_weights=False)[0]
        x = self.lstm(self.gru(x)[0])[0]
        return self.up(self.conv(x.transpose(1, 2)))


def test_counts_by_hand():
    """Seven tokens. A multiply-add is two FLOP, gates of a GRU are three and of an LSTM four products with input and state."""
    t = 7
    found = counted(Rows(), {"tokens": TensorSpec((t,), "int64")})
    gru_weights, lstm_weights = 2 * 3 * 5 * (4 + 5), 4 * 3 * (10 + 3) + 4 * 3 * (3 + 3)
    assert found == {
        "embedding": (t * 6, 4 * 300, 8 * t, 4 * t * 6),
        "linear": (2 * t * 24, 4 * (24 + 4), 4 * t * 6, 4 * t * 4),
        "layer_norm": (2 * t * 4, 4 * 8, 4 * t * 4, 4 * t * 4),
        "rms_norm": (2 * t * 4, 4 * 4, 4 * t * 4, 4 * t * 4),
        "attention": (4 * 2 * t * 16 + 2 * 2 * t * t * 4, 4 * 4 * (16 + 4), 4 * t * 4, 4 * t * 4),
        "gru": (2 * t * gru_weights, 4 * (gru_weights + 2 * 2 * 15), 4 * t * 4, 4 * (t * 10 + 2 * 5)),
        "lstm": (2 * t * lstm_weights, 4 * (lstm_weights + 2 * 2 * 12), 4 * t * 10, 4 * (t * 3 + 4 * 3)),
        "conv": (2 * 5 * 2 * 9, 4 * (18 + 2), 4 * t * 3, 4 * 10),
        "up": (2 * 5 * 4 * 4, 4 * (16 + 4), 4 * 10, 4 * 4 * 12),
    }


def test_grouped_query_attention_by_hand():
    """Four heads of 8 numbers, 6 queries and keys: two products of 2 x 4 x 6 x 6 x 8, keys and values of two heads read."""

    class Grouped(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            few = x[:, :2]
            return functional.scaled_dot_product_attention(x, few, few, enable_gqa=True)

    found = counted(Grouped(), (4, 6, 8))["scaled_dot_product_attention"]
    assert found == (2 * 2 * 4 * 6 * 6 * 8, 0, 4 * (192 + 96), 4 * 192)


def test_windows_in_the_batch_and_time_first_are_counted_whole():
    """Four windows of 4 x 8 numbers, and a sequence whose first axis is time: one FLOP for each number."""

    class Moved(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x.reshape(-1, 4, 8)), torch.tanh(x.transpose(0, 1))

    found = counted(Moved(), (16, 8))
    assert found["relu"][0] == found["tanh"][0] == 128


class Rotary(nn.Module):
    """Rotary positions: each pair of features is turned by an angle that grows with the place."""

    def __init__(self, n_places: int, n_features: int) -> None:
        super().__init__()
        angles = torch.arange(n_places)[:, None] * 10000.0 ** (-torch.arange(0, n_features, 2) / n_features)
        self.register_buffer("cos", angles.cos().repeat(1, 2))
        self.register_buffer("sin", angles.sin().repeat(1, 2))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        first, second = rows.chunk(2, -1)
        return rows * self.cos + torch.cat((-second, first), -1) * self.sin


def test_rotary_positions_by_hand():
    """Of 5 places and 8 features: two products, a sum and what is put together are 40 each, half of them negated 20; two tables of 40 numbers."""
    graph = measure(Rotary(5, 8).eval(), (5, 8))
    assert graph.work_flop == 4 * 40 + 20
    assert graph.weight_byte == 2 * 40 * 4
    moved = {layer.layer_id: (layer.input_byte, layer.output_byte) for layer in graph.layers}
    assert moved == {"mul": (160, 160), "neg": (80, 80), "cat": (160, 160), "mul_1": (160, 160), "add": (320, 160)}
