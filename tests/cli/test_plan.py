"""``edgesim plan``: who computes what, from the real plan, as wide as the terminal and without training."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.errors import DataError, ScenarioError
from edgesim.nn.cascade.networks import trained_networks
from edgesim.nn.data.packages.faces import Faces
from edgesim.scenario.scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]
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
"""

FACES = "dataset: {type: faces, train: 1, validation: 1, test: 4}\n  model: grid-detector"


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
    assert [line.split()[:3] for line in lines] == [["conv1", "+2", "w1"], ["conv1", "+2", "w2"]]
    assert "ends" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_table_is_as_wide_as_the_terminal():
    """80 columns: one line per step, without its end; a linear layer cut into many features may take two."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "edgesim", "plan", "scenarios/vgg16-cost.yaml", "--strategy", "halo-4"]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    with subprocess.Popen(command, stdout=follower, env=environment, cwd=ROOT) as process:
        os.close(follower)
        text = read_all(leader)
    assert process.returncode == 0
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "ends at" not in text
    assert any(
        re.match(r"conv1_2 \+2 +pi4 +rows 168:224 +926 M +57.3 kB +28.7 kB +6.48 MB +34.4 ms", line) for line in lines
    )
    assert any(re.match(r"pool4 +pi4 +rows 11:14 ", line) for line in lines), (
        "poolings that begin a phase have rows too"
    )


def read_all(descriptor: int) -> str:
    """Return what was written to a pseudo terminal until it was closed."""
    parts = []
    with contextlib.suppress(OSError):  # what Linux raises when the other end is closed
        while part := os.read(descriptor, 4096):
            parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()


def test_strategies_named_in_examples_exist():
    """Those of the command's help and of the comments on top of scenarios."""
    texts = [run("--help").stdout, *(path.read_text(encoding="utf-8") for path in ROOT.glob("scenarios/*.yaml"))]
    named = [
        (file, label)
        for text in texts
        for file, options in re.findall(r"edgesim plan\s+(scenarios/[\w-]+\.yaml)((?:\s+--strategy\s+[\w-]+)*)", text)
        for label in re.findall(r"--strategy\s+([\w-]+)", options)
    ]
    assert len(named) >= 4
    assert [pair for pair in named if pair[1] not in Scenario.load(ROOT / pair[0]).strategies] == []


def test_json_holds_steps_transfers_and_devices(scenario):
    """One entry per strategy; bytes in and out of a step are those of its messages."""
    (modnn,) = json.loads(run(scenario, "--strategy", "modnn", "--json").stdout)
    assert set(modnn) == {
        "strategy", "latency_s", "steps", "transfers", "devices", "pools", "divided", "ways", "bound",
    }  # fmt: skip
    first = next(step for step in modnn["steps"] if step["step_id"] == "conv1/compute/w1")
    sizes = {transfer["step_id"]: transfer["size_byte"] for transfer in modnn["transfers"]}
    assert first["in_byte"] == sizes["conv1/scatter/w1"] == 4 * 5 * 8
    assert first["out_byte"] == sizes["conv1/gather/w1"] == 4 * 4 * 8 * 32
    assert modnn["latency_s"] == max(step["ended_s"] for step in modnn["steps"])


def test_an_unknown_label_is_named(scenario):
    """The nearest label is suggested."""
    with pytest.raises(LookupError, match="nearest 'modnn'"):
        CliRunner().invoke(app, ["plan", str(scenario), "--strategy", "modn"], catch_exceptions=False)


