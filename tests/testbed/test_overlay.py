"""What was fitted on one strategy, written as a scenario that others read."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import fmean

import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.compute.measured import LayerTime
from edgesim.domain.system.topology import HostOverhead
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import ExecutionError
from edgesim.interfaces import Silent
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.testbed.comparison import Measured, compare
from edgesim.testbed.prepared import prepared
from edgesim.testbed.written.overlay import Fit, applied, fit, overlay_text
from tests.testbed.test_loopback import taking as of_three_classes

taking = partial(of_three_classes, n_classes=10)


def loaded(text, folder, name="fitted.yaml"):
    (folder / name).write_text(text)
    return Scenario.load(folder / name)


def overheads(scenario):
    return {device.device_id: device.host_overhead for device in build(scenario).topology.devices}


def test_the_simulation_of_the_overlay_takes_as_long_as_was_measured(scenario, tmp_path):
    """40 ms of single: the overlay says so without being told which strategy it is asked about, and predicts chain."""
    (single,) = prepared(Scenario.load(scenario), ("single",), Silent())
    measured = Measured(single, taking(0.039, 0.041))
    found = fit(measured, is_paced=True)
    assert found.overhead.per_message_s == pytest.approx((0.040 - compare(measured, 0.1).simulated_s) / 4, rel=1e-3)
    assert found.times == ()
    written = loaded(overlay_text(found, scenario, tmp_path / "fitted.yaml", "by hand"), tmp_path)
    assert written.name == "twins-fitted"
    assert overheads(written) == dict.fromkeys("abc", found.overhead)
    chain, again = prepared(written, ("chain", "single"), Silent())
    assert compare(Measured(again, taking(0.040)), 0.1).simulated_s == pytest.approx(0.040, rel=1e-4)
    before = next(prepared(Scenario.load(scenario), ("chain",), Silent()))
    simulated_s = [compare(Measured(one, taking(0.040)), 0.1).simulated_s for one in (before, chain)]
    assert simulated_s[1] - simulated_s[0] == pytest.approx(4 * found.overhead.per_message_s, rel=1e-3)


def test_the_overlay_has_the_least_time_of_a_computation(scenario, tmp_path):
    """The answer ends 0.5 ms after it came: so does every computation of the overlay that is simulated as nothing, and `single` takes as long as measured."""
    (single,) = prepared(Scenario.load(scenario), ("single",), Silent())
    names = [step.step_id for step in single.bundle.plan.steps]
    ended_s = {**dict.fromkeys(names[:-1], 1.0395), names[-1]: 1.040}
    found = fit(Measured(single, replace(taking(0.040), ended_s={0: ended_s})), is_paced=True)
    assert found.overhead.least_computation_s == pytest.approx(0.0005)
    written = loaded(overlay_text(found, scenario, tmp_path / "fitted.yaml", "by hand"), tmp_path)
    assert overheads(written) == dict.fromkeys("abc", found.overhead)
    (again,) = prepared(written, ("single",), Silent())
    assert compare(Measured(again, taking(0.040)), 0.1).simulated_s == pytest.approx(0.040, rel=1e-4)
    assert compile_plan(again.bundle.plan, again.context.topology, again.context.compute).steps.duration_s[-1] == 0.0005


def test_times_of_steps_are_written_as_times_of_layers(scenario, tmp_path):
    """The network took 18 and 22 ms here: its layers take 20 ms together, and so does the computation in the overlay."""
    (single,) = prepared(Scenario.load(scenario), ("single",), Silent())
    measured = Measured(single, replace(taking(0.05, 0.05), took_s={0: {"network": 0.018}, 1: {"network": 0.022}}))
    found = fit(measured, is_paced=False)
    assert sum(one.time_s for one in found.times) == pytest.approx(0.020, rel=1e-4)
    assert {one.profile for one in found.times} == {"phone"}
    written = loaded(overlay_text(found, scenario, tmp_path / "fitted.yaml", "by hand"), tmp_path)
    (again,) = prepared(written, ("single",), Silent())
    step = next(step for step in again.bundle.plan.computes if step.step_id == "network")
    context = again.context
    duration_s = context.compute.duration_s(step, context.topology.device_of["b"].profile)
    assert duration_s == pytest.approx(0.020, rel=1e-4)
    simulated_s = [compare(one, 0.1, found.overhead).simulated_s for one in (applied(found, measured),)]
    assert [*simulated_s, fmean(measured.latencies_s)] == pytest.approx([0.05, 0.05], rel=1e-4)


def test_layers_that_were_not_measured_keep_the_times_of_their_profiles(scenario, tmp_path):
    found = Fit("single", HostOverhead(), (LayerTime("conv1", 4608.0, 0.5, "phone"),))
    written = loaded(overlay_text(found, scenario, tmp_path / "fitted.yaml", "by hand"), tmp_path)
    (single,) = prepared(written, ("single",), Silent())
    (before,) = prepared(Scenario.load(scenario), ("single",), Silent())
    late_s = [compare(Measured(one, taking(0.04)), 0.1).simulated_s for one in (before, single)]
    assert late_s[1] - late_s[0] == pytest.approx(0.5, rel=1e-3)


SHAPES = """
name: shapes
seed: 1
topology:
  star: {count: 2, profile: phone, bandwidth: 1 Mbit/s, service: {cores: 2}, hub_service: {cores: 3}}
  devices:
    - {id: "x{1..2}", profile: wearable, host_overhead: {per_message: 9 ms, per_byte: 1 us}}
  links:
    - {between: [hub, "x*"], bandwidth: 1 Mbit/s}
