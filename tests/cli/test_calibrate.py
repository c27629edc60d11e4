"""``edgesim calibrate``: what it fits, what it leaves alone, and what it refuses."""

from __future__ import annotations

import json
from math import exp, log, sqrt

import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.compute.fitting import TimedWork, fit, free_numbers
from edgesim.compute.roofline import Roofline
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.devices import DeviceProfile
from edgesim.scenario.scenario import Scenario
from edgesim.scenario.topology.build import catalog_profile

BOARD = DeviceProfile(
    "board", {"conv": 2e9, "depthwise": 5e8, "linear": 2e9, "other": 5e8}, 1e9, 1e-4, 2**20, 1, 2, 2, 2, "assumed"
)
NETWORKS = {  # operator, FLOP, bytes moved, of the weights; in which of them which number counts differs
    "convolutions": [("conv", 2e8, 1e5, 5e4)] * 3,
    "deep": [("conv", 1e6, 1e4, 1e3)] * 40,
    "separable": [("depthwise", 2e7, 2e5, 1e3), ("conv", 5e7, 2e5, 2e4)] * 5,
    "wide": [("linear", 2e6, 4e6, 4e6)] * 4,
    "mixed": [("conv", 1e8, 1e5, 5e4), ("other", 1e5, 8e5, 0.0), ("linear", 1e6, 2e6, 2e6)] * 3,
    "unseen": [("conv", 4e7, 3e5, 1e5), ("depthwise", 3e6, 1e5, 1e3), ("linear", 4e6, 8e6, 8e6)] * 2,
}


def work_of(name: str) -> tuple[LayerWork, ...]:
    return tuple(LayerWork(f"l{i}", *layer) for i, layer in enumerate(NETWORKS[name]))


def latency_s(name: str, n: int = 1) -> float:
    """What the board takes for 1/n of each layer."""
    work = tuple(
        LayerWork(w.layer_id, w.operator, w.work_flop / n, w.moved_byte / n, w.weight_byte / n) for w in work_of(name)
    )
    return Roofline().duration_s(Compute("all", "board", work), BOARD)


@pytest.fixture
def tables(tmp_path):
    """Layers, and latencies that the board takes; phone is where the fit begins."""
    layers = ["network,layer,operator,work,moved,weights"]
    for name, found in NETWORKS.items():
        layers += [
            f"{name},l{i},{op},{flop} FLOP,{moved} B,{weights} B" for i, (op, flop, moved, weights) in enumerate(found)
        ]
    (tmp_path / "layers.csv").write_text("\n".join(layers))
    rows = ["# how it was measured", "device,network,n,latency_ms,use,comment"]
    rows += [f"board,{name},1,{1e3 * latency_s(name)!r},fit,x" for name in NETWORKS if name != "unseen"]
    rows += [f"board,unseen,{n},{1e3 * latency_s('unseen', n)!r},predict,x" for n in (1, 2)]
    (tmp_path / "measured.csv").write_text("\n".join(rows))
    return tmp_path


def run(folder, *options, code=0):
    arguments = [
        "calibrate",
        str(folder / "measured.csv"),
        "--layers",
        str(folder / "layers.csv"),
        "--base",
        "phone",
        *options,
    ]
    result = CliRunner().invoke(app, arguments)
    if code == 0:
        assert result.exit_code == 0, result.output + str(result.exception)
    return result


def test_a_board_is_found_again_from_times_without_error_and_predicts_rows_it_did_not_see(tables):
    """The profile that made the times is the only one that fits them; on two devices each does half of every layer."""
    found = json.loads(run(tables, "--json").stdout)[0]
    values = {name: number["value"] for name, number in found["numbers"].items()}
    assert values == pytest.approx(
        {"conv+linear": 2e9, "depthwise+other": 5e8, "memory_bandwidth": 1e9, "layer_overhead": 1e-4}, rel=2e-3
    )
    assert all(number["low"] < number["value"] < number["high"] for number in found["numbers"].values())
    assert [(row["network"], row["n"]) for row in found["rows"] if row["use"] == "predict"] == [
        ("unseen", 1),
        ("unseen", 2),
    ]
    assert max(abs(row["error"]) for row in found["rows"]) < 2e-3


def test_rows_to_be_predicted_have_no_influence(tables):
    before = json.loads(run(tables, "--json").stdout)[0]
    path = tables / "measured.csv"
    path.write_text("\n".join(line.replace("unseen,1,", "unseen,1,9") for line in path.read_text().split("\n")))
    after = json.loads(run(tables, "--json").stdout)[0]
    assert after["numbers"] == before["numbers"]
    assert [row["error"] for row in after["rows"]] != [row["error"] for row in before["rows"]]


def test_a_scenario_takes_the_profile_and_computes_as_long_as_the_table_said(tables):
    text = run(tables, "--output", str(tables / "board.yaml")).stdout
    assert "predict: 2 rows" in text
    (tables / "own.yaml").write_text(
        """
extends: board.yaml
name: own
topology: {devices: [{id: a, profile: board}]}
workload: {input: [1, 8, 8], classes: 2, model: small-cnn, source: a, sink: a}
strategies: {single: {device: a}}
"""
    )
    scenario = Scenario.load(tables / "own.yaml")
    step = Compute("all", "a", work_of("unseen"))
    assert scenario.compute.duration_s(step, scenario.built.devices[0].profile) == pytest.approx(
        latency_s("unseen"), rel=2e-3
    )
    assert "fitted to measured.csv" in scenario.built.devices[0].profile.source