def test_work_that_is_handed_out_and_what_is_enough(scenario):
    """A row for each tile with how many may take it, bytes at most; of coded layers the parts, and how many results are enough."""
    tiles = 'tiles: {type: fused-tiles, owner: hub, workers: "w*", grid: [1, 4], assign: stealing, again: 1 s}'
    coded = 'coded: {owner: hub, parity: w2, workers: "w*"}'
    scenario.write_text(SCENARIO.replace('modnn: {owner: hub, workers: "w*"}', f"{tiles}\n  {coded}"))
    handed, divided = run(scenario, "--strategy", "tiles").stdout, run(scenario, "--strategy", "coded").stdout
    assert "up to 14 messages" in handed  # inputs and results of four tiles, four asks, and one more of each device
    assert [re.search(rf"any of 2 +tile 0,{column}", handed) is not None for column in range(4)] == [True] * 4
    note = "4 tasks go to whichever device asks first, and to another one when not back after 1 s"
    assert note in " ".join(handed.split())
    assert "sum" in divided
    assert re.search(r"any 1 of 2 inputs is enough, \d times", divided)
    (plan,) = json.loads(run(scenario, "--strategy", "tiles", "--json").stdout)
    assert len(plan["pools"][0]["tasks"]) == 4


def test_messages_of_eight_bits(scenario):
    """In the plan as JSON, by hand: strips of 5 x 8 numbers in and 4 x 8 x 32 out, each with 8 byte of its range."""
    scenario.write_text(SCENARIO.replace("modnn: {owner", "modnn: {messages: {dtype: int8}, owner"))
    (plan,) = json.loads(run(scenario, "--strategy", "modnn", "--json").stdout)
    sizes = {step["step_id"]: (step["in_byte"], step["out_byte"]) for step in plan["steps"]}
    assert sizes["conv1/compute/w1"] == sizes["conv1/compute/w2"] == (5 * 8 + 8, 4 * 8 * 32 + 8)


def test_messages_of_another_kind_are_a_finding(scenario):
    """The value with its line, and what there is."""
    scenario.write_text(SCENARIO.replace("modnn: {owner", "modnn: {messages: {dtype: int4}, owner"))
    with pytest.raises(
        ScenarioError,
        match=r"small\.yaml:17:29: 'dtype' is the text 'int4'\n(.*\n)+ *expected: 'float32', 'float16' or 'int8'",
    ):
        Scenario.load(scenario)


def test_how_many_cores_work_on_each_layer(scenario):
    """On a DSP one core is enough for a small ReLU, and a large convolution takes all eight; without multi-core nothing is said."""
    text = SCENARIO.replace("{id: hub, profile: phone}", "{id: hub, profile: ti-c6678}").replace(
        "[1, 8, 8]", "[1, 64, 64]"
    )
    assert json.loads(run(scenario, "--strategy", "single", "--json").stdout)[0]["divided"] == []
    scenario.write_text(text + "compute: multi-core\n")
    (plan,) = json.loads(run(scenario, "--strategy", "single", "--json").stdout)
    cores = {layer["layer"]: layer["n_cores"] for layer in plan["divided"]}
    assert (cores["conv2"], cores["relu3"]) == (8, 1)
    rows = [line.split() for line in run(scenario, "--strategy", "single").stdout.splitlines()]
    assert [row[-5] for row in rows if row[:2] == ["conv2", "hub"]] == ["8"]


def test_every_way_that_samples_take(tmp_path):
    """A cascade says how many images go how far; numbers of steps are means over the images that have them."""
    try:
        Faces(train=1, validation=1, test=4).load()
        trained_networks()
    except DataError as missing:
        pytest.skip(f"NOT tested: {missing}")
    path = tmp_path / "faces.yaml"
    path.write_text(
        SCENARIO.replace("input: [1, 8, 8]\n  classes: 10\n  model: small-cnn", FACES).split("strategies:")[0]
        + "strategies: {cascade: {refinement: w1}}\n"
    )
    text = run(path).stdout
    assert "plans for 4 test samples" in text
    assert "every step, means over the samples that have it" in text
    (cascade,) = json.loads(run(path, "--json").stdout)
    assert sum(way["n_samples"] for way in cascade["ways"]) == 4
    n_of = {step["step_id"]: step["n_samples"] for step in cascade["steps"]}
    assert n_of["propose"] == 4
    for name, n in n_of.items():
        assert n == sum(way["n_samples"] for way in cascade["ways"] if name in way["steps"])
    mean_s = sum(way["n_samples"] * way["latency_s"]["mean"] for way in cascade["ways"]) / 4
    assert cascade["latency_s"] == pytest.approx(mean_s)
