"""Whether a data set and the networks that learn from it go together: seen with two samples, before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgesim.errors import FOREIGN, DataError, EdgesimError, PlanError
from edgesim.nn.cost import measure
from edgesim.nn.modules import up_to

if TYPE_CHECKING:
    from torch import nn

    from edgesim.domain.model import Dataset, Split
    from edgesim.interfaces import ModelBuilder


def check_dataset(dataset: Dataset) -> None:
    """Refuse a data set from which nothing can be learnt, or of which numbers would mean nothing.

    Raises
    ------
    DataError
        When a split is empty, samples are no images, inputs are not finite, labels are no classes, or there is one class only.
    """
    for part in ("train", "validation", "test"):
        _check_split(f"{dataset.name}: {part}", getattr(dataset, part), dataset)
    if dataset.n_classes < 2:
        raise DataError(f"{dataset.name}: has {dataset.n_classes} class; a network is asked which of several it is")


def _check_split(name: str, split: Split, dataset: Dataset) -> None:
    if not len(split):
        raise DataError(f"{name}: there are no samples; each split needs some")
    if split.inputs.shape[1:] != dataset.input_shape:
        raise DataError(f"{name}: samples of shape {split.inputs.shape[1:]}, in training {dataset.input_shape}")
    if split.inputs.dtype != np.float32 or split.labels.dtype != np.int64:
        raise DataError(
            f"{name}: inputs are {split.inputs.dtype}, labels {split.labels.dtype}; expected float32 and int64"
        )
    if not (np.isfinite(split.inputs.min()) and np.isfinite(split.inputs.max())):
        first = int(np.argmin(np.isfinite(split.inputs).reshape(len(split), -1).all(axis=1)))
        raise DataError(f"{name}: sample {first} holds values that are not finite; mend or leave it out")
    low, high = int(split.labels.min()), int(split.labels.max())
    if low < 0 or high >= dataset.n_classes:
        raise DataError(f"{name}: labels from {low} to {high}, but classes are 0 to {dataset.n_classes - 1}")


def check_networks(model: ModelBuilder, strategies: dict[str, Any], dataset: Dataset) -> None:
    """Refuse networks that do not fit the data: the workload's and those that strategies train.

    Parameters
    ----------
    model : of the workload.
    strategies : by label; one with a field ``student`` trains such networks, one with ``n_parts`` divides filters into so many.
    dataset : sound, see `check_dataset`.

    Raises
    ------
    DataError
        When a network cannot be built or traced, does not take a sample, gives no logits of the classes, has nothing to train,
        or has no such layer.
    PlanError
        When there are more parts than filters.
    """
    network = checked_network(model, dataset, "the network of the workload")
    for label, strategy in strategies.items():
        n_parts = getattr(strategy, "n_parts", None)
        if n_parts is not None:
            n_filters = _n_filters(network, dataset, model.last_conv(), "the network of the workload")
            if n_parts > n_filters:
                raise PlanError(
                    f"strategy {label!r}: {n_filters} filters cannot be divided into {n_parts} parts; use fewer "
                    "students or parts, or a network with more filters"
                )
        student = getattr(strategy, "student", None)
        if student is not None:
            name = f"the student of strategy {label!r}"
            small = checked_network(student, dataset, name)
            if n_parts is not None:
                _n_filters(small, dataset, student.last_conv(), name)


def checked_network(builder: ModelBuilder, dataset: Dataset, name: str) -> nn.Module:
    """Return a network that answers two samples of a data set as it must; see `check_networks`."""
    with torch.random.fork_rng(devices=[]):
        network = builder.build(dataset.input_shape, dataset.n_classes).eval()
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise DataError(f"{name} has no parameter that can be trained; is everything frozen?")
        measure(network, dataset.input_shape)
        answers = _asked(network, dataset, name)
        again, alone = _asked(network, dataset, name), _asked(network, dataset, name, 1)
    if not isinstance(answers, torch.Tensor):
        raise DataError(f"{name} gives a {type(answers).__name__}; its forward method must give one tensor of logits")
    if answers.dtype != torch.float32:
        raise DataError(f"{name} gives {answers.dtype}; its parameters must be torch.float32: call `.float()` on it")
    if tuple(answers.shape) != (2, dataset.n_classes):
        raise DataError(
            f"{name} gives a tensor of shape {tuple(answers.shape)} for 2 samples; {dataset.name} has {dataset.n_classes} classes, so "
            f"it must be (2, {dataset.n_classes}); let its constructor take `n_classes`"
        )
    if not torch.isfinite(answers).all():
        raise DataError(f"{name} answers with what is not finite before it is trained; look at its forward method")
    if not torch.equal(answers, again):
        raise DataError(
            f"{name} answers differently when it is asked again; nothing may be drawn in evaluation (dropout: pass `self.training`)"
        )
    if not torch.allclose(answers[:1], alone, rtol=1e-3, atol=1e-3 * float(answers.abs().max())):
        raise DataError(
            f"{name} answers a sample differently beside another one; answers may not depend on the batch (batch normalisation in "
            "training mode, or a mean over the batch)"
        )
    return network


def _asked(network: nn.Module, dataset: Dataset, name: str, n_samples: int = 2) -> Any:
    inputs = torch.from_numpy(np.resize(dataset.train.inputs[:2], (2, *dataset.input_shape))[:n_samples].copy())
    try:
        with torch.no_grad():
            return network(inputs)
    except EdgesimError:
        raise
    except FOREIGN as error:
        first = str(error).strip().split("\n", maxsplit=1)[0]
        raise DataError(
            f"{name} does not take {n_samples} samples of shape {dataset.input_shape}, {inputs.dtype}: {type(error).__name__}: {first}"
        ) from error


def _n_filters(network: nn.Module, dataset: Dataset, layer: str, name: str) -> int:
    try:
        part = up_to(network, layer)
    except DataError as error:
        raise DataError(f"{name}: {error}; say in `filters` which one is the last convolution") from error
    maps = _asked(part, dataset, name)
    if not isinstance(maps, torch.Tensor) or maps.ndim != 4:
        form = f"tensors of shape {tuple(maps.shape[1:])}" if isinstance(maps, torch.Tensor) else type(maps).__name__
        raise DataError(
            f"{name}: layer {layer!r} gives {form}; filters are the channels of a convolution's output: name one in `filters`, or take "
            "a strategy that needs none (single, modnn, ensemble)"
        )
    return int(maps.shape[1])
