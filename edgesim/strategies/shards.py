"""A general regression network, its training samples shared out over devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.plan import LayerWork, Plan
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import known_device, require_delivered
from edgesim.strategies.students.kernels import student_kernels
from edgesim.strategies.students.networks import (
    Workload,
    devices_of_students,
    student_facts,
    student_plan,
    workload_of,
)
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.nn.models.tabular.kernel_networks import GeneralRegression


@dataclass(frozen=True, slots=True)
class SampleShards:
    """Give each device a share of the training samples of a general regression network; the merger adds their sums.

    A device computes how near the input is to its own samples and sends one number per class: the logarithm of the sum of the nearness of
    its samples of that class. The merger adds the sums that arrived. The samples are dealt in turn within each class, so every device has
    its share of all classes. A lost device takes its samples out of the answer, and nothing else; with all devices lost the answer is the
    share of each class among all samples. Nothing is trained.

    Parameters
    ----------
    devices : pattern of the devices that hold samples, in the order of the topology.
    merger : device that adds; the sink by default.
    deadline_s : how long the merger waits for sums, from the release of the request, or from the end of its own if it has some; without a
        deadline it waits until everything is there, for ever if something is lost.

    Formula
    -------
    Answer of class c = log sum over the devices d that arrived of exp(a_(d,c)), a_(d,c) what d sends. Its softmax is the ratio of the sums
    over the samples that arrived: see ``grnn``. Traffic = devices x input + devices x 4 byte x classes.

    Validity
    --------
    With everything delivered the answers are those of the whole network up to the order of float additions.

    References
    ----------
    Our own; the network is that of D. F. Specht, IEEE Transactions on Neural Networks 2(6), 1991, doi 10.1109/72.97934.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset({"rows of numbers"})
    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None

    def deploy(self, context: DeploymentContext) -> ShardDeployment:
        """Return the deployment; the sums of each device are computed here, once.

        Raises
        ------
        PlanError
            When the network is another one, or there are fewer samples than devices.
        """
        import numpy as np

        from edgesim.nn.train.training import forward

        network = _general_regression(context)
        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        n_samples = int(network.counts.sum())
        n_devices = sum(is_selected(one, self.devices) for one in context.topology.device_of)
        if not 0 < n_devices <= n_samples:
            raise PlanError(
                f"{self.devices!r} matches {n_devices} devices; match 1 to {n_samples}, as many as there are samples"
            )
        device_ids = devices_of_students(context, self.devices, n_devices, merger_id)
        shards = [network.shard(range(first, n_samples, n_devices)) for first in range(n_devices)]
        inputs = context.dataset.inputs
        placed = [(one, workload_of(shard, inputs)) for one, shard in zip(device_ids, shards, strict=True)]
        plan, needs = student_plan(context, placed, merger_id, _adding(n_devices, len(network.counts)), self.deadline_s)
        counts = network.counts.numpy()
        shares = np.log(np.maximum(counts, 0.5) / counts.sum()).astype(np.float32)

        def merging(gathered: Sequence[str], goals: Sequence[str]) -> Kernel:
            from edgesim.nn.kernels.students import SumsKernel

            return SumsKernel(gathered, goals, shares)

        return ShardDeployment(
            plan=plan,
            sums=np.stack([forward(shard, context.dataset.test.inputs) for shard in shards]),
            shares=shares,
            needs=needs,
            required=tuple(sorted(plan.transfer_ids.difference(*needs))),
            facts={
                "shards": [
                    {**student_facts(device_id, shard, cost), "n_samples": int(shard.counts.sum())}
                    for (device_id, cost), shard in zip(placed, shards, strict=True)
                ]
            },
            here=Here(lambda: student_kernels(plan, shards, list(inputs), merging)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ShardDeployment:
    """What each device sends for each test sample.

    Parameters
    ----------
    plan : the steps of one inference.
    sums : logarithms, shape (devices, n, classes).
    shares : logarithms of the shares of the classes, shape (classes,).
    needs : the transfers without which a device does not count.
    required : the transfers without which there is no answer.
    facts : what `describe` returns.
    here : makes the kernels.
    """

    plan: Plan
    sums: NDArray[np.float32]
    shares: NDArray[np.float32]
    needs: tuple[frozenset[str], ...]
    required: tuple[str, ...]
    facts: dict[str, Any]
    here: Here = field(default_factory=Here)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split.

        Raises
        ------
        PlanError
            When the answer itself did not arrive at the sink.
        """
        import numpy as np

        require_delivered(self.required, delivery)
        there = [number for number, needed in enumerate(self.needs) if delivery.are_whole(needed)]
        if not there:
            return np.broadcast_to(self.shares, self.sums.shape[1:]).copy()
        answers: NDArray[np.float32] = np.logaddexp.reduce(self.sums[there], axis=0)
        return answers

    def describe(self) -> dict[str, Any]:
        """Return samples, parameters and weights of each device."""
        return self.facts


def _general_regression(context: DeploymentContext) -> GeneralRegression:
    from edgesim.nn.models.tabular.kernel_networks import GeneralRegression

    if not isinstance(context.network, GeneralRegression):
        raise PlanError(
            f"it shares out the samples of a general regression network, but the network is a {type(context.network).__name__}; take the "
            "model grnn, or another strategy"
        )
    return context.network


def _adding(n_devices: int, n_classes: int) -> Workload:
    """Count the sum: an exponential, an addition and in the end a logarithm per number."""
    n = n_devices * n_classes
    work = LayerWork("add", "other", float(2 * n + n_classes), 4.0 * (n + n_classes))
    return Workload((work,), 4 * n_classes, 4 * (n + n_classes), 4 * n_classes)
