"""``edgesim profile``: what is measured of a network, and that scenarios take it. No test depends on how fast the machine is."""

from __future__ import annotations

import csv
import json
import time

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.compute.roofline import Roofline
from edgesim.domain.networks.task import TensorSpec
from edgesim.domain.plan import Compute
from edgesim.nn.cost.layers import graph_work, measure
from edgesim.nn.timing import layers as timing
from edgesim.nn.timing.clock import clock_hz, temperature_c, timed
from edgesim.nn.timing.drawn import drawn
from edgesim.nn.timing.probes import Probe, dense, probes
from edgesim.scenario.scenario import Scenario

SCENARIO = """
name: small
topology: {devices: [{id: a, profile: phone}, {id: b, profile: wearable}], links: [{between: [a, b], bandwidth: 1 Mbit/s}]}
workload: {input: [1, 8, 8], classes: 2, model: {type: small-cnn, channels: [4, 8], pool_after: 1}, source: a, sink: a}
strategies: {single: {device: a}}
"""


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["profile", *map(str, arguments)])
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def test_a_scenario_computes_as_long_as_was_measured(tmp_path):
    """The times of the layers add up to the time of the network, and the plan of `single` takes them all."""
    path, times = tmp_path / "small.yaml", tmp_path / "times.csv"
    path.write_text(SCENARIO)
    found = json.loads(run(path, "--seconds", "0", "--json", "--output", times, "--name", "phone").stdout)
    assert found["repetitions"] == timing.FEWEST
    assert sum(layer["time_s"] for layer in found["layers"]) >= 0.999 * found["whole_s"] > 0
    assert 0 < found["processor_share"] <= 1
    assert [layer["kind"] for layer in found["layers"]][:3] == ["conv2d 3x3", "batchnorm2d", "relu"]
    path.write_text(f"{SCENARIO}\ncompute: {{type: measured, file: times.csv}}\n")
    scenario = Scenario.load(path)
    network = scenario.workload.model.build({"images": TensorSpec((1, 8, 8))}, TensorSpec((2,)))
    step = Compute("all", "a", graph_work(measure(network, (1, 8, 8))))
    expected = sum(layer["time_s"] for layer in found["layers"])
    assert scenario.compute.duration_s(step, scenario.built.devices[0].profile) == pytest.approx(expected, rel=1e-4)
    with times.open() as file:
        assert {row["profile"] for row in csv.DictReader(line for line in file if line[0] != "#")} == {"phone"}


class Slow(nn.Module):
    """Works for some time of the processor, and a little more each time."""

    __module__ = "torch.nn.slow"  # modules of torch are leaves of a trace

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ended_s = time.thread_time() + self.seconds
        while time.thread_time() < ended_s:
            pass
        return x * 1.0


class Leaves(nn.Sequential):
    """Two layers, of which the second takes twice as long."""

    def __init__(self) -> None:
        super().__init__(Slow(0.001), Slow(0.002))


def test_each_layer_has_its_own_time(monkeypatch):
    """Of two layers that work 1 ms and 2 ms of processor time, whatever else runs."""
    monkeypatch.setattr(timing, "FEWEST", 5)
    sample = {"x": torch.zeros(1, 4)}
    found = timing.time_network(Leaves(), {"x": TensorSpec((4,))}, sample, 0.0)
    first, second = (time.low_s for _, time in found.layers)
    assert 0.001 <= first < second
    assert second >= 0.002
    assert first + second == pytest.approx(found.whole.low_s, rel=0.5)


def test_the_low_quantile_is_not_moved_by_what_disturbs():
    quiet = [1e-3 + 1e-6 * i for i in range(100)]
    disturbed = [*quiet[:90], *[1.0] * 10]
    assert timed(disturbed).low_s == timed(quiet).low_s
    assert timed([2.0] * 5).spread == 0


