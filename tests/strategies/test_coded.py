"""Coded layers: any one result may be missing, more may not, and what is not coded is said."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Delivery
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError
from edgesim.nn.cut.coded import CodedLayer, parts_of
from edgesim.strategies.layers.coded import Coded
from edgesim.study.trials.deliveries import deliveries_of
from edgesim.testing import check_strategy
from tests.strategies.conftest import profile

FOUR = (1.0, 1.0, 2.0, 1.0)


def lost(*names: str) -> Delivery:
    return Delivery(frozenset(names))


@pytest.mark.parametrize("deadline_s", [None, 1.0])
@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_conforms(make_context, deadline_s, n_workers):
    """The contract of strategies, with one worker (a copy of all), and with fewer outputs than workers."""
    on_missing = "wait" if deadline_s is None else "degrade"
    strategy = Coded("hub", "w4", f"w[1-{n_workers}]", on_missing, deadline_s)
    check_strategy(strategy, make_context(FOUR, source_id="w1", sink_id="w2"))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(3, 10, 3),
        nn.Conv2d(3, 7, 3, stride=2, padding=1, bias=False),
        nn.Conv3d(2, 5, 2, dilation=2),
        nn.Linear(6, 10),
        nn.Linear(6, 2),
    ],
)
@pytest.mark.parametrize("n_devices", [2, 4])
def test_any_one_loss_is_repaired_exactly(layer, n_devices):
    """Whatever is missing, the layer's own outputs, to 1e-6 of the largest; of two missing parts the places are zero."""
    parts = parts_of(layer.weight.shape[0], n_devices)
    shape = {nn.Linear: (6,), nn.Conv1d: (3, 9), nn.Conv2d: (3, 9, 8), nn.Conv3d: (2, 5, 6, 7)}[type(layer)]
    values = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    coded = CodedLayer(layer, parts).eval()
    axis = -1 if isinstance(layer, nn.Linear) else 1
    with torch.no_grad():
        expected = layer(values)
        for part in range(len(parts) + 1):
            coded.missing = frozenset({part})
            assert coded(values).numpy() == pytest.approx(expected.numpy(), abs=1e-6 * float(expected.abs().max()))
        for pair in combinations(range(len(parts) + 1), 2):
            coded.missing = frozenset(pair)
            hole = expected.clone()
            for part in set(pair) - {len(parts)}:
                hole.narrow(axis, parts[part].start, len(parts[part])).zero_()
            assert coded(values).numpy() == pytest.approx(hole.numpy(), abs=1e-6 * float(expected.abs().max()))


def test_the_answer_is_exact_whichever_device_is_lost(make_context):
    """As the simulation loses it, in every layer: within 1e-4 of the largest logit of what the network says."""
    context = make_context(FOUR)
    deployment = Coded("hub", "w4").deploy(context)
    expected = deployment.predict(Delivery())
    program = compile_plan(deployment.plan, context.topology, Roofline())
    for device_id in ("w1", "w2", "w3", "w4"):
        (record,) = simulate(program, outages=[Outage(device_id)])
        (met,) = deliveries_of(program, [(record.lost, "", 0)], seed=1)
        assert any(device_id in name for name in met.lost)
        assert deployment.predict(met) == pytest.approx(expected, abs=1e-4 * float(np.abs(expected).max()))


def test_bytes_and_weights_by_hand(make_context):
    """Layer 7 of the network, 96 features to 10, over three workers: 4, 4 and 2 outputs, and 4 sums."""
    context = make_context(FOUR)
    plan = Coded("hub", "w4").deploy(context).plan
    sizes = {step.step_id: step.size_byte for step in plan.transfers if step.step_id.startswith("7/")}
    assert sizes == {
        "7/scatter/w1": 384, "7/gather/w1": 16, "7/scatter/w2": 384, "7/gather/w2": 16,
        "7/scatter/w3": 384, "7/gather/w3": 8, "7/scatter/w4": 384, "7/gather/w4": 16,
    }  # fmt: skip
    decode = next(step for step in plan.computes if step.step_id == "7/decode")
    assert (decode.work[0].work_flop, decode.n_enough) == (3 * 4, 3)
    # 3 x 3 kernels of 1 and 4 channels (2 filters each), 4 x 96 and 1 x 10 weights, with biases
    assert plan.weight_byte["w4"] == 4 * (2 * 10 + 2 * 37 + 4 * 97 + 1 * 11)


