"""All seams of edgesim on one page, but those of links: `edgesim.domain.system.transport` and `edgesim.domain.system.rates`.

A plug-in is a frozen dataclass (its fields are its options) that has the methods of one of these protocols and is registered
in `edgesim.registry`. Nothing here imports torch or numpy at run time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.attack import Against, Attack
from edgesim.domain.networks.costs import ModelGraph
from edgesim.domain.networks.objective import Attacking, Objective
from edgesim.domain.networks.partition import Missing, Partition
from edgesim.domain.networks.samples import Dataset, Inputs, SampleKind
from edgesim.domain.networks.task import TensorSpec
from edgesim.domain.networks.training import Training
from edgesim.domain.plan import Compute, LayerWork, Plan
from edgesim.domain.records import Outage
from edgesim.domain.strike import Strike
from edgesim.domain.system.detector import Detector
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from typing_extensions import TypeIs

    from edgesim.rng import BatchStreams, ReplicationStreams

K = TypeVar("K")


def is_kind(plugin: object, protocol: type[K]) -> TypeIs[K]:
    """Return whether a plug-in has the methods of a protocol, as its class says; `isinstance` takes a hundred times as long.

    Examples
    --------
    >>> from edgesim.network.transport import Datagram
    >>> from edgesim.domain.system.transport import EndToEndTransport, LinkTransport
    >>> is_kind(Datagram(), LinkTransport), is_kind(Datagram(), EndToEndTransport)
    (True, False)
    """
    return issubclass(type(plugin), protocol)


class Bar(Protocol):
    """One piece of long work whose progress is shown."""

    def advance(self, n_done: int = 1, note: str = "") -> None:
        """Report that `n_done` more units are done; `note` is shown beside the bar."""


class Progress(Protocol):
    """Where long work reports; the command line draws bars, a library user may be silent."""

    def task(self, label: str, n_total: int) -> AbstractContextManager[Bar]:
        """Open a piece of work of `n_total` units; leaving the context ends it."""


class Silent:
    """Progress that shows nothing."""

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Bar]:  # noqa: ARG002 - the seam's form
        """Open a piece of work."""
        yield self

    def advance(self, n_done: int = 1, note: str = "") -> None:
        """Show nothing."""


@runtime_checkable
class Checkable(Protocol):
    """What a strategy or failure model may have besides: a check before anything is trained or simulated."""

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when the topology does not allow these options. It is called whenever a scenario is read."""


@runtime_checkable
class Findable(Protocol):
    """What a data set or a model may have besides: a look at whether its files or its code are there, which runs and reads nothing."""

    def find(self) -> object:
        """Raise `DataError` when something is not there. It is called by `edgesim validate`."""


@runtime_checkable
class Sourced(Protocol):
    """What a model may have besides: a fingerprint of what its options only name, so that a network is trained anew when it changes."""

    def content(self) -> str:
        """Return the hash of the file, in hex."""


class DatasetSource(Protocol):
    """Seam ``datasets``: where samples come from."""

    def load(self) -> Dataset:
        """Return the three splits. Raises `DataError` when they are missing, saying where it looked and how to get them."""


