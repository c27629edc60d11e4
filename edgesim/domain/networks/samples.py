"""Samples: named tensors that a network is given, and what it should answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from edgesim.domain.networks.task import Task, TensorSpec
from edgesim.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


SampleKind = Literal[
    "images of one class each",
    "images with a class of each pixel",
    "images with boxes",
    "rows of numbers",
    "texts",
    "texts whose next character is asked",
    "graphs",
    "sketches",
    "tokens of a decoder",
]
"""What a data set has, and a model answers, in words."""
Inputs = Mapping[str, TensorSpec]
"""What a network is given for one sample, by name. A network of one input takes it whatever it calls it; several are matched by
the names of the parameters of its forward method."""


def inputs_of(given: Inputs | tuple[int, ...]) -> Inputs:
    """Return inputs; a plain shape stands for one float32 tensor.

    Examples
    --------
    >>> inputs_of((1, 8, 8))
    {'inputs': TensorSpec(shape=(1, 8, 8), dtype='float32')}
    """
    return given if isinstance(given, Mapping) else {"inputs": TensorSpec(tuple(given))}


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Some samples of a data set.

    Parameters
    ----------
    inputs : named arrays whose first axis counts the samples: images ``(n, channels, height, width)``, tokens ``(n, length)``, nodes
        ``(n, vertices, features)`` beside an adjacency ``(n, vertices, vertices)``, each padded to a common size.
    targets : what the task compares answers with, shape (n, ...).

    Raises
    ------
    DataError
        When they differ in number.

    Examples
    --------
    >>> import numpy as np
    >>> samples = Samples({"x": np.array([[1.0], [2.0], [3.0]])}, np.array([0, 1, 1]))
    >>> len(samples), samples[1:].only.tolist(), samples[samples.targets == 0].only.tolist()
    (3, [[2.0], [3.0]], [[1.0]])
    """

    inputs: Mapping[str, NDArray[Any]]
    targets: NDArray[Any]

    def __post_init__(self) -> None:
        if not self.inputs:
            raise DataError("samples have no inputs; give at least one array")
        for name, array in self.inputs.items():
            if len(array) != len(self.targets):
                raise DataError(f"there are {len(array)} samples of {name!r}, but {len(self.targets)} targets")

    @property
    def only(self) -> NDArray[Any]:
        """The only input.

        Raises
        ------
        DataError
            When there are several.
        """
        if len(self.inputs) > 1:
            raise DataError(f"samples have {len(self.inputs)} inputs ({', '.join(self.inputs)}); one was expected")
        return next(iter(self.inputs.values()))

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, which: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Samples:
        """Return some of the samples, in the order asked."""
        return Samples({name: array[which] for name, array in self.inputs.items()}, self.targets[which])


class Augmentation(Protocol):
    """How training samples vary from epoch to epoch; a data set names those that make sense for it."""

    def draw(self, inputs: Inputs, n: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """Draw what varies, for all `n` samples at once: tensors whose first axis counts the samples."""

    def apply(self, samples: Mapping[str, torch.Tensor], drawn: tuple[torch.Tensor, ...]) -> Mapping[str, torch.Tensor]:
        """Return some samples varied, given what was drawn for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set in three disjoint splits.

    Training sees `train` only; model selection, filter activations and fitted heads see `validation`; every reported
    score is of `test`, which nothing else touches.

    Parameters
    ----------
    name : as registered, with options.
    train, validation, test : the splits.
    task : what answers mean.
    licence, source : where it comes from.
    augmentations : how training samples may vary from epoch to epoch, by the name that a training asks for.
    n_values : of an input of whole numbers that name something, as tokens do: how many there are, 0 to n - 1.
    """

    name: str
    train: Samples
    validation: Samples
    test: Samples
    task: Task
    licence: str
    source: str
    augmentations: Mapping[str, Augmentation] = field(default_factory=dict)
    n_values: Mapping[str, int] = field(default_factory=dict)

    @property
    def inputs(self) -> Inputs:
        """The tensors of one sample."""
        return {
            name: TensorSpec(array.shape[1:], str(array.dtype), self.n_values.get(name))
            for name, array in self.train.inputs.items()
        }
