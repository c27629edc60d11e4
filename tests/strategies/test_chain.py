"""Chains of devices: cuts by hand, by search, and what they cost."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations
from math import inf

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.compute.forecast import forecast
from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.training import Training
from edgesim.domain.system.topology import Device, Topology
from edgesim.engine.program.devices import check_memory
from edgesim.errors import InfeasiblePlanError, PlanError
from edgesim.nn.chains.line import line_of
from edgesim.strategies.layers.chain import Chain
from edgesim.strategies.layers.placement import ChainTimes, Run, best_chain
from edgesim.strategies.single import Single
from edgesim.testing import check_strategy, deployment_context
from tests.strategies.conftest import profile, star


class Skipping(nn.Module):
    """Two convolutions with a shortcut past the second."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(256, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.one(images).relu()
        return self.head((self.two(first).relu() + first).flatten(1))


def times_of(n_devices: int, n_layers: int, rng: np.random.Generator) -> ChainTimes:
    """Random times; some runs do not fit, some messages have no way."""
    run_s = np.full((n_devices, n_layers + 1, n_layers + 1), inf)
    for device in range(n_devices):
        until_s = np.concatenate([[0.0], np.cumsum(rng.integers(1, 9, n_layers))])
        longest = rng.integers(1, n_layers + 1)
        for start, stop in combinations(range(n_layers + 1), 2):
            if stop - start <= longest:
                run_s[device, start, stop] = until_s[stop] - until_s[start]
    message_s = rng.integers(1, 9, (n_devices, n_devices, n_layers + 1)).astype(float)
    message_s[rng.random((n_devices, n_devices)) < 0.15] = inf
    return ChainTimes(run_s, message_s, rng.integers(0, 9, n_devices) * 1.0, rng.integers(0, 9, n_devices) * 1.0)


def taken_s(times: ChainTimes, runs: tuple[Run, ...]) -> list[float]:
    """All runs and messages of a chain, one after another."""
    found = [times.input_s[runs[0].device]]
    for index, run in enumerate(runs):
        if index:
            found.append(times.message_s[runs[index - 1].device, run.device, run.start])
        found.append(times.run_s[run.device, run.start, run.stop])
    return [*found, times.answer_s[runs[-1].device]]


def all_chains(n_devices: int, n_layers: int, order: str):
    """Every way of giving each of some devices a run of layers."""
    choose = combinations if order == "given" else permutations
    for n_used in range(1, min(n_devices, n_layers) + 1):
        for devices in choose(range(n_devices), n_used):
            for places in combinations(range(1, n_layers), n_used - 1):
                ends = (0, *places, n_layers)
                yield tuple(Run(device, ends[i], ends[i + 1]) for i, device in enumerate(devices))


@pytest.mark.parametrize("order", ["given", "any"])
@pytest.mark.parametrize("goal", ["latency", "throughput"])
def test_the_best_chain_is_that_of_brute_force(goal, order):
    """200 random small cases: no chain of all is better; where none is possible, none is found."""
    rng = np.random.default_rng(1)
    n_impossible = 0
    for _ in range(200):
        n_devices, n_layers = int(rng.integers(1, 5)), int(rng.integers(1, 7))
        times = times_of(n_devices, n_layers, rng)
        every = [taken_s(times, runs) for runs in all_chains(n_devices, n_layers, order)]
        values = [(sum(taken), 0.0) if goal == "latency" else (max(taken), sum(taken)) for taken in every]
        runs = best_chain(times, goal, order)
        if min(values)[0] == inf:
            n_impossible += 1
            assert runs == ()
            continue
        taken = taken_s(times, runs)
        assert ((sum(taken), 0.0) if goal == "latency" else (max(taken), sum(taken))) == min(values)
    assert 0 < n_impossible < 100


