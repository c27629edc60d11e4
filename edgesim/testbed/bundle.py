"""What the devices of a deployment execute: its plan, and the program of every computation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgesim.domain.plan import Compute, Plan, Step, Transfer
from edgesim.errors import PlanError
from edgesim.interfaces import KEPT, SAMPLE, Bundled, n_queries
from edgesim.testbed.devices import begins

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.interfaces import Deployment, Kernel
    from edgesim.nn.kernels.program import Program, Runner, Tensors


class Runs(Protocol):
    """Runs one computation."""

    def run(self, given: Mapping[str, Tensors]) -> dict[str, Tensors]:
        """Return what goes where, from what came."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """What devices execute for one request at a time.

    Parameters
    ----------
    plan : the steps.
    programs : of every computation, by its id, and of transfers without inputs that do not carry the sample as it is.
    n_queries : samples that a request asks about.
    """

    plan: Plan
    programs: Mapping[str, Program]
    n_queries: int = 1


def bundled(deployment: Deployment, sample: Mapping[str, NDArray[Any]]) -> Bundle:
    """Return what the devices of a deployment execute.

    Every kernel is run once, with everything delivered, and written down as the operators that it calls.

    Parameters
    ----------
    deployment : of a strategy that says what runs where.
    sample : what one request asks, by input of the network, the first axis of each of length `edgesim.interfaces.n_queries`; any will do.

    Raises
    ------
    PlanError
        When the deployment does not say what runs where, or a message of it is not as large as its plan says.
    DataError
        When a kernel cannot be written as a graph of operators.
    """
    from edgesim.nn.kernels.program import Runner
    from edgesim.nn.kernels.tracing import traced

    programs: dict[str, Program] = {}

    def written(step: Step, kernel: Kernel, given: Mapping[str, Tensors], goals: Sequence[str]) -> Runner:
        programs[step.step_id] = traced(kernel, given, goals)
        return Runner(programs[step.step_id])

    _rehearsed(deployment, sample, written)
    return Bundle(deployment.plan, programs, n_queries(deployment))


def _rehearsed(
    deployment: Deployment,
    sample: Mapping[str, NDArray[Any]],
    make: Callable[[Step, Kernel, Mapping[str, Tensors], Sequence[str]], Runs],
) -> dict[str, Runs]:
    """Return what runs each step, having run the plan once with everything delivered."""
    from edgesim.nn.tensors import tensors_of

    if not isinstance(deployment, Bundled):
        raise PlanError(
            f"the deployment ({type(deployment).__name__}) does not say what runs where, so its plan cannot be executed; give it "
            "`kernels`, or take one of the strategies of docs/testbed.md, such as single, chain or modnn"
        )
    plan, kernels = deployment.plan, deployment.kernels()
    tensors = tuple(tensors_of(sample).values())
    values: dict[str, Tensors] = {}
    made: dict[str, Runs] = {}
    for step in plan.steps:
        if isinstance(step, Transfer):
            if not step.inputs and step.step_id in kernels:
                made[step.step_id] = make(step, kernels[step.step_id], {SAMPLE: tensors}, (step.step_id,))
                values |= made[step.step_id].run({SAMPLE: tensors})
            values.setdefault(step.step_id, tensors)
            _check_size(step, values[step.step_id])
            continue
        given = {name: values[name] for name in step.inputs} or {SAMPLE: tensors}
        made[step.step_id] = make(step, kernels[step.step_id], given, goals_of(plan, step))
        results = made[step.step_id].run(given)
        values |= {step.step_id if goal == KEPT else goal: found for goal, found in results.items()}
    return made


def goals_of(plan: Plan, step: Compute) -> tuple[str, ...]:
    """Return where what a computation gives goes: the transfers that wait for it, and `KEPT` if the device or the user does."""
    goals = [transfer.step_id for transfer in plan.transfers if step.step_id in transfer.inputs]
    is_kept = step.step_id == plan.answer_id or any(step.step_id in other.inputs for other in plan.computes)
    return (*goals, KEPT) if is_kept else tuple(goals)


def _check_size(transfer: Transfer, tensors: Tensors) -> None:
    n_byte = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if n_byte != transfer.size_byte:
        raise PlanError(
            f"transfer {transfer.step_id!r} carries tensors of {n_byte} byte, but the plan says {transfer.size_byte}; its kernel or its plan "
            "is wrong"
        )


class Execution:
    """Executes a plan in this process, one request after another.

    Parameters
    ----------
    plan : what is executed.
    runners : run its computations, and transfers without inputs that do not carry the sample as it is, by their ids.
    """

    def __init__(self, plan: Plan, runners: Mapping[str, Runs]) -> None:
        self.plan = plan
        self.runners = runners

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Execution:
        """Execute what the devices would."""
        from edgesim.nn.kernels.program import Runner

        return cls(bundle.plan, {step_id: Runner(program) for step_id, program in bundle.programs.items()})

    @classmethod
    def of_kernels(cls, deployment: Deployment, sample: Mapping[str, NDArray[Any]]) -> Execution:
        """Execute the kernels of a deployment without writing them down; parameters and errors as of `bundled`."""
        from edgesim.nn.kernels.program import Direct

        runners = _rehearsed(deployment, sample, lambda _, kernel, given, goals: Direct(kernel, given, goals))
        return cls(deployment.plan, runners)

    def answer(
        self, sample: Mapping[str, NDArray[Any]], lost: Collection[str] = frozenset()
    ) -> NDArray[np.float32] | None:
        """Return the answers to what one request asks, the first axis counts them; None when the plan comes to none.

        Parameters
        ----------
        sample : by input of the network, the first axis of each of length `edgesim.interfaces.n_queries`.
        lost : transfers that do not arrive.
        """
        from edgesim.nn.tensors import tensors_of

        tensors = tuple(tensors_of(sample).values())
        values: dict[str, Tensors] = {}
        sent: dict[str, Tensors] = {}
        for step in self.plan.steps:
            if isinstance(step, Transfer):
                carried = sent.get(step.step_id) if step.inputs else self._released(step, tensors)
                if carried is not None and step.step_id not in lost:
                    values[step.step_id] = carried
            elif begins(step, values, self.plan.transfer_ids, is_late=step.on_missing == "degrade"):
                given = {name: values[name] for name in step.inputs if name in values}
                results = self.runners[step.step_id].run(given if step.inputs else {SAMPLE: tensors})
                values |= {step.step_id: results[KEPT]} if KEPT in results else {step.step_id: ()}
                sent |= results
        found = values.get(self.plan.answer_id)
        return None if found is None else found[0].numpy()

    def _released(self, transfer: Transfer, tensors: Tensors) -> Tensors:
        """Return what a transfer carries that is sent at the release."""
        runner = self.runners.get(transfer.step_id)
        return tensors if runner is None else runner.run({SAMPLE: tensors})[transfer.step_id]
