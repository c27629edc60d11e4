"""How the input reaches the device that starts an inference, and how the answer gets from the last device to where it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.plan import Compute, Transfer
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.plan import Plan
    from edgesim.interfaces import DeploymentContext
    from edgesim.nn.kernels.here import Kernels

INPUT_ID, ANSWER_ID = "input", "answer"
"""Ids of the transfers of the whole input and of the answer."""


def input_transfers(
    context: DeploymentContext, device_id: str, size_byte: int, messages: Messages = AS_COMPUTED
) -> tuple[Transfer, ...]:
    """Return the transfer of the whole input from the source to a device; none when it is the source."""
    if context.source_id == device_id:
        return ()
    size_byte = messages.byte_of_inputs(size_byte, context.dataset.inputs)
    return (Transfer(INPUT_ID, context.source_id, device_id, size_byte, "input", "input"),)


def answer_steps(
    context: DeploymentContext, last: Compute, size_byte: int, messages: Messages = AS_COMPUTED
) -> tuple[Transfer | Compute, ...]:
    """Return the transfer of the logits from the last computation to the sink, and their arrival; none when it is the sink.

    The answer's id is that of the last step returned, or of `last`.
    """
    if context.sink_id == last.device_id:
        return ()
    sent_byte = messages.byte_of(size_byte, context.dataset.task.output.size)
    answer = Transfer(ANSWER_ID, last.device_id, context.sink_id, sent_byte, "logits", "result", (last.step_id,))
    return answer, Compute("arrival", context.sink_id, (), (ANSWER_ID,), size_byte)


def received_answers(plan: Plan, messages: Messages, answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the answers, shape (n, *output), as the sink has them: rounded if they are sent."""
    is_sent = messages.is_rounding and ANSWER_ID in plan.transfer_ids
    return messages.received(answers) if is_sent else answers


def kernels_here(plan: Plan, messages: Messages, make: Callable[[], Kernels]) -> Here:
    """Return what makes the kernels of a deployment, given what makes those that tell each other numbers as they were computed."""

    def rounded() -> Kernels:
        from edgesim.nn.kernels.rounded import with_rounding

        return with_rounding(make(), plan, messages.dtype)

    return Here(rounded if messages.is_rounding else make)


def require_delivered(needed: Iterable[str], delivery: Delivery) -> None:
    """Refuse to answer without a transfer that every answer needs.

    Raises
    ------
    PlanError
        When one is not whole.
    """
    missing = [name for name in needed if not delivery.is_whole(name)]
    if missing:
        raise PlanError(f"there is no answer without transfer {missing[0]!r}: nothing can stand in for what it carries")


def answers_by_plan(
    plans: Sequence[Plan],
    plan_of_sample: Sequence[int],
    delivery: Delivery,
    answers: NDArray[np.float32],
    guess: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the answers to the samples whose own plan lacks no transfer, and the guess for the others; see `SampleDependent`.

    Parameters
    ----------
    plans, plan_of_sample : of a deployment, each of whose plans needs all of its transfers.
    delivery : what arrived.
    answers : with nothing missing, shape (n, *output).
    guess : at a sample without an answer, shape (*output).

    Raises
    ------
    PlanError
        When there is no plan that lacks nothing.
    """
    import numpy as np

    is_there = [delivery.are_whole(plan.transfer_ids) for plan in plans]
    if not any(is_there):
        require_delivered(sorted(plans[0].transfer_ids), delivery)
    if all(is_there):
        return answers
    is_kept = np.array(is_there)[np.array(plan_of_sample, dtype=int)]
    return np.where(is_kept.reshape(-1, *[1] * guess.ndim), answers, guess)


def known_device(context: DeploymentContext, option: str, device_id: str) -> str:
    """Return the id of a device that an option names.

    Raises
    ------
    PlanError
        When the topology has no such device.
    """
    if device_id not in context.topology.device_of:
        known = ", ".join(sorted(context.topology.device_of))
        raise PlanError(f"{option}: there is no device {device_id!r} in the topology; its devices are {known}")
    return device_id


def check_gradients(messages: Messages) -> None:
    """Refuse attacks on what is rounded, through which there are no gradients.

    Raises
    ------
    PlanError
        When messages are rounded.
    """
    if messages.is_rounding:
        raise PlanError(
            f"attacks go by gradients, which messages of dtype {messages.dtype} have none of; take dtype float32, or leave out evaluation.attack"
        )
