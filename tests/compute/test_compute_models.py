"""The models of computation beside the roofline, and how a scenario names one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgesim as es
from edgesim.compute.measured import LayerTime, Measured
from edgesim.compute.multi_core import MultiCore
from edgesim.compute.roofline import Roofline
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import Cores, DeviceProfile
from edgesim.errors import PlanError, ScenarioError
from edgesim.nn.cost.layers import graph_work, measure
from edgesim.nn.models.untrained import ShapeOnly, untrained
from edgesim.nn.models.zoo import VGG, SmallCNN, WideResNet
from edgesim.scenario.topology.build import catalog_profile

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


def test_cores_share_what_is_not_serial_and_interrupt_one_another():
    """8 ms x (1/4 + 3/4/4) = 3.5 ms, 1 ms overhead, 0.1 ms and three interrupts of 0.05 ms; memory is not faster with more cores."""
    profile = replace(PROFILE, cores=Cores(4, synchronisation_s=1e-4, interrupt_s=5e-5))
    model = MultiCore(serial_share=0.25, use="all")
    assert model.duration_s(step(LayerWork("a", "conv", 8e6, 1e5)), profile) == pytest.approx(3.5e-3 + 1e-3 + 2.5e-4)
    assert model.duration_s(step(LayerWork("a", "conv", 8e6, 9e5)), profile) == pytest.approx(9e-3 + 1e-3 + 2.5e-4)
    assert MultiCore().n_cores(LayerWork("a", "conv", 8e6, 9e5), profile) == 1


def test_a_width_of_vectors_is_that_of_devices_with_cores():
    """A phone beside the DSP computes by the roofline, also where the DSP's program is said to use a third of a unit."""
    work = step(LayerWork("a", "conv", 8e6, 1e5))
    assert PROFILE.cores is None
    assert MultiCore(used_width=1 / 3).duration_s(work, PROFILE) == Roofline().duration_s(work, PROFILE)


def test_what_tiles_and_vectors_are_worth_by_hand():
    """8 MFLOP at 1 GFLOP/s with 8 multiply-adds in a cycle: 8 ms; with 2: 32 ms; operands of 32 MB at 0.1 GB/s without tiles: 320 ms.

    In 1,200 byte lie three tiles of 10 x 10: 3.2 MB at 0.1 GB/s are 32 ms. With 120 kB shared beside it, tiles of 100 x 100 there: 320 kB from
    main memory (3.2 ms), and 3.2 MB from the shared one at 0.2 GB/s (16 ms).
    """
    work = step(LayerWork("a", "conv", 8e6, 1e5))
    local = Cores(1, 8, 1200)
    both = Cores(1, 8, 1200, 120_000, 2e8)
    alone = replace(PROFILE, layer_overhead_s=0)
    times = [
        MultiCore(used_width=width, tiles=tiles).duration_s(work, replace(alone, cores=cores))
        for cores, tiles, width in [
            (local, False, 8),
            (local, True, 2),
            (local, True, 8),
            (both, True, 8),
            (both, True, 1),
        ]
    ]
    assert times == pytest.approx([0.32, 0.032, 0.032, 0.016, 0.064])


@pytest.mark.parametrize("model", [SmallCNN(), VGG(), WideResNet()], ids=["small-cnn", "vgg", "wrn"])
def test_the_number_of_cores_of_each_layer_is_the_best_of_all(model: Any):
    """Brute force over 1 to 8, and n = 1 wherever the work takes less time than dividing it between two."""
    shape = (3, 32, 32)
    dataset = ShapeOnly(shape, 10).load()
    profile = catalog_profile("ti-c6678")
    several = set()
    for work in graph_work(measure(untrained(model, dataset).network, dataset.inputs)):
        times_s = []
        for n in range(1, 9):
            memory_s = max(
                max(work.moved_byte, by_tiles(work, 4 * 2**20)) / 6.4e9,
                0 if work.operator == "other" else max(work.moved_byte, by_tiles(work, 2**19)) / 40e9,
            )
            ipc_s = 10e-6 + (n - 1) * 5e-6 if n > 1 else 0.0
            times_s.append(ipc_s + 20e-6 + max(work.work_flop / profile.flop_per_s[work.operator] / n, memory_s))
        n_cores = MultiCore().n_cores(work, profile)
        several.add(n_cores)
        assert times_s[n_cores - 1] == pytest.approx(min(times_s), rel=1e-12)
        assert MultiCore().duration_s(step(work), profile) == pytest.approx(min(times_s), rel=1e-12)
        if work.work_flop / profile.flop_per_s[work.operator] <= 15e-6:
            assert n_cores == 1
    assert 1 in several


def by_tiles(work: LayerWork, memory_byte: float) -> float:
    return 0.0 if work.operator == "other" else 4 * work.work_flop / math.sqrt(memory_byte / 12)


def test_one_core_is_the_roofline():
    work = (LayerWork("a", "conv", 8e6, 1e5), LayerWork("b", "other", 1e5, 2e5, weight_byte=1e5))
    cores = replace(PROFILE, cores=Cores(4, synchronisation_s=1.0))
    for profile, alone in ((cores, MultiCore(cores=1, weight_bits=8)), (PROFILE, MultiCore(weight_bits=8))):
        assert alone.duration_s(step(*work), profile) == pytest.approx(
            Roofline(weight_bits=8).duration_s(step(*work), profile)
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
    path = write(tmp_path, "compute: multi-core\n")
    text = path.read_text()
    path.write_text(text.replace("{id: w1, profile: phone}", "{id: w1, profile: ti-c6678, cores: 4}"))
    with pytest.raises(ScenarioError, match="w1 has `cores` for computations side by side"):
        es.Scenario.load(path)


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        ("{type: multi-core, cores: 9}", "cores 9, but profile 'ti-c6678' of w1 has 8"),
        ("{type: multi-core, used_width: 16}", "used_width 16, but profile 'ti-c6678' of w1 has 8"),
    ],
)
def test_more_than_a_profile_has_is_refused(tmp_path: Path, compute: str, message: str):
    path = write(tmp_path, f"compute: {compute}\n")
    path.write_text(path.read_text().replace("{id: w1, profile: phone}", "{id: w1, profile: ti-c6678}"))
    with pytest.raises(ScenarioError, match=message):
        es.Scenario.load(path)


def test_multi_core_needs_a_profile_with_cores(tmp_path: Path):
    with pytest.raises(ScenarioError, match="needs a device whose profile has `cores`"):
        es.Scenario.load(write(tmp_path, "compute: multi-core\n"))


def test_shared_memory_and_its_bandwidth_go_together():
    with pytest.raises(PlanError, match="shared_memory and shared_bandwidth go together"):
        Cores(2, shared_memory_byte=1e6)