def test_half_the_rate_and_the_serial_share_are_found_too(tables):
    """All else is as the profile in the catalog says."""
    model, phone = Roofline(half_rate_flop=3e6, serial_share=0.25), catalog_profile("phone")
    rows = ["device,network,latency"]
    rows += [f"board,{name},{model.duration_s(Compute('all', 'a', work_of(name)), phone)!r} s" for name in NETWORKS]
    (tables / "measured.csv").write_text("\n".join(rows))
    options = ("--free", "half_rate,serial_share", "--json", "--output", str(tables / "board.yaml"))
    numbers = json.loads(run(tables, *options).stdout)[0]["numbers"]
    assert numbers["half_rate"]["value"] == pytest.approx(3e6, rel=1e-3)
    assert numbers["serial_share"]["value"] == pytest.approx(0.25, rel=1e-3)
    assert "serial_share: 0.25" in (tables / "board.yaml").read_text()


def test_a_network_may_be_a_scenario_beside_the_table(tables):
    """One 3x3 convolution with 4 channels has 4608 FLOP on 8x8; overhead is all that counts, and the layers are counted."""
    (tables / "small.yaml").write_text(
        """
name: small
topology: {devices: [{id: a, profile: phone}]}
workload: {input: [1, 8, 8], classes: 2, model: {type: small-cnn, channels: [4], pool_after: 0}, source: a, sink: a}
strategies: {single: {device: a}}
"""
    )
    (tables / "measured.csv").write_text("device,network,latency\nphone,small.yaml,80 ms\n")
    result = CliRunner().invoke(app, ["calibrate", str(tables / "measured.csv"), "--free", "layer_overhead", "--json"])
    value = json.loads(result.stdout)[0]["numbers"]["layer_overhead"]["value"]
    n_layers = round(0.08 / value)
    assert n_layers >= 3
    assert value == pytest.approx(0.08 / n_layers, rel=1e-3)


def test_what_the_rows_do_not_determine_has_no_interval():
    """Nothing moves bytes here: any memory bandwidth fits."""
    runs = [
        TimedWork((LayerWork("a", "conv", flop, 1.0),), time_s)
        for flop, time_s in ((1e8, 0.05), (2e8, 0.11), (4e8, 0.2))
    ]
    conv, memory = fit(runs, BOARD, free_numbers(["conv", "memory_bandwidth"])).numbers
    assert conv.low is not None
    assert conv.low < 2e9 < conv.high
    assert (memory.low, memory.high) == (None, None)


def test_the_interval_is_that_of_the_mean_of_logarithms():
    """One factor for three rows: value and 95 % interval by hand, t of 2 degrees of freedom is 4.3027."""
    times_s = (0.05, 0.11, 0.09)
    runs = [TimedWork((LayerWork("a", "conv", 1e8, 0.0),), time_s) for time_s in times_s]
    board = DeviceProfile("board", BOARD.flop_per_s, 1e12, 0.0, 1, 0, 0, 0, 0, "assumed")
    [number] = fit(runs, board, free_numbers(["conv"])).numbers
    mean_s = (0.05 * 0.11 * 0.09) ** (1 / 3)
    spread = sqrt(sum(log(one / mean_s) ** 2 for one in times_s) / 2 / 3)
    assert number.value == pytest.approx(1e8 / mean_s, rel=1e-4)
    assert number.high / number.value == pytest.approx(exp(4.3027 * spread), rel=1e-3)


def test_all_that_is_wrong_with_a_table_is_told_with_its_line(tables):
    (tables / "measured.csv").write_text(
        "device,network,n,latency,use\n"
        "board,deep,1,20,fit\n"  # no unit
        "board,deep,0,20 ms,guess\n"
        "my board,wide,1,-3 ms,fit\n"
        "board,wide,1\n"
        "board,wide,1,4 ms,fit\n"
        "board,wide,1,5 ms,fit\n"
    )
    result = run(tables, "--json", code=2)
    assert result.exit_code == 2
    findings = json.loads(result.stdout)["findings"]
    assert [one["line"] for one in findings] == [2, 3, 3, 4, 4, 5, 7]
    assert "unit" in findings[0]["message"] + findings[0]["expected"] + findings[0]["help"]
    assert "guess" in findings[2]["message"]
    assert "line 6" in findings[-1]["message"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("device,latency\nboard,2 ms", "no column network"),
        ("device,network,latency\nboard,nobody,2 ms", "unknown network 'nobody'"),
        ("device,network,latency\nboard,deep,2 ms", "1 measurements cannot determine 4 numbers"),
        ("", "holds no rows"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tables, rows, told):
    (tables / "measured.csv").write_text(rows)
    result = run(tables, code=2)
    assert result.exit_code != 0
    assert told in str(result.exception)


def test_numbers_that_do_not_exist_are_refused(tables):
    assert "'speed' cannot be fitted" in str(run(tables, "--free", "speed", code=2).exception)
    assert "each once" in str(run(tables, "--free", "conv+linear,linear", code=2).exception)
