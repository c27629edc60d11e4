"""What the filters of a trained network do on real samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgesim.nn.cost.surgery import with_filters
from edgesim.nn.cost.units import unit_axis
from edgesim.nn.tensors import ask, specs_of, tensors_of
from edgesim.nn.train.training import EVALUATION_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import fx, nn

    Run = Callable[[Mapping[str, torch.Tensor]], tuple[torch.Tensor, torch.Tensor]]


def filter_activities(network: nn.Module, layer: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return the activity of every filter for every sample: the mean of its output, negative values set to 0.

    The mean is over all axes but those of samples and filters: over space, tokens or vertices.

    The output is read behind the activation that follows, if one does; see `edgesim.nn.cost.surgery.with_filters`.

    Parameters
    ----------
    network : the teacher.
    layer : submodule whose units are the filters; see `edgesim.nn.cost.units.unit_axis`.
    inputs : named arrays whose first axis counts the samples.

    Returns
    -------
    Activities, shape (n, filters), at least 0.

    Raises
    ------
    DataError
        When the network has no such layer, or its output has no axis of units.
    """
    tensors = tensors_of(inputs)
    n_samples = len(next(iter(tensors.values())))
    which = torch.tensor_split(torch.arange(n_samples), max(1, -(-n_samples // EVALUATION_BATCH)))
    batches = ({name: tensor[some] for name, tensor in tensors.items()} for some in which)
    return answers_and_activities(network, layer, batches)[1]


def answers_and_activities(
    network: nn.Module, layer: str | None, batches: Iterable[Mapping[str, torch.Tensor]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the answers, shape (n, *output), and the activities of the filters, shape (n, filters), in one pass.

    Parameters
    ----------
    network, layer : as in `filter_activities`; without a layer there are no filters.
    batches : named samples.
    """
    network.eval()
    run = _without_layer(network) if layer is None else _with_activities(network, layer)
    answers, activities = [], []
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for batch in batches:
                answer, activity = run(batch)
                answers.append(answer)
                activities.append(activity)
            return torch.cat(answers).numpy(), torch.cat(activities).numpy()
    finally:
        torch.set_num_threads(n_threads)


def _without_layer(network: nn.Module) -> Run:
    def run(batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        answers = ask(network, batch)
        return answers, answers.new_empty((len(answers), 0))

    return run


def _with_activities(network: nn.Module, layer: str) -> Run:
    made: list[fx.GraphModule] = []

    def run(batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        if not made:
            made.append(with_filters(network, specs_of(batch), layer))
        (both,) = made
        answers, outputs = ask(both, batch)
        axis = unit_axis(both, layer, outputs)
        others = [other for other in range(1, outputs.ndim) if other != axis]
        return answers, (outputs.mean(dim=others) if others else outputs).clamp_min(0)

    return run
