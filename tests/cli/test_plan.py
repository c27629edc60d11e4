"""``edgesim plan``: who computes what, from the real plan, within 100 columns and without training."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app

SCENARIO = """
name: small
topology:
  devices:
    - {id: hub, profile: phone}
    - {id: "w{1..2}", profile: wearable}
  links:
    - {between: [hub, "w*"], bandwidth: 20 Mbit/s, latency: 2 ms}
workload:
  input: [1, 8, 8]
  classes: 10
  model: small-cnn
  source: hub
  sink: hub
strategies:
  single: {device: hub}
  modnn: {owner: hub, workers: "w*"}
  nonn: {students: 2, devices: "w*", merger: hub, deadline: 1 s}
"""


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    return path


def run(*arguments):
    result = CliRunner().invoke(app, ["plan", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_each_layer_with_its_device_and_rows(scenario):
    """Strips of the first convolution, by hand: half of 8 rows each, 5 rows of input of 32 byte each."""
    text = run(scenario, "--strategy", "modnn").stdout
    lines = [line for line in text.splitlines() if line.startswith("conv1")]
    assert all("rows" in line and "160 B" in line for line in lines)
    assert {line.split()[1] for line in lines} == {"w1", "w2"}
    assert max(map(len, text.splitlines())) <= 100


def test_json_holds_steps_transfers_and_devices(scenario):
    """One entry per strategy; bytes in and out of a step are those of its messages."""
    (modnn,) = json.loads(run(scenario, "--strategy", "modnn", "--json").stdout)
    assert set(modnn) == {"strategy", "latency_s", "steps", "transfers", "devices"}
    first = next(step for step in modnn["steps"] if step["step_id"] == "conv1/compute/w1")
    sizes = {transfer["step_id"]: transfer["size_byte"] for transfer in modnn["transfers"]}
    assert first["in_byte"] == sizes["conv1/scatter/w1"] == 4 * 5 * 8
    assert first["out_byte"] == sizes["conv1/gather/w1"] == 4 * 4 * 8 * 32
    assert modnn["latency_s"] == max(step["ended_s"] for step in modnn["steps"])


def test_an_unknown_label_is_named(scenario):
    """The nearest label is suggested."""
    with pytest.raises(LookupError, match="nearest 'modnn'"):
        CliRunner().invoke(app, ["plan", str(scenario), "--strategy", "modn"], catch_exceptions=False)
