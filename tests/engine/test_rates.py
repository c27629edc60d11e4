"""Rates are computed anew only for what a change touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.engine.servers import rates

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


@pytest.mark.parametrize("n_pairs", [2, 20])
def test_a_change_costs_what_it_is_connected_with(n_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs of devices with a link of their own and two messages, of different sizes, so that no two changes meet.

    Each pair is a component: both messages begin together (one computation of two rates), then one ends (one of one rate).
    What another pair does is nothing to it, however many there are.
    """
    computed: Counter[int] = Counter()

    def max_min_rates(usages: Sequence[Mapping[int, float]]) -> list[float]:
        computed[len(usages)] += 1
        return original(usages)

    original = rates.max_min_rates
    monkeypatch.setattr(rates, "max_min_rates", max_min_rates)
    devices, links, steps = [Device("sink", PROFILE)], [], []
    for pair in range(n_pairs):
        devices += [Device(f"a{pair}", PROFILE), Device(f"b{pair}", PROFILE)]
        links.append(Link(f"a{pair}->b{pair}", f"a{pair}", f"b{pair}", 1e6, sharing="fair"))
        steps += [
            Transfer(f"t{pair}.{size}", f"a{pair}", f"b{pair}", size, "x", "result")
            for size in (1_000 + pair, 5_000 + 7 * pair)
        ]
    inputs = tuple(step.step_id for step in steps[:2])
    plan = Plan((*steps, Compute("end", "b0", (), inputs)), "end", {})
    [record] = simulate(compile_plan(plan, Topology(tuple(devices), tuple(links)), NoTime()))
    assert record.latency_s == pytest.approx(8 * 6_000 / 1e6)
    assert computed == {2: n_pairs, 1: n_pairs}
