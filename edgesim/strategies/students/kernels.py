"""What each device computes where students answer and a merger makes one answer of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.plan import Transfer
from edgesim.strategies.ends import ANSWER_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from edgesim.domain.plan import Plan
    from edgesim.interfaces import Kernel

MERGE_ID = "merge"
"""Id of the computation of the merger."""


def student_kernels(
    plan: Plan,
    networks: Sequence[nn.Module],
    names: Sequence[str],
    merging: Callable[[Sequence[str], Sequence[str]], Kernel],
) -> dict[str, Kernel]:
    """Return the kernels of a plan of students by the ids of its computations.

    Parameters
    ----------
    plan : as `edgesim.strategies.students.networks.student_plan` writes it.
    networks : of each student.
    names : of the inputs of the network.
    merging : the inputs of the merger, by student, and the transfers that carry the answer -> what it computes.
    """
    from edgesim.nn.kernels.whole import WholeKernel, arrival

    step_of = {step.step_id: step for step in plan.steps}
    gathered = step_of[MERGE_ID].inputs
    kernels: dict[str, Kernel] = {plan.answer_id: arrival, MERGE_ID: merging(gathered, [ANSWER_ID])}
    for name, network in zip(gathered, networks, strict=True):
        step = step_of[name]
        sent = isinstance(step, Transfer)
        kernels[step.inputs[0] if sent else name] = WholeKernel(network, names, [name] if sent else [])
    return kernels
