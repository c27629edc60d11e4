"""Networks for tables, texts, series, point clouds and graphs."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

functional = nn.functional


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))


class TextCNN(nn.Module):
    """Convolutions of several widths over word vectors, the maximum of each."""

    def __init__(self, vocab: int = 50, dim: int = 12) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.convs = nn.ModuleList([nn.Conv1d(dim, 8, k) for k in (3, 4, 5)])
        self.fc = nn.Linear(24, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens).permute(0, 2, 1)
        pooled = [functional.relu(conv(x)).max(dim=2).values for conv in self.convs]
        return self.fc(torch.cat(pooled, dim=1))


class GRUClassifier(nn.Module):
    """The last state of a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(6, 16, num_layers=2, batch_first=True), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, _ = self.gru(x)
        return self.fc(out[:, -1, :])


class LSTMClassifier(nn.Module):
    """Both directions of an LSTM over word vectors."""

    def __init__(self, vocab: int = 50) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(vocab, 8), nn.LSTM(8, 12, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(24, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out, _ = self.lstm(self.embedding(tokens))
        return self.fc(out.mean(dim=1))


class CRNN(nn.Module):
    """Convolutions, then a GRU along the columns."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((8, 1)),
        )
        self.rnn, self.fc = nn.GRU(16, 12, batch_first=True, bidirectional=True), nn.Linear(24, 11)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.cnn(x).squeeze(2).permute(0, 2, 1)
        return self.fc(self.rnn(x)[0])


class Chomp(nn.Module):
    """Takes away what padding put behind the series."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, : -self.size].contiguous()


class TemporalBlock(nn.Module):
    """Two causal convolutions with weight norm, and a shortcut."""

    def __init__(self, n: int, width: int, dilation: int) -> None:
        super().__init__()
        padding = 2 * dilation
        self.net = nn.Sequential(
            weight_norm(nn.Conv1d(n, width, 3, padding=padding, dilation=dilation)), Chomp(padding), nn.ReLU(), nn.Dropout(0.2),
            weight_norm(nn.Conv1d(width, width, 3, padding=padding, dilation=dilation)), Chomp(padding), nn.ReLU(), nn.Dropout(0.2),
        )  # fmt: skip
        self.downsample = nn.Conv1d(n, width, 1) if n != width else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        res = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.net(x) + res)


class TCN(nn.Module):
    """Three blocks, the last moment."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(TemporalBlock(4, 8, 1), TemporalBlock(8, 8, 2), TemporalBlock(8, 8, 4))
        self.linear = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.network(x)[:, :, -1])


class WaveNet(nn.Module):
    """Gated dilated convolutions whose outputs are summed."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.front = nn.Conv1d(4, width, 1)
        self.dilated = nn.ModuleList([nn.Conv1d(width, 2 * width, 2, dilation=2**i) for i in range(3)])
        self.skip = nn.ModuleList([nn.Conv1d(width, width, 1) for _ in range(3)])
        self.end = nn.Conv1d(width, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.front(x)
        total = 0.0
        for number, (dilated, skip) in enumerate(zip(self.dilated, self.skip, strict=True)):
            a, b = dilated(functional.pad(x, (2**number, 0))).chunk(2, dim=1)
            y = skip(torch.tanh(a) * torch.sigmoid(b))
            total, x = total + y, x + y
        return self.end(functional.relu(total))


class Conformer(nn.Module):
    """A network, attention, a convolution module with a gate, as for speech."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(3)])
        self.feed, self.attention = (
            nn.Sequential(nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, dim)),
            nn.MultiheadAttention(dim, 4, batch_first=True),
        )
        self.point1, self.depth = nn.Conv1d(dim, 2 * dim, 1), nn.Conv1d(dim, dim, 7, padding=3, groups=dim)
        self.bn, self.point2 = nn.BatchNorm1d(dim), nn.Conv1d(dim, dim, 1)
        self.head = nn.Linear(dim, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + 0.5 * self.feed(self.norms[0](x))
        y = self.norms[1](x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        y = self.norms[2](x).transpose(1, 2)
        y = self.point2(functional.silu(self.bn(self.depth(functional.glu(self.point1(y), dim=1)))))
        return self.head(x + y.transpose(1, 2))


class PointNet(nn.Module):
    """The same network for every point, the maximum over all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv1d(3, 16, 1), nn.Conv1d(16, 32, 1), nn.Conv1d(32, 64, 1)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm1d(16), nn.BatchNorm1d(32), nn.BatchNorm1d(64)
        self.fc1, self.fc2 = nn.Linear(64, 32), nn.Linear(32, 5)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        x = points.transpose(2, 1)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        x = torch.max(x, 2, keepdim=True)[0].view(-1, 64)
        return self.fc2(functional.relu(self.fc1(x)))


class DeepSets(nn.Module):
    """A network for each element, their sum, a network."""

    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32))
        self.rho = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rho(self.phi(x).sum(dim=1))


class GIN(nn.Module):
    """Graph isomorphism network: the sum over neighbours and (1 + eps) of a vertex itself, then a network."""

    def __init__(self, n: int = 5, width: int = 16) -> None:
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(2))
        self.mlps = nn.ModuleList([
            nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, width)),
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)),
        ])  # fmt: skip
        self.head = nn.Linear(width, 2)

    def forward(self, vertices: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        h = vertices
        for number, layer in enumerate(self.mlps):
            h = torch.relu(layer((1 + self.eps[number]) * h + torch.bmm(adjacency, h)))
        return self.head(h.sum(1))


class GCN(nn.Module):
    """Graph convolutions with an adjacency that is normalised beforehand."""

    def __init__(self, n: int = 5, width: int = 16) -> None:
        super().__init__()
        self.weight1, self.weight2 = nn.Parameter(torch.randn(n, width)), nn.Parameter(0.1 * torch.randn(width, 3))

    def forward(self, vertices: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        h = functional.relu(adjacency @ (vertices @ self.weight1))
        return adjacency @ (h @ self.weight2)