class ModelBuilder(Protocol):
    """Seam ``models``: a network architecture."""

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return an untrained module that maps named inputs of shape (n, *shape) to answers of shape (n, *output.shape).

        Raises `DataError` when the architecture does not take these shapes.
        """

    def filter_layer(self) -> str | None:
        """Return the name of the submodule whose units student networks divide; None when it has none.

        Units are output channels of a convolution, features of a linear layer or of tokens: whatever its last or its channel
        axis counts; see `edgesim.nn.parts.activations`.
        """


@runtime_checkable
class OfOneKind(Protocol):
    """What a data set or a model may have besides: the kind of samples that it has, or answers. Where both say so they must agree, else the scenario is refused when it is read."""

    @property
    def kind_of_samples(self) -> SampleKind:
        """Which."""


@runtime_checkable
class Bringing(Protocol):
    """What a model may have besides: weights that it brings along."""

    def is_trained(self) -> bool:
        """Return whether networks that it builds are asked as they are, not trained."""


def is_trained(model: ModelBuilder) -> bool:
    """Return whether networks of a model are asked as they are built, with weights that it brings along."""
    return isinstance(model, Bringing) and model.is_trained()


@runtime_checkable
class Solvable(Protocol):
    """What the network of a model may be besides: one whose weights are solved for, in place of training by gradients."""

    def solve(self, dataset: Dataset) -> None:
        """Set all that is learnt, from the training split; options may be chosen on the validation split, nothing on the test split."""


class Partitioner(Protocol):
    """Seam ``partitioners``: divides filters into parts."""

    def partition(
        self,
        affinity: NDArray[np.float64],
        n_parts: int,
        rng: np.random.Generator,
        activities: NDArray[np.float32] | None = None,
    ) -> Partition:
        """Return `n_parts` parts, given the symmetric affinity of filters, shape (F, F), and their activities, shape (n, F).

        Raises `PlanError` if it cannot.
        """


class FilterGraph(Protocol):
    """Seam ``filter-graphs``: which filters belong together."""

    def affinity(self, activities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return symmetric affinities with zero diagonal, shape (F, F), given activities of filters, shape (n, F), at least 0."""


class ComputeModel(Protocol):
    """Seam ``compute``: how long a device takes for a computation."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        """Return the time in s that `step` occupies a device of that profile."""


@runtime_checkable
class CoreChoosing(ComputeModel, Protocol):
    """A compute model that divides layers over cores of a device."""

    def n_cores(self, layer: LayerWork, profile: DeviceProfile) -> int:
        """Return how many cores work on a layer."""

    def divided_s(self, layer: LayerWork, profile: DeviceProfile, n_cores: int) -> float:
        """Return the time of a layer on so many cores, in s."""


@runtime_checkable
class OutageModel(Protocol):
    """Seam ``failures``: takes devices or links down for intervals."""

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:
        """Draw the outages of one replication."""

    def outcomes(self, topology: Topology) -> Iterable[tuple[float, Sequence[Outage]]] | None:
        """Return every possible result of `outages` with its probability, or None when they are not finitely many."""


@runtime_checkable
class BatchOutageModel(OutageModel, Protocol):
    """What an outage model may have besides, to be drawn fast: the same draws for many replications at once."""

    def are_down(self, topology: Topology, streams: BatchStreams) -> Mapping[str, NDArray[np.bool_]]:
        """Return by device or link in which replications it is down, for the whole trial, shape (n,)."""


@runtime_checkable
class StrikingModel(Protocol):
    """What a model of outages may have besides, so that it is known how often it strikes, and what a study has hardly met."""

    def strikes(self, topology: Topology, used: Collection[str], duration_s: float) -> Sequence[Strike]:
        """Return what it can do to the devices and links `used` in a trial of that length; nothing where nothing is drawn."""


@runtime_checkable
class RenewalModel(Protocol):
    """Seam ``failures``: takes devices or links down again and again."""

    def renewals(self, topology: Topology, streams: ReplicationStreams) -> Mapping[str, Iterator[Outage]]:
        """Return the outages of each target in one replication: apart, in order of time, drawn as they are asked for."""


@runtime_checkable
class BatchRenewalModel(RenewalModel, Protocol):
    """What a model of repeated outages may have besides, to be drawn by the array engine."""

    def first_changes(
        self, topology: Topology, streams: BatchStreams
    ) -> Mapping[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]:
        """Return by device or link in which replications it is down at the beginning, and until when that stays so, in s, shape (n,) each."""


@runtime_checkable
class LossModel(Protocol):
    """Seam ``failures``: loses whole messages on links."""

    def applies_to(self, link: Link) -> bool:
        """Return whether messages on this link can be lost."""

    def is_lost(self, link: Link, n_packets: int, streams: ReplicationStreams) -> bool:
        """Draw whether a message of `n_packets` packets is lost on this link."""


@runtime_checkable
class BatchLossModel(LossModel, Protocol):
    """What a model that loses messages may have besides, to be drawn by the array engine."""

    def are_lost(self, link: Link, is_sent: NDArray[np.bool_], streams: BatchStreams) -> NDArray[np.bool_]:
        """Draw whether a message is lost on this link in the replications in which it is sent, shape (n,)."""


@runtime_checkable
class IndependentLossModel(Protocol):
    """What a model of losses may have besides, so that all outcomes can be enumerated."""

    def loss_probability(self, link: Link, n_packets: int) -> float:
        """Return the probability that a message does not come whole over this link, independently of everything else."""


@runtime_checkable
class WeightedLossModel(IndependentLossModel, Protocol):
    """What a model of independent losses may have besides: one that draws losses more often than they are, and weighs trials for it."""

    def sampled_probability(self, link: Link, n_packets: int) -> float:
        """Return `loss_probability` as it is drawn."""


@runtime_checkable
class BurstLossModel(Protocol):
    """What a model of losses may have besides where they are not independent, so that it is known how often it strikes."""

    def strike_probability(self, link: Link, n_packets: int) -> float:
        """Return the probability that any of so many packets of a trial is lost on this link."""


class LossProcess(Protocol):
    """What loses packets on one link in one replication; it may remember what it did before."""

    def n_lost(self, n_packets: int) -> int:
        """Draw how many of the next `n_packets` packets are lost."""


@runtime_checkable
class PacketLossModel(Protocol):
    """Seam ``failures``: loses packets on links."""

    def applies_to(self, link: Link) -> bool:
        """Return whether packets on this link can be lost."""

    def losses(self, link: Link, streams: ReplicationStreams) -> LossProcess:
        """Return what loses packets on this link in one replication, in its stationary state."""


class BatchLossProcess(Protocol):
    """What loses packets on one link in many replications."""

    def n_lost(self, n_packets: NDArray[np.int64], is_sent: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Draw how many of the next packets are lost where some are sent, shape (n,)."""


