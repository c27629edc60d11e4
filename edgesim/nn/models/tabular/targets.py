"""One small network per question, side by side. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Len, Lt

from edgesim.domain.networks.samples import SampleKind
from edgesim.errors import DataError
from edgesim.nn.models.shapes import vector

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class TargetNetworks:
    """A multi-layer perceptron for each yes-or-no question, e.g. one per target that a molecule may bind to.

    Nothing is shared, so each network is trained by its own question alone, and can run on a device of its own: see the strategy
    ``per-target``. The layers are called ``networks.0.linear1``, ``networks.0.relu1``, ...; the input may be whole numbers, as bits are.

    Parameters
    ----------
    hidden : units of the hidden layers of each, in order.
    dropout : share of the activations behind each ReLU that is dropped in training.

    References
    ----------
    T. E. H. Allen et al., Neural network activation similarity, Chemical Science 11, 2020, doi 10.1039/d0sc01637c.
    """

    kind_of_samples: ClassVar[SampleKind] = "rows of numbers"
    hidden: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (100, 100)
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained networks, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When a sample is not one row of numbers, or an answer none.
        """
        from edgesim.nn.models.tabular.target_networks import SideBySide

        specs = list(inputs.values())
        if len(specs) != 1 or len(specs[0].shape) != 1 or specs[0].n_values is not None:
            given = ", ".join(f"{name!r}: {spec}" for name, spec in inputs.items())
            raise DataError(
                f"target-networks takes one row of numbers, shape (features,), but the data set gives {given}; choose another model"
            )
        return SideBySide(specs[0].shape[0], self.hidden, self.dropout, vector("target-networks", output))

    def filter_layer(self) -> None:
        """Return None: its networks share no units that could be divided."""