def test_temperature_and_clock_are_read_where_the_system_tells_them(tmp_path):
    assert temperature_c(tmp_path) is None
    assert clock_hz(tmp_path, tmp_path / "none") is None
    for name, text in {
        "class/thermal/thermal_zone0/temp": "41000\n", "class/thermal/thermal_zone1/temp": "52500\n",
        "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert temperature_c(tmp_path) == 52.5
    assert clock_hz(tmp_path) == 1.8e9
    (tmp_path / "cpuinfo").write_text("processor : 0\ncpu MHz\t\t: 2596.120\n")
    assert clock_hz(tmp_path / "none", tmp_path / "cpuinfo") == pytest.approx(2.59612e9)


def test_a_scenario_that_is_not_there_is_wrong_input(tmp_path):
    result = CliRunner().invoke(app, ["profile", str(tmp_path / "none.yaml")])
    assert "none.yaml" in str(result.exception)


def test_a_scenario_takes_the_profile_of_the_machine(tmp_path, monkeypatch):
    """From two small probes; a probe computes about as long as it was measured, and another profile goes by its roofline."""
    some = [Probe(dense(channels, 3), TensorSpec((channels, 8, 8))) for channels in (2, 4, 6, 8, 10, 12)]
    monkeypatch.setattr("edgesim.nn.timing.operators.build_all", lambda: some)
    found = json.loads(run("--seconds", "0", "--json", "--name", "mine", "--output", tmp_path / "mine.yaml").stdout)
    assert set(found["numbers"]) == {"conv", "depthwise", "linear", "other", "memory_bandwidth", "layer_overhead"}
    text = SCENARIO.replace("{id: a, profile: phone}", "{id: a, profile: mine}")
    (tmp_path / "study.yaml").write_text(f"extends: mine.yaml\n{text}")
    scenario = Scenario.load(tmp_path / "study.yaml")
    graph = graph_work(measure(some[2].network, some[2].spec.shape))
    mine, wearable = (device.profile for device in scenario.built.devices)
    first = [one for one in found["operators"] if one["network_byte"] == sum(layer.moved_byte for layer in graph)]
    together_s = sum(one["time_s"] for one in first)
    assert len(first) == len(graph)
    assert scenario.compute.duration_s(Compute("all", "a", graph), mine) == pytest.approx(together_s, rel=0.3)
    step = Compute("all", "b", graph)
    assert scenario.compute.duration_s(step, wearable) == Roofline().duration_s(step, wearable)
    assert mine.memory_byte == found["memory_byte"]


def test_a_profile_is_written_to_yaml_and_has_a_name(tmp_path):
    assert "end it with .yaml" in run("--output", tmp_path / "mine.csv", code=2).output
    assert "letters" in run("--name", "my machine", code=2).output


def shape_and_layers(network, shape, _):
    graph = graph_work(measure(network, {"x": TensorSpec(shape)}))
    return shape, [(layer.kind, layer.work_flop) for layer in graph]


def test_what_is_drawn_is_the_same_each_time_and_small():
    """Of two draws every fifth has the same shapes and layers; none asks for more than a second of a processor of 1 GFLOP/s."""
    with torch.device("meta"):
        first = [shape_and_layers(*one) for one in drawn()]
        again = [shape_and_layers(*one) for one in [*drawn()][::5]]
    assert first[::5] == again
    assert max(sum(flop for _, flop in layers) for _, layers in first) < 1e9
    kinds = {kind for _, layers in first for kind, _ in layers}
    assert {
        "conv2d 3x3 large",
        "conv2d 7x7/2",
        "conv1d 5",
        "maxpool2d 2x2/2",
        "adaptivemaxpool1d",
        "scaled_dot_product_attention",
        "cat",
    } <= kinds


def test_probes_hold_operators_of_every_class():
    """Every sixth of them, without running one: shapes only."""
    with torch.device("meta"):
        works = [work for one in list(probes())[::6] for work in graph_work(measure(one.network, {"x": one.spec}))]
    assert {work.operator for work in works} == {"conv", "depthwise", "linear", "other"}
    assert {"conv2d 3x3", "conv2d 3x3/2", "conv2d 1x1", "batchnorm2d", "gelu", "softmax", "layernorm"} <= {
        work.kind for work in works
    }