workload: {model: {type: small-cnn}, input: [1, 8, 8], classes: 10, source: hub, sink: hub}
strategies:
  single: {device: w1}
"""


def test_devices_of_shapes_and_ranges_get_the_overhead_and_keep_what_they_have(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "it's.yaml").write_text(SHAPES)
    text = overlay_text(
        Fit("single", HostOverhead(0.002, least_computation_s=0.0004)),
        tmp_path / "base" / "it's.yaml",
        tmp_path / "fitted.yaml",
        "by hand",
    )
    written = loaded(text, tmp_path)
    assert {(one.per_message_s, one.least_computation_s) for one in overheads(written).values()} == {(0.002, 0.0004)}
    assert set(overheads(written)) == {"hub", "w1", "w2", "x1", "x2"}
    devices = build(written).topology.device_of
    assert [devices[name].n_cores for name in ("hub", "w1", "x1")] == [3, 2, 1]
    assert devices["x2"].host_overhead.per_byte_s == pytest.approx(1e-6)
    again = overlay_text(
        Fit("single", HostOverhead(0.003)), tmp_path / "fitted.yaml", tmp_path / "again.yaml", "by hand"
    )
    found = overheads(loaded(again, tmp_path, "again.yaml")).values()
    assert {(one.per_message_s, one.least_computation_s) for one in found} == {(0.003, 0.0)}
    assert 'name: "shapes-fitted"' in again


def test_devices_of_a_graph_file_are_refused(tmp_path):
    (tmp_path / "base.yaml").write_text(SHAPES.replace("star: {", "file: lab.graphml\n  star: {"))
    with pytest.raises(ExecutionError, match="graph file, which an overlay cannot change"):
        overlay_text(Fit("single", HostOverhead()), tmp_path / "base.yaml", tmp_path / "fitted.yaml", "")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--overlay", "fitted.yaml"], "needs --fit-on"),
        (["--overlay", "twins.yaml", "--fit-on", "single"], "the scenario itself"),
        (["--overlay", "nowhere/fitted.yaml", "--fit-on", "single"], "no folder"),
        (["--trace", "twins.yaml"], "the scenario itself"),
        (["--trace", "."], "this is a folder"),
        (["--trace", "a", "--overlay", "a", "--fit-on", "single"], "is written there"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_anything_runs(scenario, monkeypatch, options, reason):
    monkeypatch.chdir(scenario.parent)
    result = CliRunner().invoke(app, ["testbed", scenario.name, *options])
    assert result.exit_code == 2
    assert reason in " ".join(result.output.replace("│", " ").split())
    assert scenario.read_text().startswith("name: twins")


def test_the_command_writes_an_overlay_which_it_takes_again(scenario):
    """Observe, calibrate, predict: the overlay is a scenario as others."""
    fitted = scenario.parent / "fitted.yaml"
    options = ["--strategy", "chain", "--requests", "2", "--tolerance", "1"]
    result = CliRunner().invoke(
        app, ["testbed", str(scenario), *options, "--fit-on", "chain", "--unpaced", "--overlay", str(fitted)]
    )
    assert result.exit_code in {0, 1}, result.exception
    text = fitted.read_text()
    assert text.startswith('# Fitted on strategy "chain" alone')
    assert "--fit-on chain --mode loopback --unpaced: mean " in text
    result = CliRunner().invoke(app, ["testbed", str(fitted), *options])
    assert result.exit_code in {0, 1}, result.exception