def test_a_slow_or_lost_device_delays_nothing(make_context):
    """With one of four a thousand times slower, or down, the answer comes when it came before; with two down there is none."""
    context = make_context(FOUR)
    plan = Coded("hub", "w4").deploy(context).plan

    def latency_s(topology: Topology, *outages: Outage) -> float:
        return simulate(compile_plan(plan, topology, Roofline()), outages=outages)[0].latency_s

    slow = replace(
        context.topology,
        devices=tuple(
            Device("w2", profile(0.001)) if one.device_id == "w2" else one for one in context.topology.devices
        ),
    )
    usual_s = latency_s(context.topology)
    assert latency_s(slow) == pytest.approx(usual_s, rel=0.01)
    assert latency_s(context.topology, Outage("w1")) == pytest.approx(usual_s, rel=0.01)
    assert np.isnan(latency_s(context.topology, Outage("w1"), Outage("w4")))


def test_two_losses_leave_zeros_or_no_answer(make_context):
    """With degrade the outputs of both are zero in front of what follows; with wait there is no answer."""
    context = make_context(FOUR)
    found = (
        Coded("hub", "w4", on_missing="degrade", step_deadline_s=1.0)
        .deploy(context)
        .predict(lost("4/gather/w1", "4/scatter/w3"))
    )
    with torch.no_grad():
        between = context.network[:5](torch.from_numpy(context.dataset.test.inputs["images"]))
        between[:, [0, 1, 4, 5]] = 0
        expected = context.network[5:](between).numpy()
    assert found == pytest.approx(expected, abs=1e-5)
    with pytest.raises(PlanError, match="more than one result of a layer is missing"):
        Coded("hub", "w4").deploy(context).predict(lost("4/gather/w1", "4/gather/w4"))
    whole = Coded("hub", "w4").deploy(context)
    one_in_each = whole.predict(lost("0/gather/w2", "4/gather/w1", "7/gather/w4"))
    assert one_in_each == pytest.approx(whole.predict(Delivery()), abs=1e-5)


def test_layers_without_a_parity_are_named(make_context):
    """A grouped convolution, a layer that is called twice: with the owner, and why."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.grouped = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=2)
            self.twice, self.head = nn.Conv2d(4, 4, 1), nn.Linear(256, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.twice(self.twice(self.grouped(self.one(images).relu()))).flatten(1))

    context = make_context(FOUR, network=Mixed().eval())
    check_strategy(Coded("hub", "w4"), context)
    facts = Coded("hub", "w4").deploy(context).describe()
    assert sorted(facts["coded"]) == ["head", "one"]
    assert facts["uncoded"]["grouped"] == "grouped: devices would read different inputs"
    assert facts["uncoded"]["twice"] == "called more than once"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"owner": "w9", "parity": "w4"}, "no device 'w9'"),
        ({"owner": "hub", "parity": "w9"}, "no device 'w9'"),
        ({"owner": "hub", "parity": "hub"}, "the owner cannot be the parity"),
        ({"owner": "hub", "parity": "w4", "workers": "w4"}, "matches no device"),
        ({"owner": "hub", "parity": "w4", "on_missing": "degrade"}, "step_deadline goes with"),
        ({"owner": "hub", "parity": "w4", "step_deadline_s": 1.0}, "step_deadline goes with"),
    ],
)
def test_what_cannot_be_is_refused(make_context, options, message):
    """Each with what is wrong."""
    with pytest.raises(PlanError, match=message):
        Coded(**options).deploy(make_context(FOUR))


def test_nothing_to_code_is_refused(make_context):
    """A network of one grouped convolution."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    check_strategy(Coded("hub", "w4"), make_context(FOUR, network=network))
    bare = nn.Sequential(nn.AdaptiveAvgPool2d((1, 3)), nn.Flatten())
    with pytest.raises(PlanError, match=r"no layer of the network can be coded \(it has no linear layers"):
        Coded("hub", "w4").deploy(make_context(FOUR, network=bare))
