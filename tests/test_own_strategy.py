"""A strategy of one's own: written and registered here, run by a scenario, with no change to the package."""

from dataclasses import dataclass

import edgesim
from edgesim.domain.networks.costs import LayerCost
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.system.topology import DeviceId
from edgesim.nn.train.training import forward
from edgesim.registry import STRATEGIES


@dataclass(frozen=True)
class Borrowed:
    """Send the input to a stronger device; guess class 0 when its answer does not come in time."""

    device: DeviceId

    def deploy(self, context):
        def work(layer: LayerCost) -> LayerWork:
            return LayerWork(layer.layer_id, layer.operator, layer.work_flop, layer.input_byte + layer.output_byte)

        steps = (
            Transfer("ask", context.source_id, self.device, context.graph.input_byte, "input", "input"),
            Compute("think", self.device, tuple(map(work, context.graph.layers)), ("ask",)),
            Transfer("tell", self.device, context.sink_id, 4, "class", "result", ("think",)),
            Compute("know", context.sink_id, (), ("tell",), on_missing="degrade", deadline_s=0.05),
        )
        plan = Plan(steps, "know", {self.device: context.graph.weight_byte})
        return BorrowedDeployment(plan, forward(context.network, context.dataset.test.inputs))


@dataclass(frozen=True)
class BorrowedDeployment:
    plan: Plan
    answers: object

    def predict(self, delivery):
        return self.answers if delivery.is_whole("tell") else self.answers * 0

    def describe(self):
        return {"device": sorted(self.plan.weight_byte)}


def test_own_strategy_runs_in_a_scenario(tmp_path):
    """Registered by one line, it is validated, simulated and evaluated like the built-in ones."""
    STRATEGIES.register("borrowed")(Borrowed)
    try:
        result = edgesim.run(edgesim.Scenario.from_text(SCENARIO), output=tmp_path / "out", workers=2)
    finally:
        STRATEGIES.remove("borrowed")
    table = result.summary().query("metric == 'accuracy'").set_index("lost")
    assert table["mean"][0] > 0.9
    assert abs(table["mean"][1] - 0.1) < 0.03  # class 0 is about a tenth of the digits


SCENARIO = """
name: own
question: Is borrowing worth it?
seed: 1
replications: 10
topology:
  devices: [{id: hub, profile: wearable}, {id: w1, profile: phone}]
  links: [{between: [hub, w1], bandwidth: 20 Mbit/s, latency: 2 ms}]
workload: {dataset: digits, model: small-cnn, training: {epochs: 8}, source: hub, sink: hub}
strategies: {borrowed: {device: w1}}
failures: {loss: {type: exactly-k, targets: w1, k: 0}}
sweep: {lost: {path: failures.loss.k, values: [0, 1]}}
"""
