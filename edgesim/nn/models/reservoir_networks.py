"""The modules of `edgesim.nn.models.reservoirs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from edgesim.errors import DataError
from edgesim.nn.models.branched import Branched
from edgesim.nn.models.ridge import best_ridge
from edgesim.nn.train.training import forward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Dataset, Samples


ScaledBy = Literal["value", "radius"]


def fixed(matrix: torch.Tensor) -> nn.Linear:
    """Return the product with a matrix, inputs x outputs, that is not trained."""
    product = nn.Linear(matrix.shape[0], matrix.shape[1], bias=False)
    product.weight = nn.Parameter(matrix.T.contiguous(), requires_grad=False)
    return product


class Round(nn.Module):
    """One iteration of a layer: new states of all vertices from those of their neighbours.

    Parameters
    ----------
    recurrent : V, units x units.
    """

    def __init__(self, recurrent: torch.Tensor) -> None:
        super().__init__()
        self.recurrent = fixed(recurrent)

    def forward(self, states: torch.Tensor, drive: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
        """Return tanh(drive + sum over neighbours V x), all of shape (n, vertices, units)."""
        return torch.tanh(drive + self.recurrent(neighbours @ states))


class Neighbours(nn.Module):
    """Sums over neighbours as a product with a matrix, scaled by one over the largest degree.

    Parameters
    ----------
    scale : the factor; it is set when the read-out is solved for.
    """

    scale: torch.Tensor

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, adjacency: torch.Tensor) -> torch.Tensor:
        """Return the matrices, float32 of shape (n, vertices, vertices)."""
        return adjacency.to(torch.float32) * self.scale


class ReservoirLayer(nn.Module):
    """A layer: W, and rounds from 0.

    Parameters
    ----------
    entering : W, features x units.
    recurrent : V, units x units, of spectral radius `rho`.
    iterations : number of rounds; in the first all states are 0, so that there is nothing to sum.
    """

    def __init__(self, entering: torch.Tensor, recurrent: torch.Tensor, iterations: int) -> None:
        super().__init__()
        self.entering = fixed(entering)
        self.round = Round(recurrent)
        self.iterations = iterations

    def forward(self, features: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
        """Return the states behind the last round, shape (n, vertices, units)."""
        drive = self.entering(features)
        states = torch.tanh(drive)
        for _ in range(self.iterations - 1):
            states = self.round(states, drive, neighbours)
        return states


class Reservoir(nn.Module):
    """Layers, the sum over all vertices, and random features of it.

    Parameters
    ----------
    layers : one on top of the other.
    projection : P, units x features.
    """

    def __init__(self, layers: Sequence[ReservoirLayer], projection: torch.Tensor) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.projection = fixed(projection)

    def forward(self, vertices: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
        """Return the features of graphs, shape (n, features)."""
        for layer in self.layers:
            vertices = layer(vertices, neighbours)
        return torch.tanh(self.projection(vertices.sum(dim=1)))


class _Alone(nn.Module):
    """One reservoir with the sums over neighbours, and what stands behind it."""

    def __init__(self, neighbours: Neighbours, reservoir: nn.Module, behind: nn.Module) -> None:
        super().__init__()
        self.neighbours, self.reservoir, self.behind = neighbours, reservoir, behind

    def forward(self, vertices: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.behind(self.reservoir(vertices, self.neighbours(adjacency)))
        return found


class ReservoirNetwork(Branched):
    """See `edgesim.nn.models.reservoirs.FDGNN`.

    Parameters
    ----------
    n_vertices : of the largest graph; the largest degree is taken as one less until the read-out is solved for.
    n_inputs : features of a vertex.
    n_outputs : classes.
    reservoirs, layers, units, fan_in, rho, scaled_by, omega, iterations, tolerance, features, gain, penalties, survival : as in
        `edgesim.nn.models.reservoirs.FDGNN`.
    """

    def __init__(
        self,
        n_vertices: int,
        n_inputs: int,
        n_outputs: int,
        *,
        reservoirs: int,
        layers: int,
        units: int,
        fan_in: int,
        rho: float,
        scaled_by: ScaledBy,
        omega: float,
        iterations: int,
        tolerance: float,
        features: int,
        gain: float,
        penalties: Sequence[float],
        survival: float,
    ) -> None:
        super().__init__()
        self.tolerance, self.penalties, self.n_units = tolerance, tuple(penalties), units
        self.iterations, self.survival = (iterations,) * layers, survival

        def layer(n_entering: int) -> ReservoirLayer:
            entering, recurrent = (
                sparse(n_entering, units, fan_in) * omega,
                scaled(sparse(units, units, fan_in), rho, scaled_by),
            )
            return ReservoirLayer(entering, recurrent, iterations)

        self.branches = nn.ModuleList([
            Reservoir(
                [layer(n_inputs if number == 0 else units) for number in range(layers)],
                (2 * torch.rand(units, features) - 1) * gain,
            )
            for _ in range(reservoirs)
        ])  # fmt: skip
        self.head = nn.Linear(reservoirs * features, n_outputs)
        self.neighbours = Neighbours(1.0 / max(1, n_vertices - 1))

    def forward(self, vertices: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        """Return a number for each class, shape (n, classes)."""
        neighbours = self.neighbours(adjacency)
        features = torch.cat([branch(vertices, neighbours) for branch in self.branches], dim=1)
        answers: torch.Tensor = self.head(features)
        return answers

    def alone(self, number: int, behind: nn.Module | None = None) -> nn.Module:
        """Return a reservoir, from the inputs, and what stands behind it."""
        return _Alone(self.neighbours, self.branches[number], behind or nn.Identity())

    def layers(self) -> list[list[ReservoirLayer]]:
        """Return the layers of each reservoir."""
        return [
            [layer for layer in reservoir.layers if isinstance(layer, ReservoirLayer)]
            for reservoir in self.reservoirs()
        ]

    def reservoirs(self) -> list[Reservoir]:
        """Return the branches, each a reservoir."""
        return [branch for branch in self.branches if isinstance(branch, Reservoir)]

    def n_weights(self) -> tuple[int, int]:
        """Return how many numbers all layers have, and how many the rest."""
        n_layers = sum(one.numel() for name, one in self.named_parameters() if ".layers." in name)
        return n_layers, sum(one.numel() for one in self.parameters()) - n_layers

    def features_of(self, number: int, samples: Samples) -> NDArray[np.float32]:
        """Return the features that a reservoir gives to samples, shape (n, features)."""
        return forward(self.alone(number), samples.inputs)

    def solve(self, dataset: Dataset) -> None:
        """Scale the sums over neighbours by the largest degree of the training split, and solve for the read-out.

        Raises
        ------
        DataError
            When the states have not settled, or the task is no classification.
        """
        degree = int(dataset.train.inputs["adjacency"].sum(axis=2, dtype=np.int64).max())
        self.neighbours.scale.fill_(1.0 / max(1, degree))
        self._check_settled(dataset.train)
        train, validation = (
            np.concatenate([self.features_of(number, samples) for number in range(len(self.branches))], axis=1)
            for samples in (dataset.train, dataset.validation)
        )
        known, asked = (train, dataset.train.targets), (validation, dataset.validation.targets)
        weights, bias = best_ridge(
            dataset.task, known, asked, self.penalties, n_blocks=len(self.branches), survival=self.survival
        )
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weights))
            self.head.bias.copy_(torch.from_numpy(bias))

    def _check_settled(self, samples: Samples) -> None:
        change = self.largest_change(samples)
        if change >= self.tolerance:
            raise DataError(
                f"the states of a reservoir have not settled: the last iteration changes them by up to {change:.2g}, more than {self.tolerance:g}; "
                "raise `iterations` or lower `rho`"
            )

    def largest_change(self, samples: Samples) -> float:
        """Return by how much one more iteration changes any number of a state at most."""
        largest = 0.0
        with torch.inference_mode():
            given = torch.from_numpy(samples.inputs["vertices"])
            neighbours = self.neighbours(torch.from_numpy(samples.inputs["adjacency"]))
            for layers in self.layers():
                vertices = given
                for layer in layers:
                    states = layer(vertices, neighbours)
                    again = layer.round(states, layer.entering(vertices), neighbours)
                    largest = max(largest, float((again - states).abs().max()))
                    vertices = states
        return largest


def sparse(n_inputs: int, n_units: int, fan_in: int) -> torch.Tensor:
    """Draw a matrix, inputs x units, in which each unit reads `fan_in` inputs with weights from -1 to 1."""
    matrix = torch.zeros(n_inputs, n_units)
    n_read = min(fan_in, n_inputs)
    for unit in range(n_units):
        matrix[torch.randperm(n_inputs)[:n_read], unit] = 2 * torch.rand(n_read) - 1
    return matrix


def scaled(matrix: torch.Tensor, rho: float, by: ScaledBy) -> torch.Tensor:
    """Scale a square matrix so that its largest singular value, or its spectral radius, is `rho`.

    Raises
    ------
    DataError
        When its radius is 0, which is drawn with very few units only.
    """
    plain = matrix.numpy().astype(np.float64)
    found = float(np.linalg.norm(plain, 2) if by == "value" else np.abs(np.linalg.eigvals(plain)).max())
    if found < 1e-6:
        raise DataError(
            "the states of a reservoir do not feed back: its random matrix is nilpotent; use more units, or a larger fan_in"
        )
    return matrix * (rho / found)
