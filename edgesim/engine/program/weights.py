"""Which weights devices lack when another plan takes over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesim.domain.plan import Compute, Plan, Transfer


@dataclass(frozen=True, slots=True)
class TakeoverTable:
    """What it needs to go from one plan of a program to another.

    Parameters
    ----------
    devices : by plan, those that compute in it, without the monitor.
    lacking : by plan that is left and plan that takes over, the bytes of weights that each device lacks.
    messages : by device and bytes, the step that brings them; devices that have them in storage have none.
    is_same_network : whether all plans divide one network.
    """

    devices: tuple[frozenset[str], ...]
    lacking: Mapping[tuple[int, int], Mapping[str, int]]
    messages: Mapping[tuple[str, int], int]
    is_same_network: bool = False


def takeover_table(
    plans: Sequence[Plan], monitor: str, first: int, *, is_warm: bool, is_same_network: bool
) -> tuple[tuple[Transfer, ...], TakeoverTable]:
    """Return the messages that bring weights, and the table.

    Parameters
    ----------
    plans : the plan of the strategy, and those that may take over.
    monitor : where weights come from.
    first : index of the first message among the steps of the program.
    is_warm : whether devices have the weights of all plans in memory, so that nothing is ever sent.
    is_same_network : whether all plans divide one network, so that a layer has the same weights in each.
    """
    pairs = [(old, new) for old in range(len(plans)) for new in range(len(plans)) if old != new]
    lacking = {
        (old, new): {} if is_warm else lacks(plans[old], plans[new], is_same_network=is_same_network)
        for old, new in pairs
    }
    sent = sorted({item for some in lacking.values() for item in some.items() if item[0] != monitor})
    messages = tuple(
        Transfer(f"weights of {n_byte} byte for {name}", monitor, name, n_byte, "weights", "intermediate")
        for name, n_byte in sent
    )
    devices = tuple(frozenset(step.device_id for step in plan.computes) - {monitor} for plan in plans)
    brought = {item: first + number for number, item in enumerate(sent)}
    return messages, TakeoverTable(devices, lacking, brought, is_same_network)


def lacks(old: Plan, new: Plan, *, is_same_network: bool) -> dict[str, int]:
    """Return by device how many bytes of the weights of a plan it has not got from the one before; devices that lack none are left out.

    Of one network divided in two ways, a device that computes the same in both has all; else it lacks of each layer what its new part has more than
    its old one, as if the smaller part were always in the larger. Of another network it lacks everything, were it of the same form.

    Examples
    --------
    w1 had the layer a, and gets b besides.

    >>> from edgesim.domain.plan import LayerWork
    >>> a, b = (LayerWork(name, "conv", 1.0, 50.0, weight_byte=40.0) for name in "ab")
    >>> two = Plan((Compute("1", "w1", (a,)), Compute("2", "w2", (b,))), "2", {"w1": 40, "w2": 40})
    >>> one = Plan((Compute("1", "w1", (a, b)),), "1", {"w1": 80})
    >>> lacks(two, one, is_same_network=True), lacks(two, one, is_same_network=False), lacks(one, two, is_same_network=True)
    ({'w1': 40}, {'w1': 80}, {'w2': 40})
    >>> lacks(two, two, is_same_network=True), lacks(two, two, is_same_network=False)
    ({}, {'w1': 40, 'w2': 40})
    """
    found = {}
    for name, n_byte in new.weight_byte.items():
        n_lacking = n_byte
        if is_same_network:
            before, after = _layers(old, name), _layers(new, name)
            if name in old.weight_byte and [step.work for step in _of(old, name)] == [
                step.work for step in _of(new, name)
            ]:
                n_lacking = max(0, n_byte - old.weight_byte[name])
            elif abs(sum(after.values()) - n_byte) < 1.0:
                n_lacking = round(sum(max(0.0, size - before.get(layer, 0.0)) for layer, size in after.items()))
        if n_lacking > 0:
            found[name] = n_lacking
    return found


def _of(plan: Plan, device_id: str) -> list[Compute]:
    return [step for step in plan.computes if step.device_id == device_id]


def _layers(plan: Plan, device_id: str) -> dict[str, float]:
    """Return the bytes of weights of each layer that a device computes, or part of it."""
    found: dict[str, float] = {}
    for work in (work for step in _of(plan, device_id) for work in step.work):
        found[work.layer_id] = found.get(work.layer_id, 0.0) + work.weight_byte
    return found
