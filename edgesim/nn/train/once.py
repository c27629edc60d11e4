"""Networks that are made out of a trained one: trained once, then taken from the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from edgesim.nn.train.cache import fingerprint
from edgesim.nn.train.cards import content_key, provenance
from edgesim.nn.train.training import about, fit, measured, reproducible, task_determinants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from edgesim.domain.networks.samples import Dataset
    from edgesim.domain.networks.training import Training
    from edgesim.interfaces import Progress
    from edgesim.nn.train.cache import NetworkCache
    from edgesim.nn.train.training import Reached

N = TypeVar("N", bound=nn.Module)


def trained_once(
    kind: str,
    network_key: str,
    dataset: Dataset,
    training: Training,
    *,
    make: Callable[[], N],
    lesson: Callable[[N, torch.Generator], Callable[[torch.Tensor, int], torch.Tensor]],
    validate: Callable[[N], Reached],
    measure: Callable[[N, Dataset, int], dict[str, float]] = measured,
    options: Mapping[str, Any],
    label: str,
    seed: int,
    progress: Progress,
    cache: NetworkCache,
) -> tuple[N, str, dict[str, float]]:
    """Return a network in evaluation mode, its key and its metrics; trained, measured and kept, or taken from the cache.

    Parameters
    ----------
    kind : what it is, in words; names its random streams, too.
    network_key : of the network that it is made out of.
    dataset : trains on ``train``, selects the epoch on ``validation``; ``test`` is only measured, at the end.
    training : options.
    make : builds it untrained.
    lesson : is given it and the generator of its draws; returns what `fit` needs, the loss of a batch in an epoch.
    validate : tells how good it is behind an epoch; selects the epoch.
    measure : returns the metrics, given also the data set and the selected epoch.
    options : what else determines its weights.
    label : what the progress bar says.
    seed : of all draws.
    progress : one unit per epoch; nothing is shown when it comes from the cache.
    cache : where it is looked up and kept; an unfinished training goes on from its last epoch.
    """
    determinants = provenance(
        kind, dataset=fingerprint(dataset), network=network_key, training=training, seed=seed, **options,
        **task_determinants(dataset.task),
    )  # fmt: skip
    key = content_key(determinants)
    with reproducible(seed, kind) as draws:
        network = make()
        found = cache.restore(key, network, dataset.task.scores[0].name)
        if found is not None:
            return network.eval(), key, found
        epoch = fit(
            network,
            lesson(network, draws),
            training,
            n_samples=len(dataset.train),
            validate=lambda: validate(network),
            draws=draws,
            label=label,
            progress=progress,
            checkpoint=cache.checkpoint_path(key),
        )
        metrics = measure(network, dataset, epoch)
    cache.store(key, network.state_dict(), determinants, metrics, about(dataset, network))
    return network.eval(), key, metrics
