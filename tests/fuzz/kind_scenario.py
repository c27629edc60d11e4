"""Scenario files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesim.scenario.build import build
from edgesim.scenario.help.oddities import oddities
from edgesim.scenario.scenario import Scenario

from .harness import Kind

SEEDS = (
    b"""\
name: small
question: How fast?
seed: 3
replications: {min: 10, max: 20, until: {accuracy: 0.01, latency: 5 %}}
topology:
  devices:
    - {id: hub, profile: {extends: phone, memory: 1 GiB}, position: [0 m, 2 m]}
    - {id: "w{1..3}", profile: wearable, cores: 2}
  media: [cell, {id: air, contention: 0.065}]
  links:
    - {between: [hub, "w*"], bandwidth: 20 Mbit/s, latency: 2 ms, medium: cell, transport: {type: arq}}
workload: {input: [1, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub, deadline: 1 s}
strategies:
  single: {device: hub}
  modnn: {owner: hub, workers: "w*", on_missing: degrade, step_deadline: 50 ms}
failures:
  loss: {type: bernoulli, probability: 1 %}
  down: {type: scripted, outages_at: [{targets: w1, start: 1 ms, end: 2 ms}]}
sweep:
  rate: {path: topology.links.0.bandwidth, values: [1 Mbit/s, 10 Mbit/s]}
  p: {path: failures.loss.probability, from: 1 %, to: 9 %, n: 3, with: rate2}
  rate2: {path: topology.links.0.latency, values: [1 ms, 2 ms, 3 ms]}
skip: ["rate > 5 Mbit/s and p >= 5 %"]
""",
    b"""\
name: shapes
topology:
  star: {count: 2, profile: phone, bandwidth: 10 Mbit/s}
  grid: {name: g, rows: 2, columns: 2, profile: &p wearable, bandwidth: 1 Mbit/s}
  links:
    - {between: [hub, g1_1], bandwidth: 1 Mbit/s}
workload:
  dataset: digits
  model: small-cnn
  source: hub
  sink: hub
  load: {arrivals: {type: bursts, calm_rate: 1 /s, burst_rate: 5 Hz, mean_calm: 1 s, mean_burst: 2 s}, requests: 5, warm_up: 1 s}
strategies:
  nonn: {students: 7}
profiles:
  mine: {extends: *p, layer_overhead: 50 us}
failures:
  lost: {type: exactly-k, k: 1, targets: "w*"}
sweep: {k: {path: failures.lost.k, values: [0, 1]}}
""",
)


def read(path: Path) -> None:
    """Do what `edgesim validate` does, and take the scenario apart as a study does; it survives being written and read."""
    scenario = Scenario.load(path)
    oddities(scenario)
    assert Scenario.from_data(scenario.resolved()).hash() == scenario.hash()
    points = scenario.points()
    build(scenario.at(points[-1]))


def plain(content: bytes) -> Any:
    """Return the plain data of a seed."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(content)


KINDS = (Kind("scenario", SEEDS, read, "mutant.yaml", data_of=plain),)