@runtime_checkable
class BatchPacketLossModel(PacketLossModel, Protocol):
    """What a model that loses packets may have besides, to be drawn by the array engine."""

    def batch_losses(self, link: Link, streams: BatchStreams) -> BatchLossProcess:
        """Return what loses packets on this link in many replications."""


@runtime_checkable
class SlowdownModel(Protocol):
    """Seam ``failures``: makes computations take longer."""

    def slows(self, device: Device) -> bool:
        """Return whether computations on this device can be slowed."""

    def factor(self, device: Device, streams: ReplicationStreams) -> float:
        """Draw by how much one computation on this device takes longer; 1 is the time of the compute model."""


@runtime_checkable
class BatchSlowdownModel(SlowdownModel, Protocol):
    """What a model of slowdowns may have besides, to be drawn by the array engine."""

    def factors(self, device: Device, is_begun: NDArray[np.bool_], streams: BatchStreams) -> NDArray[np.float64]:
        """Draw `factor` for the replications in which a computation begins, shape (n,)."""


@runtime_checkable
class SpeedModel(Protocol):
    """Seam ``failures``: makes devices slower and faster at times that are known, the same in every replication."""

    def speeds(self, topology: Topology) -> Mapping[str, Iterable[tuple[float, float]]]:
        """Return by device when its speed changes, in s, in order, and to what: above 0, 1 is that of the compute model."""


@runtime_checkable
class DelayModel(Protocol):
    """Seam ``failures``: makes messages arrive later."""

    def applies_to(self, link: Link) -> bool:
        """Return whether messages on this link can be delayed."""

    def delay_s(self, link: Link, streams: ReplicationStreams) -> float:
        """Draw by how much one message is delayed on this link, at least 0, in s."""


LinkModel = LossModel | PacketLossModel | DelayModel
"""What happens to messages on links."""
FailureModel = OutageModel | RenewalModel | LossModel | PacketLossModel | DelayModel | SlowdownModel | SpeedModel


