"""The whole network on one device."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.domain.delivery import Delivery
from edgesim.domain.plan import Compute, Transfer
from edgesim.errors import PlanError
from edgesim.nn.train.training import forward
from edgesim.strategies.single import Single
from edgesim.testing import check_strategy


@pytest.mark.parametrize("device", [None, "hub", "w1"])
@pytest.mark.parametrize(("source_id", "sink_id"), [("hub", "hub"), ("w2", "hub"), ("w2", "w1")])
def test_conforms_wherever_it_runs(make_context, device, source_id, sink_id):
    """The contract holds on every device, from every source, to every sink."""
    check_strategy(Single(device), make_context(source_id=source_id, sink_id=sink_id))


def test_on_the_source_and_sink_nothing_is_sent(make_context):
    """One computation with all work, weights and activations of the network."""
    context = make_context()
    plan = Single().deploy(context).plan
    assert [type(step) for step in plan.steps] == [Compute]
    assert sum(work.work_flop for work in plan.computes[0].work) == context.graph.work_flop
    assert plan.weight_byte == {"hub": context.graph.weight_byte}
    assert plan.computes[0].activation_byte == context.graph.peak_activation_byte


def test_elsewhere_the_input_goes_there_and_the_logits_come_back(make_context):
    """64 pixels of 4 byte there, 3 logits of 4 byte back."""
    plan = Single("w1").deploy(make_context()).plan
    assert [(t.src_id, t.dst_id, t.size_byte, t.kind) for t in plan.transfers] == [
        ("hub", "w1", 256, "input"),
        ("w1", "hub", 12, "result"),
    ]
    assert [step.step_id for step in plan.steps] == ["input", "network", "answer", "arrival"]
    assert isinstance(plan.steps[0], Transfer)
    assert plan.computes[-1].device_id == "hub"


def test_without_input_or_answer_there_is_no_answer(make_context):
    """A lost message is an error that names it: nothing can stand in for it."""
    deployment = Single("w1").deploy(make_context())
    for name in ("input", "answer"):
        with pytest.raises(PlanError, match=f"no answer without transfer '{name}'"):
            deployment.predict(Delivery(frozenset({name})))


def test_answers_as_the_network(make_context):
    """The logits are those of the network, to the bit."""
    context = make_context()
    deployment = Single("w1").deploy(context)
    assert np.array_equal(deployment.predict(Delivery()), forward(context.network, context.dataset.test.inputs))


def test_an_unknown_device_is_refused(make_context):
    """The error names the option, the device and those that are there."""
    with pytest.raises(PlanError, match=r"single\.device: there is no device 'w9'.*hub, w1"):
        Single("w9").deploy(make_context())
