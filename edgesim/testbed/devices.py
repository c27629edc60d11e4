"""What one device of a bundle executes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute, Transfer

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.nn.kernels.program import Program


@dataclass(frozen=True, slots=True, eq=False)
class DeviceBundle:
    """What one device executes: its computations, and the messages that it sends and gets.

    Parameters
    ----------
    device_id : the device.
    computes : its computations, each after its inputs on the device; without the layers that they stand for.
    sends, receives : its messages, in plan order.
    programs : of its computations, by their ids, and of messages sent at the release that do not carry the sample as it is.
    answer_id : the computation that is the answer; empty where that is elsewhere.
    """

    device_id: str
    computes: tuple[Compute, ...]
    sends: tuple[Transfer, ...]
    receives: tuple[Transfer, ...]
    programs: Mapping[str, Program]
    answer_id: str

    def goals(self, step: Compute) -> tuple[str, ...]:
        """Return the transfers that wait for a computation."""
        return tuple(transfer.step_id for transfer in self.sends if step.step_id in transfer.inputs)


def device_bundles(plan: Plan, programs: Mapping[str, Program]) -> dict[str, DeviceBundle]:
    """Return what each device executes of a plan, by its id, given the programs of all steps that have one."""
    return {device_id: _of(plan, programs, device_id) for device_id in plan.device_ids}


def _of(plan: Plan, programs: Mapping[str, Program], device_id: str) -> DeviceBundle:
    computes = tuple(_bare(step) for step in plan.computes if step.device_id == device_id)
    own = {step.step_id for step in computes}
    released = {transfer.step_id for transfer in plan.transfers if transfer.src_id == device_id and not transfer.inputs}
    return DeviceBundle(
        device_id,
        computes,
        tuple(transfer for transfer in plan.transfers if transfer.src_id == device_id),
        tuple(transfer for transfer in plan.transfers if transfer.dst_id == device_id),
        {name: program for name, program in programs.items() if name in own | released},
        plan.answer_id if plan.answer_id in own else "",
    )


def _bare(step: Compute) -> Compute:
    return Compute(
        step.step_id, step.device_id, (), step.inputs, step.activation_byte, step.on_missing, step.deadline_s, step.fixed_s,
        step.alternatives, step.n_enough,
    )  # fmt: skip


def begins(step: Compute, there: Collection[str], messages: Collection[str], *, is_late: bool) -> bool:
    """Return whether a computation can begin.

    It needs all that the same device computes. Of messages it needs all, of alternatives as many as are enough; when it degrades
    and its deadline has passed, none.

    Parameters
    ----------
    step : the computation.
    there : ids of the inputs that are there.
    messages : ids of all messages.
    is_late : whether its deadline has passed.
    """
    group_of = {name: group for group in step.alternatives for name in group}
    for name in step.inputs:
        if name in there or (is_late and name in messages):
            continue
        if sum(other in there for other in group_of.get(name, ())) < step.n_enough or name not in group_of:
            return False
    return True


def is_waited_for(name: str, step: Compute, there: Collection[str]) -> bool:
    """Return whether a computation needs a message that comes: not when enough of its alternatives are there.

    >>> step = Compute("sum", "a", inputs=("b", "c", "d"), alternatives=(("b", "c"),))
    >>> is_waited_for("b", step, {"c"}), is_waited_for("b", step, {"d"}), is_waited_for("d", step, {"b", "c"})
    (False, True, True)
    """
    return all(
        sum(other in there for other in group if other != name) < step.n_enough
        for group in step.alternatives
        if name in group
    )
