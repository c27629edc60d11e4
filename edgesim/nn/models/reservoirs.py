"""Fast and deep networks for graphs: random reservoirs, and a read-out that is solved for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len

from edgesim.domain.networks.samples import SampleKind
from edgesim.nn.models.shapes import graph, vector

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)


@dataclass(frozen=True, slots=True)
class FDGNN:
    """Random reservoirs side by side that settle on a graph, and a linear read-out of them by ridge regression.

    A layer gives vertex v the state x_v at the fixed point of x_v = tanh(W u_v + sum over its neighbours v' of V x_v'), u_v the features of the vertex or
    its state in the layer before. W and V are random and never trained. The features of a graph are tanh(P sum_v x_v) of the last layer, P random;
    the read-out on the features of all reservoirs is the ridge regression on the classes of the training split, one-hot, with the
    penalty that is best on the validation split. All graphs are iterated from 0 as often, so no answer depends on others. With neither bias nor edges,
    what is padded stays zero.

    Parameters
    ----------
    reservoirs : their number; they differ in nothing but what was drawn.
    layers : of each, one on top of the other.
    units : of a layer; the numbers of a state.
    fan_in : how many numbers of its input, and of the state, a unit reads.
    rho : what V is scaled to, times k, k the largest degree in the training split.
    scaled_by : what of V is scaled: its largest singular ``value``, which makes the fixed point unique and stable where rho is below 1, or its spectral
        ``radius``, as in the paper, for which a rho below 1 is necessary, but not enough.
    omega : entries of W are drawn from -omega to omega.
    iterations : of each layer. When it has not settled then, to `tolerance` on the training split, the network is refused.
    tolerance : largest change of a number in the last iteration.
    features : numbers that a reservoir gives.
    gain : entries of P are drawn from -gain to gain.
    penalties : of ridge regression, that are tried.
    survival : probability with which a reservoir's features are there in the error that is made small, at their mean otherwise; below 1 this is
        failout in closed form, which prepares the read-out for losses.

    References
    ----------
    C. Gallicchio, A. Micheli, Fast and Deep Graph Neural Networks, AAAI 2020, arXiv 1911.08941. Assumed: `gain`; the same number of iterations for
    all graphs, where the paper stops when a graph has settled.
    """

    kind_of_samples: ClassVar[SampleKind] = "graphs"
    reservoirs: Annotated[int, Ge(1)] = 1
    layers: Annotated[int, Ge(1)] = 2
    units: Annotated[int, Ge(1)] = 50
    fan_in: Annotated[int, Ge(1)] = 1
    rho: Annotated[float, Gt(0)] = 0.9
    scaled_by: Literal["value", "radius"] = "value"
    omega: Annotated[float, Gt(0)] = 1.0
    iterations: Annotated[int, Ge(1)] = 30
    tolerance: Annotated[float, Gt(0)] = 1e-3
    features: Annotated[int, Ge(1)] = 100
    gain: Annotated[float, Gt(0)] = 0.1
    penalties: Annotated[tuple[Annotated[float, Gt(0)], ...], Len(1)] = PENALTIES
    survival: Annotated[float, Gt(0), Le(1)] = 1.0

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the network with its random weights, drawn from torch's global generator, and a read-out that is not solved for yet."""
        from edgesim.nn.models.reservoir_networks import ReservoirNetwork

        n_vertices, n_features = graph("fdgnn", inputs)
        options = dataclasses.asdict(self)
        return ReservoirNetwork(n_vertices, n_features, vector("fdgnn", output), **options)

    def filter_layer(self) -> None:
        """Return nothing: random units hold no knowledge to divide."""
