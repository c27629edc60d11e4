"""The models of computation beside the roofline, and how a scenario names one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgesim as es
from edgesim.compute.measured import LayerTime, Measured
from edgesim.compute.multi_core import MultiCore
from edgesim.compute.roofline import Roofline
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import DeviceProfile
from edgesim.errors import PlanError, ScenarioError

PROFILE = DeviceProfile("p", {"conv": 1e9, "other": 1e8}, 1e8, 1e-3, 1, 0, 0, 0, 0, "assumed")
TEXT = """
name: small
topology:
  devices: [{id: hub, profile: phone}, {id: w1, profile: phone}]
  links: [{between: [hub, w1], bandwidth: 8 Mbit/s}]
workload: {input: [1, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {single: {}}
"""


def step(*work: LayerWork) -> Compute:
    return Compute("step", "d", work)


def test_cores_share_what_is_not_serial_and_wait_for_one_another():
    """8 ms x (1/4 + 3/4/4) = 3.5 ms, 1 ms overhead, 0.1 ms for waiting; memory is not faster with more cores."""
    model = MultiCore(cores=4, serial_share=0.25, synchronisation_s=1e-4)
    assert model.duration_s(step(LayerWork("a", "conv", 8e6, 1e5)), PROFILE) == pytest.approx(3.5e-3 + 1e-3 + 1e-4)
    assert model.duration_s(step(LayerWork("a", "conv", 8e6, 9e5)), PROFILE) == pytest.approx(9e-3 + 1e-3 + 1e-4)


def test_one_core_is_the_roofline():
    work = (LayerWork("a", "conv", 8e6, 1e5), LayerWork("b", "other", 1e5, 2e5, weight_byte=1e5))
    alone = MultiCore(cores=1, synchronisation_s=1.0, weight_bits=8)
    assert alone.duration_s(step(*work), PROFILE) == pytest.approx(
        Roofline(weight_bits=8).duration_s(step(*work), PROFILE)
    )


def test_the_nearest_measured_piece_gives_the_time():
    """An eighth of 8 MFLOP: of the whole 1 ms + 7 ms / 8; with a measured quarter of 3 ms: 1 ms + 2 ms / 2."""
    eighth = step(LayerWork("a", "conv", 1e6, 0))
    whole, quarter = LayerTime("a", 8e6, 8e-3), LayerTime("a", 2e6, 3e-3)
    assert Measured((whole,)).duration_s(eighth, PROFILE) == pytest.approx(1e-3 + 7e-3 / 8)
    assert Measured((whole, quarter)).duration_s(eighth, PROFILE) == pytest.approx(2e-3)


def test_times_of_a_profile_go_before_times_of_all():
    times = (LayerTime("a", 1e6, 5e-3), LayerTime("a", 1e6, 7e-3, "p"))
    assert Measured(times).duration_s(step(LayerWork("a", "conv", 1e6, 0)), PROFILE) == pytest.approx(7e-3)


def test_what_was_not_measured_is_refused_or_goes_by_the_roofline():
    work = LayerWork("b", "conv", 8e6, 0)
    times = (LayerTime("a", 1e6, 5e-3),)
    with pytest.raises(PlanError, match=r"layer 'b' was not measured on device profile 'p'.*otherwise: roofline"):
        Measured(times).duration_s(step(work), PROFILE)
    assert Measured(times, otherwise="roofline").duration_s(step(work), PROFILE) == pytest.approx(9e-3)


def write(tmp_path: Path, more: str) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(TEXT + more)
    return path


def duration_s(path: Path) -> float:
    from edgesim.interfaces import Silent
    from edgesim.study.preparation.plans import plans

    [planned] = plans(es.Scenario.load(path), (), Silent())
    return planned.latency_s


def test_a_scenario_chooses_the_model_and_without_a_choice_nothing_changes(tmp_path: Path):
    plain = es.Scenario.load(write(tmp_path, ""))
    assert "compute" not in plain.resolved()
    assert es.Scenario.load(write(tmp_path, "compute: roofline\n")).hash() == plain.hash()
    before_s = duration_s(write(tmp_path, ""))
    after_s = duration_s(write(tmp_path, "compute: {type: roofline, half_rate: 60 GFLOP}\n"))
    assert after_s > before_s + 1.0  # each convolution takes 60 GFLOP / 60 GFLOP/s longer than its arithmetic


def test_a_table_of_layer_times_becomes_part_of_the_scenario(tmp_path: Path):
    from edgesim.interfaces import Silent
    from edgesim.study.preparation.plans import plans

    [planned] = plans(es.Scenario.load(write(tmp_path, "")), (), Silent())
    layers = [layer.layer_id for one in planned.plan.computes for layer in one.work]
    table = "layer,work,time\n" + "".join(f"{name},1 kFLOP,2 ms\n" for name in layers)
    (tmp_path / "times.csv").write_text(table)
    path = write(tmp_path, "compute: {type: measured, file: times.csv}\n")
    scenario = es.Scenario.load(path)
    said: dict[str, Any] = scenario.resolved()["compute"]
    assert [one["layer"] for one in said["times"]] == layers
    assert said["file"] == ""
    assert es.Scenario.from_data(scenario.resolved()).hash() == scenario.hash()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("layer,time\na,1 ms\n", "no column work"),
        ("layer,work,time\na,1 FLOP,5\n", "row 1, column time: a bare number has no unit"),
        ("layer,work,time\n", "holds no rows"),
    ],
)
def test_a_bad_table_is_named_with_its_place(tmp_path: Path, table: str, message: str):
    (tmp_path / "times.csv").write_text(table)
    with pytest.raises(ScenarioError, match=message):
        es.Scenario.load(write(tmp_path, "compute: {type: measured, file: times.csv}\n"))


def test_cores_are_not_counted_twice(tmp_path: Path):
    path = write(tmp_path, "compute: {type: multi-core, cores: 4}\n")
    path.write_text(path.read_text().replace("{id: w1, profile: phone}", "{id: w1, profile: phone, cores: 4}"))
    with pytest.raises(ScenarioError, match="w1 has `cores` for computations side by side"):
        es.Scenario.load(path)
