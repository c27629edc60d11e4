"""A learned parity over several queries at once: any one device lost, approximate answers for its query (ParM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.networks.training import Training
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import known_device
from edgesim.strategies.queries.codes import SumOfQueries
from edgesim.strategies.queries.groups import QueryGroups, check_queries, decoded, encoded, group_plan, in_groups
from edgesim.strategies.queries.kernels import query_kernels
from edgesim.strategies.students.networks import workload_of
from edgesim.units import Seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgesim.domain.networks.samples import Samples
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext


@dataclass(frozen=True, slots=True)
class ParM:
    """Ask each device one query, and one more device about their sum; its network has learned to answer with the sum of the answers.

    A request is a group of k queries, one for each worker, which the source has all at once. Any k of the k + 1 results are enough: an
    answer that is missing is the parity's less those of the others. So what arrives by itself is exact, and what is decoded is as good as the
    parity network, which has the architecture of the network of the workload.

    Parameters
    ----------
    parity : id of the device that answers the sum.
    workers : pattern of the devices that answer queries, k of them; the parity is no worker.
    merger : device that decodes; the sink by default.
    deadline_s : how long the merger waits for k results, from the release of the request; queries of which nothing can be said have zeros as an answer then. Without
        a deadline it waits for ever where fewer come.
    training : of the parity network, which begins with the weights of the network of the workload.

    Formula
    -------
    Loss of the parity network g: mean squared error of g(x_1 + ... + x_k) against f(x_1) + ... + f(x_k), each sample of the training split with k - 1 others
    at random. Answer of a lost query j = g(x_1 + ... + x_k) - sum over the others of f(x_i). Traffic of a group = (k + 1) (input + answer).

    Validity
    --------
    Latency, traffic and energy are those of a group of k queries. One lost device per group is decoded; a second leaves both queries without an answer. The
    score is over groups of the test split in its order. Results that are late but not lost count in the score as if they had
    been there, though nothing waits for them. Queries must be numbers that can be added, not tokens.

    References
    ----------
    J. Kosaian, K. V. Rashmi, S. Venkataraman, Parity Models: Erasure-Coded Resilience for Prediction Serving Systems, SOSP 2019, doi 10.1145/3341301.3359654 (one
    parity, sums). Ours: it begins with trained weights, and the epoch is chosen by decoded answers on the validation split.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset(
        {"images of one class each", "images with a class of each pixel", "images with boxes", "rows of numbers"}
    )
    parity: DeviceId
    workers: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None
    training: Training = Training(epochs=40)  # noqa: RUF009 - frozen

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when fewer than two workers match."""
        n_workers = len(self._worker_ids(topology))
        if n_workers < 2:
            raise PlanError(
                f"parm.workers: {self.workers!r} matches {n_workers} devices but the parity; a sum of queries needs at least 2"
            )

    def _worker_ids(self, topology: Topology) -> tuple[str, ...]:
        return tuple(name for name in topology.device_of if is_selected(name, self.workers) and name != self.parity)

    def deploy(self, context: DeploymentContext) -> QueryGroups:
        """Train the parity network or take it from the cache, and place all.

        Raises
        ------
        PlanError
            When a device is unknown, fewer than two workers match, or queries cannot be added up.
        """
        from edgesim.nn.distill.parity import train_parity
        from edgesim.nn.train.cache import NetworkCache

        known_device(context, "parm.parity", self.parity)
        self.check(context.topology)
        check_queries(context)
        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        worker_ids, dataset = self._worker_ids(context.topology), context.dataset
        code = SumOfQueries(len(worker_ids))
        parity, key = train_parity(
            context.network, context.network_key, dataset, code.n_queries, self.training, seed=context.seed,
            progress=context.progress, cache=NetworkCache.default(),
        )  # fmt: skip
        cost = workload_of(context.network, dataset.inputs)
        placed = [(name, cost) for name in (*worker_ids, self.parity)]
        plan, needs = group_plan(context, code, placed, merger_id, self.deadline_s)
        score, validation = dataset.task.scores[0], dataset.validation
        seen = _results(context.network, parity, code, validation)
        by_lost = [
            score.of(decoded(code, seen, [one != lost for one in range(len(placed))], len(validation)), validation.targets)
            for lost in range(len(worker_ids))
        ]  # fmt: skip
        facts: dict[str, Any] = {
            "queries": code.n_queries,
            "workers": list(worker_ids),
            "parity": self.parity,
            f"validation_{score.name}_with_a_worker_lost": sum(by_lost) / len(by_lost),
            "networks_key": key,
        }
        results = _results(context.network, parity, code, dataset.test)
        networks = [*[context.network] * code.n_queries, parity]
        here = Here(lambda: query_kernels(plan, code, networks, list(dataset.inputs)))
        return QueryGroups(plan, code, results, len(dataset.test), needs, self.deadline_s is None, facts, here)


def _results(network: nn.Module, parity: nn.Module, code: SumOfQueries, samples: Samples) -> NDArray[np.float32]:
    """Return what each worker says of its query in each group, and the parity network of the sum."""
    import numpy as np

    from edgesim.nn.train.training import forward

    own = forward(network, samples.inputs)[in_groups(len(samples), code.n_queries)]
    sums = {name: encoded(values, code.encoding()[-1]) for name, values in samples.inputs.items()}
    return np.stack([*np.moveaxis(own, 1, 0), forward(parity, sums)])
