"""Berrut's interpolation over several queries at once: any network, approximate answers, any few devices lost (ApproxIFER)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import known_device
from edgesim.strategies.queries.codes import BerrutCode
from edgesim.strategies.queries.groups import QueryGroups, check_queries, decoded, encoded, group_plan
from edgesim.strategies.queries.kernels import query_kernels
from edgesim.strategies.students.networks import workload_of
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Samples
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext


@dataclass(frozen=True, slots=True)
class ApproxIFER:
    """Ask devices about mixtures of several queries, and interpolate the answers from those that came.

    A request is a group of k queries, which the source has all at once. Every device runs the whole network on a point of a rational curve through
    the queries; the merger interpolates what they say, and reads off the curve of answers where the queries lie. Any k of the n results are
    waited for. Nothing is trained, and no device sees a query as it is.

    Parameters
    ----------
    queries : k, queries in a request.
    devices : pattern of the devices that compute, n of them, more than k.
    merger : device that decodes; the sink by default.
    deadline_s : how long the merger waits for k results, from the release of the request; it then goes on with those that came. Without a deadline it waits for
        ever where fewer come.

    Formula
    -------
    See `edgesim.strategies.queries.codes.BerrutCode`. Traffic of a group = n inputs + n answers, for k queries.

    Validity
    --------
    Latency, traffic and energy are those of a group of k queries. The answers are approximate even with nothing lost; the score is that of the real network with
    what is interpolated, over groups of the test split in its order. Results that are late but not lost count in the score as if they had
    been there, though nothing waits for them. Queries must be numbers that can be mixed, not tokens.

    References
    ----------
    M. Soleymani, R. E. Ali, H. Mahdavifar, A. S. Avestimehr, ApproxIFER: A Model-Agnostic Approach to Resilient and Robust Prediction Serving Systems, AAAI 2022,
    arXiv:2109.09868 (the code, points of Chebyshev). J.-P. Berrut, Rational functions for guaranteed and experimentally well-conditioned global interpolation,
    Computers & Mathematics with Applications 15(1), 1988. Not here: errors of devices that lie.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset(
        {"images of one class each", "images with a class of each pixel", "images with boxes", "rows of numbers"}
    )
    queries: Annotated[int, Ge(1)] = 3
    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when there are not more devices than queries."""
        if len(self._device_ids(topology)) <= self.queries:
            raise PlanError(
                f"approxifer.queries: {self.queries} queries need more devices, but {self.devices!r} matches {len(self._device_ids(topology))}; ask fewer "
                "queries at once, or match more devices"
            )

    def _device_ids(self, topology: Topology) -> tuple[str, ...]:
        return tuple(name for name in topology.device_of if is_selected(name, self.devices))

    def deploy(self, context: DeploymentContext) -> QueryGroups:
        """Return the deployment; what every device says of every group of the test split is computed here, once.

        Raises
        ------
        PlanError
            When there are not more devices than queries, or queries cannot be added up.
        """
        import numpy as np

        self.check(context.topology)
        check_queries(context)
        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        device_ids = self._device_ids(context.topology)
        cost = workload_of(context.network, context.dataset.inputs)
        code = BerrutCode(self.queries, len(device_ids))
        plan, needs = group_plan(context, code, [(name, cost) for name in device_ids], merger_id, self.deadline_s)
        facts: dict[str, Any] = {"queries": self.queries, "devices": list(device_ids)}
        dataset, score = context.dataset, context.dataset.task.scores[0]
        if len(dataset.validation):
            seen = _results(context, code, dataset.validation)
            facts[f"validation_{score.name}"] = score.of(
                decoded(code, seen, [True] * len(device_ids), len(dataset.validation)), dataset.validation.targets
            )
        results = (
            _results(context, code, dataset.test)
            if len(dataset.test)
            else np.empty((len(device_ids), 0, *dataset.task.output.shape), np.float32)
        )
        networks = [context.network] * len(device_ids)
        here = Here(lambda: query_kernels(plan, code, networks, list(dataset.inputs)))
        return QueryGroups(plan, code, results, len(dataset.test), needs, self.deadline_s is None, facts, here)


def _results(context: DeploymentContext, code: BerrutCode, samples: Samples) -> NDArray[np.float32]:
    """Return what the network says of each device's mixture in each group."""
    import numpy as np

    from edgesim.nn.train.training import forward

    def asked(weights: NDArray[np.float64]) -> Mapping[str, NDArray[np.float32]]:
        return {name: encoded(values, weights) for name, values in samples.inputs.items()}

    return np.stack([forward(context.network, asked(weights)) for weights in code.encoding()])