@pytest.mark.parametrize(("source_id", "sink_id"), [("hub", "hub"), ("w2", "w3")])
@pytest.mark.parametrize(
    "options",
    [
        {"devices": ("w1", "hub", "w2")},
        {"devices": ("hub", "w1"), "cuts": ("3",)},
        {"devices": ("w3", "w1", "hub"), "best_for": "throughput", "order": "any"},
    ],
)
def test_conforms(make_context, options, source_id, sink_id):
    """The contract holds for cuts by hand and by search, with the input and the answer elsewhere."""
    check_strategy(Chain(**options), make_context(source_id=source_id, sink_id=sink_id))


def test_a_cut_by_hand_carries_what_later_layers_read(make_context):
    """Behind the pooling: 4 x 4 x 4 numbers; all weights on the two devices, each once."""
    context = make_context()
    plan = Chain(("hub", "w1"), ("3",)).deploy(context).plan
    assert [(t.step_id, t.src_id, t.dst_id, t.size_byte) for t in plan.transfers] == [
        ("behind 3", "hub", "w1", 256),
        ("answer", "w1", "hub", 12),
    ]
    assert sum(plan.weight_byte.values()) == context.graph.weight_byte
    assert (
        plan.weight_byte["hub"] == 4 * (36 + 4 + 4 * 4) + 8
    )  # convolution; four vectors and a count of the normalisation
    assert [[work.layer_id for work in step.work] for step in plan.computes[:2]] == [
        ["0", "1", "2", "3"],
        ["4", "5", "7", "8", "9"],
    ]


def test_a_bottleneck_sends_fewer_channels_and_states_its_score(teacher, teacher_model, digits):
    """A quarter of 32 maps of 4 x 4, and 32 to 8 to 32 channels on both sides; the answers are those of the modules, near the network's."""
    context = deployment_context(
        teacher.network, digits, star([1.0]), source_id="hub", sink_id="hub",
        filter_layer=teacher_model.filter_layer(), network_key=teacher.key, seed=1,
    )  # fmt: skip
    narrow = Chain(("hub", "w1"), ("pool",), bottleneck=0.25, training=Training(epochs=4))
    check_strategy(narrow, context, is_exact=False)
    found, plain = narrow.deploy(context), replace(narrow, bottleneck=None).deploy(context)
    sent = [(one.step_id, one.size_byte) for one in found.plan.transfers]
    assert sent == [("behind pool", 4 * 8 * 4 * 4), ("answer", 40)]
    assert plain.plan.transfers[0].size_byte == 4 * 32 * 4 * 4
    more = {name: found.plan.weight_byte[name] - plain.plan.weight_byte[name] for name in ("hub", "w1")}
    assert more == {"hub": 4 * (32 * 8 + 8), "w1": 4 * (8 * 32 + 32)}
    flop = [sum(w.work_flop for step in one.plan.computes for w in step.work) for one in (found, plain)]
    assert flop[0] - flop[1] == pytest.approx(2 * 2 * 32 * 8 * 16, rel=0.1)
    score, targets = digits.task.scores[0], digits.test.targets
    stated = found.describe()["test_accuracy"]
    assert score.of(found.predict(Delivery()), targets) == pytest.approx(stated)
    assert stated > score.of(plain.predict(Delivery()), targets) - 0.1


def test_a_shortcut_is_carried_along_and_counted_once():
    """In front of the second convolution both readers read one tensor; behind it there are two."""
    line = line_of(Skipping().eval(), (1, 8, 8))
    names = [layer.layer_id for layer in line.layers]
    assert dict(zip(names, line.crossing_byte[1:], strict=True)) == {
        "one": 1024, "relu": 1024, "two": 2048, "relu_1": 2048, "add": 1024, "head": 12,
    }  # fmt: skip
    assert line.held_byte[2] == 2048
    assert line.activation_byte(2, 4) == 3072  # the shortcut, the convolution's output, and its activation