@runtime_checkable
class LossAware(Protocol):
    """What an objective may be besides: one that learns for losses; its students must learn together."""

    def learns_for(self, failures: Mapping[str, FailureModel]) -> Mapping[str, FailureModel] | None:
        """Return the failure models, those of the scenario or others, whose sets of survivors a `Lesson` shall have; None for none."""

    def stand_in(self, missing: Missing) -> Missing:
        """Return what stands in for a lost part while students learn, given what does so later."""


def attack_of(objective: Objective) -> Attack | None:
    """Return how an objective attacks the samples; None where it does not."""
    return objective.attack if isinstance(objective, Attacking) else None


@runtime_checkable
class OpenArrivals(Protocol):
    """Seam ``arrivals``: requests come whether or not earlier ones are done."""

    def releases_s(self, streams: ReplicationStreams) -> Iterator[float]:
        """Yield when requests are released, in s, never decreasing; it may go on for ever."""


@runtime_checkable
class ClosedArrivals(Protocol):
    """Seam ``arrivals``: each client asks again when its last request has ended."""

    @property
    def clients(self) -> int:
        """Number of clients; each releases its first request at time 0."""

    def thinks_s(self, streams: ReplicationStreams) -> Iterator[float]:
        """Yield how long a client thinks between the end of a request and its next, in s."""


ArrivalModel = OpenArrivals | ClosedArrivals


@runtime_checkable
class Recovery(Protocol):
    """Seam ``recoveries``: what is done under load about what was lost."""

    def again_s(self, n_lost: int) -> float | None:
        """Return after what time a message or computation of a request, lost for the `n_lost`-th time, is tried again, in s; None: it is given up."""


@runtime_checkable
class Watching(Recovery, Protocol):
    """What a recovery may have besides: a detector of devices that are down."""

    @property
    def detector(self) -> Detector | None:
        """How they are detected; None: not at all."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A strategy on a topology that takes over from another.

    Parameters
    ----------
    strategy, topology : what is deployed.
    is_needed : whether it is a mistake when it cannot be deployed; else it is left out.
    is_same_network : whether it divides the very network that the other divides, so that devices may have some of its weights.
    """

    strategy: Strategy
    topology: Topology
    is_needed: bool = False
    is_same_network: bool = False


@runtime_checkable
class Replacing(Watching, Protocol):
    """What a recovery with a detector may be besides: one in which other deployments take over while devices are taken as down."""

    @property
    def warm(self) -> bool:
        """Whether devices hold the weights of all deployments at once."""

    @property
    def loading_byte_per_s(self) -> float | None:
        """How fast devices read weights into memory, in byte/s; None: at once."""

    @property
    def back(self) -> bool:
        """Whether devices that are trusted again are used again."""

    def stand_ins(
        self, label: str, strategies: Mapping[str, Strategy], topology: Topology, watched: Sequence[str]
    ) -> Sequence[StandIn]:
        """Return what may take over from a strategy, the best first: requests follow the first of whose devices none is taken as down.

        Parameters
        ----------
        label : of the strategy.
        strategies : all of the scenario.
        topology : on which they are.
        watched : the devices that compute in the strategy, or in what took over before, without the monitor; none when only the options are checked.

        Raises
        ------
        PlanError
            When the options do not go with the scenario.
        """


def detector_of(recovery: Recovery | None) -> Detector | None:
    """Return how a recovery detects devices that are down; None where it does not."""
    return recovery.detector if isinstance(recovery, Watching) else None


