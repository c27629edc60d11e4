"""Several plans of one deployment as one graph of steps, so that they share devices, links and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgesim.domain.plan import Plan, Pool, Step, Transfer
from edgesim.errors import PlanError


def joined(plans: Sequence[Plan], *, is_warm: bool = False) -> Plan:
    """Return all steps of some plans, one plan after another; the answer is that of the first.

    Steps of several plans are told apart by the plan's number before their id. The weights of each device are the most that any of the
    plans keeps there, or those of all of them (`is_warm`). A single plan is returned as it is.

    Raises
    ------
    PlanError
        When there is none.

    Examples
    --------
    >>> from edgesim.domain.plan import Compute
    >>> short, long = (Plan((Compute("end", "hub"),), "end", {"hub": n}) for n in (10, 30))
    >>> both = joined([short, long])
    >>> [step.step_id for step in both.steps], both.answer_id, both.weight_byte
    (['0:end', '1:end'], '0:end', {'hub': 30})
    """
    if not plans:
        raise PlanError("a deployment has at least one plan")
    if len(plans) == 1:
        return plans[0]
    weight_byte: dict[str, int] = {}
    for plan in plans:
        for device_id, n_byte in plan.weight_byte.items():
            before = weight_byte.get(device_id, 0)
            weight_byte[device_id] = before + n_byte if is_warm else max(before, n_byte)
    steps = tuple(_numbered(step, number) for number, plan in enumerate(plans) for step in plan.steps)
    pools = tuple(_pool(pool, number) for number, plan in enumerate(plans) for pool in plan.pools)
    return Plan(steps, _name(0, plans[0].answer_id), weight_byte, pools)


def _name(number: int, step_id: str) -> str:
    return f"{number}:{step_id}"


def _pool(pool: Pool, number: int) -> Pool:
    def renamed(rows: tuple[tuple[tuple[str, ...], ...], ...]) -> tuple[tuple[tuple[str, ...], ...], ...]:
        return tuple(tuple(tuple(_name(number, one) for one in row) for row in some) for some in rows)

    return replace(pool, tasks=renamed(pool.tasks), turns=renamed(pool.turns))


def _numbered(step: Step, number: int) -> Step:
    name, inputs = _name(number, step.step_id), tuple(_name(number, one) for one in step.inputs)
    if isinstance(step, Transfer):
        return replace(step, step_id=name, inputs=inputs)
    groups = tuple(tuple(_name(number, one) for one in group) for group in step.alternatives)
    return replace(step, step_id=name, inputs=inputs, alternatives=groups)
