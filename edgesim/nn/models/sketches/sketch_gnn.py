"""A network on the graph of a sketch's strokes. Importing this needs no torch; `build` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from edgesim.domain.bounds import whole
from edgesim.domain.networks.samples import SampleKind
from edgesim.errors import DataError
from edgesim.nn.data.sketches.strokes import POINTS, STROKES
from edgesim.nn.models.sketches.joined import DILATIONS, N_NEAREST

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class SketchGNN:
    """SketchGNN: edge convolutions along the strokes beside others that also join points that are near in what they have learnt.

    Each branch is a layer of 32 channels and three residual ones; the answers of all four are joined. The static branch joins neighbours on a stroke. The
    dynamic branch joins to them 8 of the nearest points in its present features: of the 8 d nearest, the point itself among them, every d-th, d =
    1, 4, 8, 16. What it found is pooled over the whole sketch and over each stroke, and given back to each point beside the static features. Layers are
    called ``static.0`` ..., ``dynamic.0`` ..., ``whole``, ``stroke``, ``classifier``.

    Parameters
    ----------
    dynamic : whether there is a dynamic branch; without it the static features are pooled, 6,400 parameters less.
    random_neighbours : probability with which, in training, 8 random ones of the 8 d nearest points are taken in place of every d-th.

    Formula
    -------
    x_i' = max over the neighbours j of i of ReLU(W [x_i ; x_j - x_i] + b), 0 for a point without neighbours; x' + x in residual layers. It is computed as
    ReLU(W_1 x_i + b + max_j W_2 x_j), the same function with W = [W_1 + W_2 ; W_2] in other coordinates. Parameters for c classes: 104,256 + 67 c: 104,524 for 4.

    References
    ----------
    L. Yang, J. Zhuang, H. Fu, X. Wei, K. Zhou, Y. Zheng, SketchGNN: Semantic Sketch Segmentation with Graph Neural Networks, ACM TOG 40(3), 2021, arXiv
    2003.00678, and the authors' code (sYeaLumin/SketchGNN): widths, dilations, batch normalisation of the last layer.
    """

    kind_of_samples: ClassVar[SampleKind] = "sketches"
    dynamic: bool = True
    random_neighbours: Annotated[float, Ge(0), Le(1)] = 0.1

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When the data are no sketches, or have fewer points than the widest dilation wants.
        """
        from edgesim.nn.models.sketches.network import SketchNetwork

        if set(inputs) != {POINTS, STROKES}:
            raise DataError(
                f"sketch-gnn takes `{POINTS}` and `{STROKES}`, but the data set gives {', '.join(inputs)}; choose sketches"
            )
        n_points = inputs[POINTS].shape[0]
        whole("sketch-gnn", 2, points=n_points)
        if len(output.shape) != 2 or output.shape[1] != n_points:
            raise DataError(
                f"sketch-gnn answers for each of {n_points} points, but the task wants an answer of shape {output.shape}"
            )
        if self.dynamic and n_points < N_NEAREST * DILATIONS[-1]:
            raise DataError(
                f"sketch-gnn looks for the {N_NEAREST * DILATIONS[-1]} nearest points, but a sketch has {n_points}; give more points, or `dynamic: false`"
            )
        return SketchNetwork(
            output.shape[0], n_points, is_dynamic=self.dynamic, random_neighbours=self.random_neighbours
        )

    def filter_layer(self) -> None:
        """Return None: an answer for each point has no vector of features for students to divide."""