@dataclass(frozen=True, slots=True)
class DeploymentContext:
    """All that a strategy may use to make a deployment.

    Parameters
    ----------
    topology : devices and links.
    source_id, sink_id : where the input is, and where the answer is wanted.
    network : the trained network, in evaluation mode.
    network_key : hash of everything that determined its weights; goes into the key of whatever is derived from it.
    filter_layer : name of the submodule whose units are the filters of the network; None when it has none.
    dataset : training, validation and test samples. Only `predict` may use the test split.
    graph : cost of the network, layer by layer.
    compute : how long computations take.
    seed : seed for whatever is trained.
    progress : where long work reports.
    attack : what test samples are attacked by; with one, the strategy must be `Attackable` and the deployment an `AttackableDeployment`.
    failures : the failure models of the scenario that the strategy learns for; see `LearningForLosses`.
    """

    topology: Topology
    source_id: str
    sink_id: str
    network: torch.nn.Module
    network_key: str
    filter_layer: str | None
    dataset: Dataset
    graph: ModelGraph
    compute: ComputeModel
    seed: int
    progress: Progress
    attack: Attack | None = None
    failures: Mapping[str, FailureModel] = field(default_factory=dict)


class Deployment(Protocol):
    """A network distributed over devices. It must survive pickling, since worker processes receive it."""

    @property
    def plan(self) -> Plan:
        """The steps of one inference."""

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split, shape (n, *output), with exactly what arrived in time.

        With ``Delivery()``, which lacks nothing, they equal those of the undistributed network. Raises `PlanError` when there is no
        answer without what is missing.
        """

    def describe(self) -> dict[str, Any]:
        """Return what a reader of the results should know: parameters per device, parts, dropped filters, accuracies."""


@runtime_checkable
class PartialDeployment(Deployment, Protocol):
    """What a deployment may be besides: one that uses messages of which only some packets arrived, where others take them as lost."""

    @property
    def uses_partial(self) -> bool:
        """Whether it does; if so, the event engine simulates, and the delivery that `predict` is given has a `partial`."""


@runtime_checkable
class SampleDependent(Deployment, Protocol):
    """What a deployment may be besides: one whose plan depends on the sample, as where easy ones leave early.

    Each request asks about a test sample, drawn from the stream ``sample``, the same for every strategy, and follows its plan. `plan` is the
    first of the plans, which tools show that show one.

    A transfer is known by the same id in every plan. `predict` answers the whole test split whichever plan the request followed: each sample
    without what is missing of the transfers of its own plan, and as if nothing were missing where its plan has none of them. A sample without
    an answer gets a guess; `PlanError` is raised where that is every sample. See `edgesim.strategies.ends.answers_by_plan`.
    """

    @property
    def plans(self) -> Sequence[Plan]:
        """The plans, each of them followed by some sample."""

    @property
    def plan_of_sample(self) -> Sequence[int]:
        """Which of the plans each sample of the test split follows, by its position, shape (n,)."""


SAMPLE, KEPT = "<sample>", "<kept>"
"""Where tensors of a kernel come from and go to besides transfers: the input of the network; the device itself, for its later computations."""


class Kernel(Protocol):
    """What one computation of a plan does with tensors whose first axis counts samples. It does not branch on their values."""

    def __call__(
        self, given: Mapping[str, Sequence[torch.Tensor]], there: Mapping[str, torch.Tensor]
    ) -> Mapping[str, Sequence[torch.Tensor]]:
        """Return the tensors of each transfer that waits for it, and under `KEPT` those for later computations on the device.

        Parameters
        ----------
        given : by input of the step: what a transfer brought, what a computation on the same device kept; zeros where it is absent. A step
            without inputs is given the sample, under `SAMPLE`, and so is who gets a transfer without inputs.
        there : 1 for each input that came, 0 for one that is absent.
        """


@runtime_checkable
class Bundled(Deployment, Protocol):
    """What a deployment may be besides: one that says what runs where, so that its plan can be executed."""

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each computation of the plan does; what the answer's keeps is the answer. For every transfer the bytes are its size.

        A transfer without inputs carries the sample as it is, or what its own kernel makes of it, by the id of the transfer.

        Executed step by step, with whatever was lost, the plan gives what `predict` gives, and comes to no end only where `predict` has no
        answer. Raises `PlanError` when that cannot be said, as of a copy that was pickled.
        """


