"""A scenario of two devices whose networks are trained in a second."""

from __future__ import annotations

import pytest

SCENARIO = """
name: twins
seed: 1
topology:
  devices:
    - {id: a, profile: phone}
    - {id: b, profile: phone}
  links:
    - {between: [a, b], bandwidth: 2 Mbit/s, latency: 5 ms}
workload:
  dataset: {type: digits}
  model: {type: small-cnn, channels: [4, 8]}
  training: {epochs: 1}
  source: a
  sink: a
strategies:
  single: {device: b}
  chain: {devices: [a, b], cuts: [conv1]}
  modnn: {owner: a, workers: b, owner_computes: true, execution: halo, on_missing: degrade, step_deadline: 0.5 s}
"""


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "twins.yaml"
    path.write_text(SCENARIO)
    return path
