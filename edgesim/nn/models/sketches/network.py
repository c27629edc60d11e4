"""The modules of `edgesim.nn.models.sketches.sketch_gnn`."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from edgesim.nn.models.sketches.joined import DILATIONS, N_NEAREST

CHANNELS = 32
POOLED = 128


class EdgeConvolution(nn.Module):
    """The largest message of a point's neighbours; see `SketchGNN`.

    Parameters
    ----------
    n_inputs : channels of a point before; after it has 32.
    dilation : of the nearest points that are joined; 0 for none.
    random_neighbours : as there.
    """

    def __init__(self, n_inputs: int, dilation: int, random_neighbours: float) -> None:
        super().__init__()
        self.own, self.other = nn.Linear(n_inputs, CHANNELS), nn.Linear(n_inputs, CHANNELS, bias=False)
        self.relu = nn.ReLU()
        self.dilation, self.random_neighbours = dilation, random_neighbours
        self.is_residual = n_inputs == CHANNELS

    def forward(self, x: torch.Tensor, is_joined: torch.Tensor) -> torch.Tensor:
        """Return the new features of each point, shape (n, points, 32), given which points are joined to the one before, (n, points, 1)."""
        own, other = self.own(x), self.other(x)
        before, after = other.roll(1, dims=1), other.roll(-1, dims=1)
        is_followed = is_joined.roll(-1, dims=1)
        outputs: torch.Tensor = torch.maximum(self.relu(own + before) * is_joined, self.relu(own + after) * is_followed)
        if self.dilation:
            index = self._nearest(x)
            flat = index.flatten(1).unsqueeze(-1).expand(-1, -1, CHANNELS)
            near = other.gather(1, flat).unflatten(1, (-1, N_NEAREST)).amax(dim=2)
            outputs = torch.maximum(outputs, self.relu(own + near))
        return outputs + x if self.is_residual else outputs

    def _nearest(self, x: torch.Tensor) -> torch.Tensor:
        """Return 8 of the 8 d points that are nearest to each, shape (n, points, 8)."""
        features = x.detach()
        n_nearest = N_NEAREST * self.dilation
        nearest = torch.cdist(features, features).topk(n_nearest, dim=2, largest=False).indices
        if self.training and self.dilation > 1 and torch.rand(()) < self.random_neighbours:
            return nearest[:, :, torch.randperm(n_nearest)[:N_NEAREST]]
        return nearest[:, :, :: self.dilation]


class Branch(nn.Module):
    """Four edge convolutions, one after another; the answers of all are joined to 128 channels."""

    def __init__(self, *, is_dynamic: bool, random_neighbours: float) -> None:
        super().__init__()
        widths = [2, *[CHANNELS] * len(DILATIONS)]
        self.layers = nn.ModuleList(
            EdgeConvolution(n_inputs, dilation if is_dynamic else 0, random_neighbours)
            for (n_inputs, _), dilation in zip(pairwise(widths), DILATIONS, strict=True)
        )

    def forward(self, points: torch.Tensor, is_joined: torch.Tensor) -> torch.Tensor:
        """Return the features of each point, shape (n, points, 128)."""
        x, found = points, []
        for layer in self.layers:
            x = layer(x, is_joined)
            found.append(x)
        return torch.cat(found, dim=2)


class Pointwise(nn.Module):
    """A linear layer on each point, normalised over all of them."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(n_inputs, n_outputs), nn.BatchNorm1d(n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, points, outputs)."""
        outputs: torch.Tensor = self.norm(self.linear(x).transpose(1, 2)).transpose(1, 2)
        return outputs


class SketchNetwork(nn.Module):
    """SketchGNN; see `edgesim.nn.models.sketches.sketch_gnn.SketchGNN`.

    Parameters
    ----------
    n_classes, n_points : of the answer, and of a sketch, which has at most as many strokes.
    is_dynamic, random_neighbours : as there.
    """

    def __init__(self, n_classes: int, n_points: int, *, is_dynamic: bool, random_neighbours: float) -> None:
        super().__init__()
        self.n_points = n_points
        self.static = Branch(is_dynamic=False, random_neighbours=0.0)
        self.dynamic = Branch(is_dynamic=True, random_neighbours=random_neighbours) if is_dynamic else None
        self.whole, self.stroke = Pointwise(POOLED, POOLED), Pointwise(POOLED, POOLED)
        self.relu = nn.ReLU()
        self.classifier = nn.Sequential(
            Pointwise(3 * POOLED, 128), nn.ReLU(), Pointwise(128, 64), nn.ReLU(), Pointwise(64, n_classes)
        )

    def forward(self, points: torch.Tensor, strokes: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, classes, points)."""
        is_joined = joined(strokes, self.n_points)
        static = self.static(points, is_joined)
        dynamic = static if self.dynamic is None else self.dynamic(points, is_joined)
        return answered(self, static, dynamic, strokes)


def answered(
    network: SketchNetwork | Answering, static: torch.Tensor, dynamic: torch.Tensor, strokes: torch.Tensor
) -> torch.Tensor:
    """Return logits, shape (n, classes, points), given what the branches found, each of shape (n, points, 128)."""
    whole = network.relu(network.whole(dynamic)).amax(dim=1, keepdim=True).expand(-1, network.n_points, -1)
    each = network.relu(network.stroke(dynamic))
    index = strokes.unsqueeze(-1).expand(-1, -1, POOLED)
    pooled = torch.zeros_like(each).scatter_reduce(1, index, each, "amax").gather(1, index)
    logits: torch.Tensor = network.classifier(torch.cat([static, whole, pooled], dim=2))
    return logits.transpose(1, 2)


def joined(strokes: torch.Tensor, n_points: int) -> torch.Tensor:
    """Return 1 for each point that has the one before on its stroke, else 0, shape (n, points, 1)."""
    is_same = (strokes == strokes.roll(1, dims=1)).to(torch.float32).unsqueeze(-1)
    return is_same * (torch.arange(n_points, device=strokes.device) > 0).to(torch.float32).unsqueeze(-1)


class OneBranch(nn.Module):
    """What a device computes that has one branch of a network.

    Parameters
    ----------
    network : it all, with a dynamic branch.
    is_dynamic : whether it is the dynamic one.
    """

    def __init__(self, network: SketchNetwork, *, is_dynamic: bool) -> None:
        super().__init__()
        self.branch = network.dynamic if is_dynamic and network.dynamic is not None else network.static
        self.n_points = network.n_points

    def forward(self, points: torch.Tensor, strokes: torch.Tensor) -> torch.Tensor:
        """Return the features of each point, shape (n, points, 128)."""
        features: torch.Tensor = self.branch(points, joined(strokes, self.n_points))
        return features


class Answering(nn.Module):
    """What a device computes that is given what the branches found."""

    def __init__(self, network: SketchNetwork) -> None:
        super().__init__()
        self.whole, self.stroke, self.classifier = network.whole, network.stroke, network.classifier
        self.relu, self.n_points = network.relu, network.n_points

    def forward(self, static: torch.Tensor, dynamic: torch.Tensor, strokes: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, classes, points)."""
        return answered(self, static, dynamic, strokes)