@runtime_checkable
class Grouping(Protocol):
    """What a deployment may be besides: one whose request asks about several samples at once, in the order of the test split."""

    @property
    def n_queries(self) -> int:
        """About how many."""


def n_queries(deployment: Deployment) -> int:
    """Return about how many samples a request of a deployment asks; one where it does not say."""
    return deployment.n_queries if isinstance(deployment, Grouping) else 1


@runtime_checkable
class AttackableDeployment(Deployment, Protocol):
    """What a deployment may be besides: one that can be asked about attacked test samples."""

    def predict_attacked(self, delivery: Delivery, against: Against) -> NDArray[np.float32]:
        """Return the answers to the attacked test split, shape (n, *output), with exactly what arrived in time.

        The attack, that of the context, goes through the networks with everything delivered (``transfer``) or through those that
        arrived (``adaptive``). Raises `PlanError` as `predict` does.
        """


@runtime_checkable
class GroupedDeployment(Deployment, Protocol):
    """What a deployment may be besides: one that several deliveries cost less together than one after another."""

    def predict_each(self, deliveries: Sequence[Delivery]) -> Iterator[NDArray[np.float32]]:
        """Give for each delivery, in order, the answers that `predict` returns. Raises `PlanError` as `predict` does."""


class Strategy(Protocol):
    """Seam ``strategies``: a method that distributes a network."""

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment. Raises `PlanError` when the topology does not allow it."""


@runtime_checkable
class Trainable(Protocol):
    """What a strategy may be besides: one that says whether its deployments need networks that are trained. Others do."""

    @property
    def needs_training(self) -> bool:
        """Whether they do."""


def needs_training(strategy: Strategy) -> bool:
    """Return whether the deployments of a strategy need networks that are trained; they do where it does not say."""
    return not isinstance(strategy, Trainable) or strategy.needs_training


@runtime_checkable
class Measuring(Protocol):
    """What a strategy may be besides: one whose plans are measured on the test samples, which it needs where nothing is trained, too."""

    @property
    def needs_samples(self) -> bool:
        """Whether it does."""


def needs_samples(strategy: Strategy) -> bool:
    """Return whether the plans of a strategy are measured on the test samples; they are not where it does not say."""
    return isinstance(strategy, Measuring) and strategy.needs_samples


@runtime_checkable
class Attackable(Protocol):
    """What a strategy may be besides: one whose answers can be attacked. Others are refused beside `evaluation.attack`, before anything is trained."""

    def check_attack(self) -> None:
        """Raise `PlanError` when its options do not allow an attack. It is called whenever a scenario with one is read."""


@runtime_checkable
class FilterDividing(Protocol):
    """What a strategy may be besides: one that divides the filters of the network, which must have so many."""

    @property
    def n_parts(self) -> int:
        """Into how many parts."""


@runtime_checkable
class Generating(Protocol):
    """What a strategy may be besides: one that gives several tokens behind a prompt, if the model asks for several."""

    @property
    def is_generating(self) -> bool:
        """Whether it does."""


@runtime_checkable
class OfSomeKinds(Protocol):
    """What a strategy may be besides: one for networks of some kinds of samples only. Others are for all."""

    @property
    def kinds_of_samples(self) -> frozenset[SampleKind]:
        """Which."""


@runtime_checkable
class StudentTeaching(Protocol):
    """What a strategy may be besides: one that trains networks of its own, which must take the samples."""

    @property
    def student(self) -> ModelBuilder:
        """Their architecture."""


@runtime_checkable
class Learning(Protocol):
    """What a strategy may be besides: one that says how it trains, so that a rehearsal can hurry."""

    @property
    def training(self) -> Training:
        """How."""


@runtime_checkable
class LearningForLosses(Protocol):
    """What a strategy may be besides: one whose networks learn for the failures of a scenario."""

    def learns_for(self, failures: Mapping[str, FailureModel]) -> Mapping[str, FailureModel]:
        """Return the failure models that its networks learn for, out of those of the scenario or others; empty for none."""
