"""A reservoir on each device, and the read-out of what arrives."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgesim.domain.networks.partition import Missing
from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.plan import LayerWork
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import known_device, require_delivered
from edgesim.strategies.students.branches import Branches, branch_facts, devices_of_branches
from edgesim.strategies.students.kernels import student_kernels
from edgesim.strategies.students.networks import Workload, student_plan, workload_of
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.task import Task
    from edgesim.domain.plan import Plan
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext, Kernel
    from edgesim.nn.merging.heads import Head
    from edgesim.nn.models.reservoir_networks import ReservoirNetwork


@dataclass(frozen=True, slots=True)
class Reservoirs:
    """Put each reservoir of an ``fdgnn`` on a device of its own; the merger reads out what arrived.

    The source sends the whole graph to every device. With `readout` ``all`` there is one read-out, solved for all reservoirs together; a device sends what its
    reservoir adds to the answer, as in ``branches``. With ``per-survivors`` a device sends its features, and the merger
    holds a read-out for every set of reservoirs, each solved on the training split for exactly these, with its own penalty: among all linear ways to
    merge what arrived it has the smallest penalised squared error there.

    Parameters
    ----------
    devices : pattern of the devices that run reservoirs, one each, in the order of the topology.
    merger : device that reads out; the sink by default.
    deadline_s : how long the merger waits for reservoirs, from the release of the request, or from the end of its own reservoir if it has one;
        without a deadline it waits until everything is there, for ever if something is lost.
    readout : ``all`` or ``per-survivors``, see above.
    missing : with ``all``, what stands in for what a lost reservoir adds: nothing (``zeros``), or its ``mean`` over the training split.

    Formula
    -------
    W_S = argmin sum over training graphs of |W f_S + b - y|^2 + penalty |W|^2, f_S the features of the reservoirs S that arrived. Traffic = reservoirs x graph +
    reservoirs x 4 byte x classes, or x features with ``per-survivors``, whose read-outs take 4 byte x classes x (R 2^(R - 1) features + 2^R) at
    the merger, R the number of reservoirs.

    Validity
    --------
    With everything delivered the answers are those of the whole network up to the order of float additions. The bound by ``per-survivors`` is one on the
    training split; on the test split another way to merge may be better by chance.

    References
    ----------
    Our own; the network is that of C. Gallicchio, A. Micheli, AAAI 2020, arXiv 1911.08941.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset({"graphs"})
    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None
    readout: Literal["all", "per-survivors"] = "all"
    missing: Missing = "zeros"

    def check(self, topology: Topology) -> None:  # noqa: ARG002 - the protocol's form
        """Refuse a stand-in where every set of reservoirs has a read-out of its own."""
        if self.readout == "per-survivors" and self.missing != "zeros":
            raise PlanError(
                f"with readout: per-survivors nothing stands in for what is lost, since each set has a read-out of its own; leave out missing: {self.missing}, or readout"
            )

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When the network has no reservoirs, or devices and reservoirs do not match.
        """
        self.check(context.topology)
        network = reservoir_network(context)
        if self.readout == "all":
            return Branches(self.devices, self.merger, self.deadline_s, self.missing).deploy(context)
        dataset, numbers = context.dataset, range(len(network.branches))
        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        device_ids = devices_of_branches(context, self.devices, len(numbers), merger_id)
        alone = [network.alone(number).eval() for number in numbers]
        placed = [
            (device_id, workload_of(one, dataset.inputs)) for device_id, one in zip(device_ids, alone, strict=True)
        ]
        head = readouts(len(numbers), network.n_features, dataset.task.output.size)
        plan, needs = student_plan(context, placed, merger_id, head, self.deadline_s)
        splits = (dataset.train, dataset.validation, dataset.test)
        deployment = SurvivorReadouts(
            plan,
            needs,
            tuple(sorted(plan.transfer_ids.difference(*needs))),
            dataset.task,
            tuple(tuple(network.features_of(number, split) for number in numbers) for split in splits),
            (dataset.train.targets, dataset.validation.targets),
            network.penalties,
            (network.head.weight.detach().numpy(), network.head.bias.detach().numpy()),
            {**branch_facts(alone, placed), "readouts_byte": head.weight_byte},
        )

        def merging(gathered: Sequence[str], goals: Sequence[str]) -> Kernel:
            from edgesim.nn.kernels.students import HeadOfSetKernel

            sizes, output = [network.n_features] * len(alone), dataset.task.output.shape
            return HeadOfSetKernel(
                gathered, goals, network_of=numbers, sizes=sizes, heads=deployment.readouts(), output=output
            )

        deployment.here = Here(lambda: student_kernels(plan, alone, list(dataset.inputs), merging))
        return deployment


def reservoir_network(context: DeploymentContext) -> ReservoirNetwork:
    """Return the network of the workload as one of reservoirs. Raises `PlanError` when it is another."""
    from edgesim.nn.models.reservoir_networks import ReservoirNetwork

    if not isinstance(context.network, ReservoirNetwork):
        raise PlanError(
            f"it distributes the reservoirs of an fdgnn, but the network is a {type(context.network).__name__}; take the model fdgnn, or "
            "another strategy"
        )
    return context.network


def readouts(n_reservoirs: int, n_features: int, n_numbers: int) -> Workload:
    """Count the read-outs of all sets of reservoirs: all lie in memory, the one of all reservoirs is computed."""
    n_weights = n_numbers * (n_reservoirs * 2 ** (n_reservoirs - 1) * n_features + 2**n_reservoirs)
    n_read = n_reservoirs * n_features
    moved_byte = 4.0 * (n_read + n_numbers * (n_read + 1) + n_numbers)
    work = LayerWork("read-out", "linear", 2.0 * n_read * n_numbers, moved_byte)
    return Workload((work,), 4 * n_weights, 4 * (n_read + n_numbers), 4 * n_numbers)


@dataclass(slots=True)
class SurvivorReadouts:
    """Reservoirs on their devices, with a read-out for every set of them; holds numbers only, no networks.

    Parameters
    ----------
    plan : the steps of one inference.
    needs : the transfers without which a reservoir does not count.
    required : the transfers without which there is no answer.
    task : what answers mean.
    features : on the training, validation and test split, of each reservoir, shape (n, features).
    targets : of the training and validation split.
    penalties : of ridge regression, that are tried.
    whole : weights and bias of the network's own read-out, that of all reservoirs.
    facts : what `describe` returns.
    here : makes the kernels.
    """

    plan: Plan
    needs: tuple[frozenset[str], ...]
    required: tuple[str, ...]
    task: Task
    features: tuple[tuple[NDArray[np.float32], ...], ...]
    targets: tuple[NDArray[np.int64], NDArray[np.int64]]
    penalties: tuple[float, ...]
    whole: tuple[NDArray[np.float32], NDArray[np.float32]]
    facts: dict[str, Any]
    here: Here = field(default_factory=Here)
    _answers: dict[tuple[int, ...], NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split by the read-out of the reservoirs that arrived; that of none is the share of each class.

        Raises
        ------
        PlanError
            When the answer itself did not arrive at the sink.
        """
        require_delivered(self.required, delivery)
        survivors = tuple(number for number, needed in enumerate(self.needs) if delivery.are_whole(needed))
        if survivors not in self._answers:
            self._answers[survivors] = self._solved(survivors)
        return self._answers[survivors]

    def _solved(self, survivors: tuple[int, ...]) -> NDArray[np.float32]:
        weights, bias = self._readout(survivors)
        answers: NDArray[np.float32] = (self._beside(2, survivors) @ weights.T + bias).astype("float32")
        return answers

    def _readout(self, survivors: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the weights and the bias of some reservoirs."""
        from edgesim.nn.models.ridge import best_ridge

        if len(survivors) == len(self.needs):
            return self.whole
        known, asked = ((self._beside(split, survivors), self.targets[split]) for split in (0, 1))
        return best_ridge(self.task, known, asked, self.penalties)

    def _beside(self, split: int, survivors: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the features of some reservoirs on the training (0), validation or test split, side by side."""
        import numpy as np

        features = self.features[split]
        return np.concatenate([features[0][:, :0], *(features[number] for number in survivors)], axis=1)

    def readouts(self) -> dict[tuple[bool, ...], Head]:
        """Return the read-out of every set of reservoirs, by whether each is in it."""
        sets = product((False, True), repeat=len(self.needs))
        return {one: self._readout(tuple(number for number, is_in in enumerate(one) if is_in)) for one in sets}

    def describe(self) -> dict[str, Any]:
        """Return parameters and weights of each reservoir, and the size of the read-outs, in byte."""
        return self.facts
