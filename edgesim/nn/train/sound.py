"""Whether a data set and the networks that learn from it go together: seen with two samples, before anything is trained."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgesim.errors import FOREIGN, DataError, EdgesimError, NetworkError, PlanError
from edgesim.interfaces import FilterDividing, Solvable, StudentTeaching, is_trained
from edgesim.nn.cost.layers import measure
from edgesim.nn.cost.surgery import up_to
from edgesim.nn.cost.units import unit_axis
from edgesim.nn.tensors import ask, tensors_of
from edgesim.nn.words import show_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.interfaces import ModelBuilder, Strategy


def check_dataset(dataset: Dataset) -> None:
    """Refuse a data set from which nothing can be learnt, or of which numbers would mean nothing.

    Raises
    ------
    DataError
        When a split is empty, splits differ in their inputs, inputs are not finite, or targets are none of the task.
    """
    for part in ("train", "validation", "test"):
        _check_split(f"{dataset.name}: {part}", getattr(dataset, part), dataset)


def _check_split(name: str, split: Samples, dataset: Dataset) -> None:
    if not len(split):
        raise DataError(f"{name}: there are no samples; each split needs some")
    specs = replace(dataset, train=split).inputs
    if specs != dataset.inputs:
        raise DataError(f"{name}: {show_inputs(specs)}, in training {show_inputs(dataset.inputs)}")
    for input_name, array in split.inputs.items():
        if array.dtype.kind not in "fiub" or array.dtype == np.float64:
            raise DataError(f"{name}: {input_name!r} is {array.dtype}; expected float32 or whole numbers")
        if not (np.isfinite(array.min()) and np.isfinite(array.max())):
            first = int(np.argmin(np.isfinite(array).reshape(len(split), -1).all(axis=1)))
            raise DataError(f"{name}: sample {first} holds values that are not finite; mend or leave it out")
        n_values = specs[input_name].n_values
        if n_values is not None and not (array.min() >= 0 and array.max() < n_values):
            raise DataError(
                f"{name}: {input_name!r} has values from {array.min()} to {array.max()}; expected 0 to {n_values - 1}"
            )
    fault = dataset.task.fault(split.targets)
    if fault:
        raise DataError(f"{name}: {fault}")


def check_networks(model: ModelBuilder, strategies: Mapping[str, Strategy], dataset: Dataset) -> None:
    """Refuse networks that do not fit the data: the workload's and those that strategies train.

    Parameters
    ----------
    model : of the workload.
    strategies : by label; a `StudentTeaching` trains networks, a `FilterDividing` divides filters.
    dataset : sound, see `check_dataset`.

    Raises
    ------
    NetworkError
        When a network cannot be built or traced, does not take a sample, gives no answer of the task's shape, has nothing to train,
        or has no such layer.
    PlanError
        When there are more parts than filters, or students cannot learn from a teacher.
    """
    with _told_at("workload", "model"):
        network = checked_network(model, dataset, "the network of the workload")
    for label, strategy in strategies.items():
        if isinstance(strategy, FilterDividing):
            with _told_at("workload", "model"):
                n_filters = _n_filters(network, dataset, model.filter_layer(), "the network of the workload")
            if strategy.n_parts > n_filters:
                raise PlanError(
                    f"strategy {label!r}: {n_filters} filters cannot be divided into {strategy.n_parts} parts; use fewer "
                    "students or parts, or a network with more filters"
                )
        if isinstance(strategy, StudentTeaching):
            name = f"the student of strategy {label!r}"
            if is_trained(strategy.student):
                raise PlanError(f"{name} has `training: none`, but students learn; leave it out there")
            with _told_at("strategies", label):
                small = checked_network(strategy.student, dataset, name)
            if isinstance(small, Solvable):
                raise PlanError(
                    f"{name} is solved for, but students learn from a teacher step by step; choose another model"
                )
            if isinstance(strategy, FilterDividing):
                with _told_at("strategies", label):
                    _n_filters(small, dataset, strategy.student.filter_layer(), name)


@contextmanager
def _told_at(*place: str) -> Iterator[None]:
    """Say where in the scenario a network is named that is of no use."""
    try:
        yield
    except DataError as error:
        raise NetworkError(str(error), place) from error.__cause__


def checked_network(builder: ModelBuilder, dataset: Dataset, name: str) -> nn.Module:
    """Return a network that answers two samples of a data set as it must; see `check_networks`."""
    with torch.random.fork_rng(devices=[]):
        try:
            network = builder.build(dataset.inputs, dataset.task.output).eval()
        except NetworkError:
            raise
        except DataError as error:
            raise DataError(f"{name}: {error}") from error.__cause__
        if not is_trained(builder) and not any(parameter.requires_grad for parameter in network.parameters()):
            raise DataError(f"{name} has no parameter that can be trained; is everything frozen?")
        measure(network, dataset.inputs)
        answers = _asked(network, dataset, name)
        again, alone = _asked(network, dataset, name), _asked(network, dataset, name, 1)
    if not isinstance(answers, torch.Tensor):
        raise DataError(
            f"{name} gives a {type(answers).__name__}{_parts_of(answers)}; its forward method must give one tensor, or `output` of type: "
            "import name which of them is the answer"
        )
    if answers.dtype != torch.float32:
        raise DataError(f"{name} gives {answers.dtype}; its parameters must be torch.float32: call `.float()` on it")
    wanted = (2, *dataset.task.output.shape)
    if tuple(answers.shape) != wanted:
        raise DataError(
            f"{name} gives a tensor of shape {tuple(answers.shape)} for 2 samples; the task of {dataset.name} wants {wanted}; let its "
            "constructor take `n_classes` or `output_shape`"
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


def _parts_of(answers: Any) -> str:
    """Return how the things are called that a network gives."""
    if isinstance(answers, dict):
        return f" of {', '.join(map(str, answers))}"
    return f" of {len(answers)}" if isinstance(answers, (tuple, list)) else ""


def _asked(network: nn.Module, dataset: Dataset, name: str, n_samples: int = 2) -> Any:
    some = {key: np.resize(array[:2], (2, *array.shape[1:]))[:n_samples] for key, array in dataset.train.inputs.items()}
    inputs = tensors_of(some)
    try:
        with torch.no_grad():
            return ask(network, inputs)
    except EdgesimError:
        raise
    except FOREIGN as error:
        first = str(error).strip().split("\n", maxsplit=1)[0]
        raise DataError(
            f"{name} does not take {n_samples} samples with {show_inputs(dataset.inputs)}: {type(error).__name__}: {first}"
        ) from error


def _n_filters(network: nn.Module, dataset: Dataset, layer: str | None, name: str) -> int:
    if layer is None:
        raise DataError(
            f"{name} names no layer whose units are its filters; name one (type: import takes `filters`), or take a strategy that needs "
            "none (single, modnn, ensemble)"
        )
    try:
        part = up_to(network, dataset.inputs, layer)
        outputs = _asked(part, dataset, name)
        axis = unit_axis(part, layer, outputs)
        return int(outputs.shape[axis])
    except DataError as error:
        raise DataError(
            f"{name}: {error}; or take a strategy that needs no filters (single, modnn, ensemble)"
        ) from error