def test_shared_weights_are_held_once_by_each_device():
    """A layer that is called twice has its weights once where both calls are, and on both devices where they are cut."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(4, 4)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return self.one(self.one(rows).relu())

    line = line_of(Twice().eval(), (4,))
    assert [line.weight_byte(0, 3), line.weight_byte(0, 2), line.weight_byte(2, 3)] == [80, 80, 80]


@pytest.mark.parametrize("goal", ["latency", "throughput"])
def test_the_search_foretells_the_plan(make_context, goal):
    """The time of the best chain is that of its plan when nothing waits, and no other cut of two devices is faster."""
    context = make_context((4.0, 1.0, 8.0), network=Skipping())
    best = forecast(Chain(("hub", "w3"), best_for=goal).deploy(context).plan, context.topology, context.compute)
    names = [layer.layer_id for layer in line_of(context.network, (1, 8, 8)).layers[:-1]]
    plans = [Chain(("hub", "w3"), (name,)).deploy(context).plan for name in names]
    plans += [Single(name).deploy(context).plan for name in ("hub", "w3")]

    def value_s(found):
        steps = [one.ended_s - one.started_s for one in found.values()]
        return max(one.ended_s for one in found.values()) if goal == "latency" else max(steps)

    others = [value_s(forecast(plan, context.topology, context.compute)) for plan in plans]
    assert value_s(best) == pytest.approx(min(others), rel=1e-12)


def test_memory_moves_the_cut(make_context):
    """A fast device that cannot hold the whole network gets what it can hold; where nothing fits, the plan is refused by name."""
    context = make_context((100.0,))
    whole = Chain(("hub", "w1"), best_for="latency")
    strong = {**{d.device_id: d for d in context.topology.devices}}
    slow_hub = Device("hub", replace(profile(0.001), memory_byte=2**30))

    def in_memory(byte: int) -> Topology:
        small = Device("w1", replace(strong["w1"].profile, memory_byte=byte))
        links = tuple(replace(link, bandwidth_bit_per_s=1e9) for link in context.topology.links)
        return Topology((slow_hub, small), links)

    roomy = whole.deploy(replace(context, topology=in_memory(2**30)))
    assert set(roomy.plan.weight_byte) == {"w1"}
    tight = whole.deploy(replace(context, topology=in_memory(context.graph.weight_byte)))
    assert set(tight.plan.weight_byte) == {"hub", "w1"}
    check_memory(tight.plan, in_memory(context.graph.weight_byte))
    alone = replace(context, topology=in_memory(100))
    with pytest.raises(InfeasiblePlanError, match="device 'w1' needs"):
        check_memory(Chain(("w1",)).deploy(alone).plan, alone.topology)


def test_every_message_is_needed(make_context):
    """There is no answer without what crosses a cut."""
    deployment = Chain(("hub", "w1"), ("3",)).deploy(make_context())
    with pytest.raises(PlanError, match="no answer without transfer 'behind 3'"):
        deployment.predict(Delivery(frozenset({"behind 3"})))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": ("hub", "w9")}, "no device 'w9'"),
        ({"devices": ("hub", "hub")}, "named twice"),
        ({"devices": ("hub", "w1"), "cuts": ()}, "2 devices need 1 cuts, not 0"),
        ({"devices": ("hub", "w1"), "cuts": ("nine",)}, "no layer 'nine'; its layers are 0, 1"),
        ({"devices": ("hub", "w1", "w2"), "cuts": ("3", "1")}, "leave a device without layers"),
        ({"devices": ("hub", "w1"), "cuts": ("9",)}, "leave a device without layers"),
        ({"devices": ("hub", "w1"), "cuts": ("3",), "order": "any"}, "order: any goes with cuts: best"),
        ({"devices": ("hub", "w1"), "bottleneck": 0.5}, "narrows the tensors at cuts that are named"),
    ],
)
def test_what_makes_no_chain_is_refused(make_context, options, message):
    """Each with what is wrong and what to write."""
    with pytest.raises(PlanError, match=message):
        Chain(**options).deploy(make_context())


def test_no_way_is_refused(make_context):
    """Two devices without links between them."""
    context = make_context()
    island = Topology((*context.topology.devices, Device("far", profile(1.0))), context.topology.links)
    with pytest.raises(PlanError, match="no way leads from 'hub' through any of far to 'hub'"):
        Chain(("far",)).deploy(replace(context, topology=island))
