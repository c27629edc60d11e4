"""A chain of devices with exits: each answers what it is sure of, and sends on the rest (DDNN)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Le, Len

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.networks.training import Training
from edgesim.domain.plan import Compute, Plan, Step, Transfer
from edgesim.domain.system.topology import DeviceId
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import answers_by_plan, input_transfers, known_device
from edgesim.strategies.students.networks import Workload, workload_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.nn.chains.exits import ExitChain


@dataclass(frozen=True, slots=True)
class EarlyExit:
    """Cut the network over a chain of devices with an exit on each; a request ends at the first that is sure of its answer.

    A device computes its layers and its exit, a small classifier. If the entropy of what that says is low enough, it sends the answer to
    the sink, else the tensor at the cut to the next device; the last answers always. So each test sample goes as far as it must, and a
    request costs what its sample costs. The network is trained on with its exits, all together.

    Parameters
    ----------
    devices : ids of the chain, from the one that is asked first, e.g. device, edge and cloud.
    cuts : ids of the layers behind which the network is cut, one for each device but the last.
    threshold : an exit answers if its normalised entropy is at most this: 0, none does; 1, the first always does.
    training : of the network with its exits.

    Formula
    -------
    Exit at device i if -sum_c p_c log p_c / log C <= threshold, p the softmax of what its exit says, C the classes. Loss = mean over all exits, the
    last device's answer among them, of the cross-entropy.

    Validity
    --------
    With nothing lost the answers are those of the network with exits, not of the undivided one; `describe` has the score of each exit, the share
    of samples that leave there, and the score of all. A lost message leaves its request without an answer. Choose the threshold by the scores on the
    validation split. One device is asked: exits that merge what several cameras say are not modelled, and numbers are not binary.

    References
    ----------
    S. Teerapittayanon, B. McDanel, H. T. Kung, Distributed Deep Neural Networks over the Cloud, the Edge and End Devices, ICDCS 2017, arXiv:1709.01921 (entropy
    threshold, equal weights of exits). Ours: an exit is a linear layer on means over at most 4 places along each axis, and training begins with the trained network.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset(
        {"images of one class each", "rows of numbers", "texts"}
    )
    devices: Annotated[tuple[DeviceId, ...], Len(2)]
    cuts: Annotated[tuple[str, ...], Len(1)]
    threshold: Annotated[float, Ge(0), Le(1)] = 0.5
    training: Training = Training(epochs=40)  # noqa: RUF009 - frozen

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when a device is unknown or named twice, or the cuts are not one less than the devices."""
        unknown = [name for name in self.devices if name not in topology.device_of]
        if unknown:
            raise PlanError(
                f"early-exit.devices: there is no device {unknown[0]!r} in the topology; its devices are {', '.join(sorted(topology.device_of))}"
            )
        if len(set(self.devices)) < len(self.devices):
            raise PlanError("early-exit.devices: a device is named twice; each computes one run of layers")
        if len(self.cuts) != len(self.devices) - 1:
            raise PlanError(
                f"early-exit.cuts: {len(self.devices)} devices need {len(self.devices) - 1} cuts, not {len(self.cuts)}; name the layer behind which each is"
            )

    def deploy(self, context: DeploymentContext) -> EarlyExits:
        """Train the network with its exits or load it, and find out how far each test sample goes.

        Raises
        ------
        PlanError
            When a device or layer is unknown, more than one tensor crosses a cut, or the network does not classify.
        DataError
            When the network cannot be traced.
        """
        from edgesim.nn.chains.exits import answers_of_exits, train_exits
        from edgesim.nn.train.cache import NetworkCache

        self.check(context.topology)
        for name in self.devices:
            known_device(context, "early-exit.devices", name)
        dataset = context.dataset
        chain, key = train_exits(
            context.network, context.network_key, dataset, self.cuts, self.training, seed=context.seed,
            progress=context.progress, cache=NetworkCache.default(),
        )  # fmt: skip
        segments = [workload_of(one, shape) for one, shape in zip(chain.segments, chain.shapes, strict=True)]
        exits = [workload_of(one, shape) for one, shape in zip(chain.exits, chain.shapes[1:], strict=True)]
        plans = [self._plan(context, segments, exits, last) for last in range(len(self.devices))]
        tested = answers_of_exits(chain, dataset.test)
        left = exits_of(tested, self.threshold)
        followed = sorted(set(left.tolist())) or [len(plans) - 1]
        here = Here(refused=_SEVERAL)
        if len(followed) == 1:
            here = Here(lambda: _kernels(plans[followed[0]], chain))
        return EarlyExits(
            plans=tuple(plans[last] for last in followed),
            plan_of_sample=tuple(followed.index(last) for last in left.tolist()),
            answers=chosen(tested, left),
            guess=dataset.task.guess(dataset.train.targets),
            facts={
                **_facts(dataset, "validation", dataset.validation, answers_of_exits(chain, dataset.validation), self),
                **_facts(dataset, "test", dataset.test, tested, self),
                "devices": list(self.devices),
                "networks_key": key,
            },
            here=here,
        )

    def _plan(
        self, context: DeploymentContext, segments: Sequence[Workload], exits: Sequence[Workload], last: int
    ) -> Plan:
        """Return the plan of a sample that leaves at the device of that number."""
        steps: list[Step] = [*input_transfers(context, self.devices[0], context.graph.input_byte)]
        weight_byte = {}
        for number, (device_id, segment) in enumerate(zip(self.devices, segments, strict=True)):
            own = [segment, *exits[number : number + 1]]
            weight_byte[device_id] = sum(one.weight_byte for one in own)
            if number > last:
                continue
            before = steps[-1].step_id if steps else ""
            if number:
                cut = self.cuts[number - 1]
                steps.append(
                    Transfer(
                        f"behind {cut}", self.devices[number - 1], device_id, segments[number - 1].output_byte, f"cut behind {cut}",
                        "intermediate", (before,),
                    )
                )  # fmt: skip
            steps.append(
                Compute(
                    f"layers of {device_id}", device_id, tuple(work for one in own for work in one.work),
                    (steps[-1].step_id,) if steps else (), max(one.activation_byte for one in own),
                )
            )  # fmt: skip
        device_id, answer_byte = self.devices[last], segments[-1].output_byte
        if device_id != context.sink_id:
            steps.append(
                Transfer(
                    f"answer of {device_id}", device_id, context.sink_id, answer_byte, "logits", "result", (steps[-1].step_id,),
                )
            )  # fmt: skip
            steps.append(Compute("arrival", context.sink_id, (), (steps[-1].step_id,), answer_byte))
        return Plan(tuple(steps), steps[-1].step_id, weight_byte)


_SEVERAL = (
    "some samples leave early-exit at one device and some at another, but devices execute one plan for all; take a threshold at which all leave at the "
    "same, 0 or 1, or strategy chain"
)


def _kernels(plan: Plan, chain: ExitChain) -> Mapping[str, Kernel]:
    """Return what each device computes where all samples leave at the last of them."""
    from edgesim.nn.kernels.chains import RowKernel
    from edgesim.nn.kernels.whole import arrival

    found: dict[str, Kernel] = {plan.answer_id: arrival}
    steps = [step for step in plan.computes if step.work]
    for number, (step, segment) in enumerate(zip(steps, chain.segments, strict=False), start=1):
        goals = [transfer.step_id for transfer in plan.transfers if step.step_id in transfer.inputs]
        exits = list(chain.exits)[number - 1 : number] if number == len(steps) else []
        found[step.step_id] = RowKernel([segment, *exits], goals)
    return found


def exits_of(answers: Sequence[NDArray[np.float32]], threshold: float) -> NDArray[np.int64]:
    """Return at which exit each sample leaves, given the answers of all exits, each of shape (n, classes).

    Examples
    --------
    The first is sure of one of two samples.

    >>> import numpy as np
    >>> exits_of([np.array([[9.0, 0.0], [0.1, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])], 0.5).tolist()
    [0, 1]
    """
    import numpy as np

    is_sure = np.array([entropy(one) <= threshold for one in answers])
    is_sure[-1] = True
    first: NDArray[np.int64] = is_sure.argmax(axis=0)
    return first


def entropy(answers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the entropy of the softmax of answers, shape (n, classes), over that of guessing: 0 to 1.

    >>> import numpy as np
    >>> entropy(np.zeros((1, 4), np.float32)).tolist()
    [1.0]
    """
    import numpy as np
    from scipy.special import log_softmax

    logs = log_softmax(answers.astype(np.float64), axis=1)
    share: NDArray[np.float64] = -(np.exp(logs) * logs).sum(axis=1) / np.log(answers.shape[1])
    return np.clip(share, 0.0, 1.0)


def chosen(answers: Sequence[NDArray[np.float32]], left: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the answer to each sample of the exit at which it leaves."""
    import numpy as np

    return np.stack(answers)[left, np.arange(len(left))]


def _facts(
    dataset: Dataset, name: str, split: Samples, answers: Sequence[NDArray[np.float32]], options: EarlyExit
) -> dict[str, Any]:
    """Return what the exits reach on a split: alone, and together with the share of samples that leave at each."""
    import numpy as np

    if not len(split):
        return {}
    score, left = dataset.task.scores[0], exits_of(answers, options.threshold)
    return {
        f"{name}_{score.name}": score.of(chosen(answers, left), split.targets),
        f"{name}_{score.name}_by_exit": [score.of(one, split.targets) for one in answers],
        f"{name}_share_by_exit": [float(np.mean(left == number)) for number in range(len(answers))],
    }


@dataclass(frozen=True, slots=True, eq=False)
class EarlyExits:
    """A network with exits on a chain of devices.

    Parameters
    ----------
    plans : of the exits at which some test sample leaves, in the order of the chain.
    plan_of_sample : which of them each test sample follows.
    answers : to the test split, each of its own exit, shape (n, classes).
    guess : at a sample without an answer, shape (classes,).
    facts : what `describe` returns.
    here : makes the kernels where all leave at the same exit.
    """

    plans: tuple[Plan, ...]
    plan_of_sample: tuple[int, ...]
    answers: NDArray[np.float32]
    guess: NDArray[np.float32]
    facts: dict[str, Any]
    here: Here = field(default_factory=Here)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`. Raises `PlanError` where samples leave at several exits."""
        return self.here.kernels()

    @property
    def plan(self) -> Plan:
        """The plan of what leaves first."""
        return self.plans[0]

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split; the guess for samples whose own plan lacks a message. Raises `PlanError` where each does."""
        return answers_by_plan(self.plans, self.plan_of_sample, delivery, self.answers, self.guess)

    def describe(self) -> dict[str, Any]:
        """Return scores and shares of the exits on the validation and test split."""
        return self.facts
