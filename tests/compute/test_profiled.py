"""Computation from measured operators: between sizes, kinds that were not measured, and tables in scenarios."""

from __future__ import annotations

from math import exp, hypot, log, log1p

import pytest

from edgesim.compute.profiled import OperatorTime, Profiled
from edgesim.compute.roofline import Roofline
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import DeviceProfile
from edgesim.errors import PlanError, ScenarioError
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("p", {"conv": 1e9, "linear": 1e9}, 1e8, 1e-3, 1, 0, 0, 0, 0, "assumed")


def operator(
    flop: float, time_s: float, kind: str = "conv2d 3x3", network_byte: float = 1e6, profile: str = ""
) -> OperatorTime:
    return OperatorTime("conv", kind, flop, 1e4, 1e3, network_byte, network_byte, time_s, profile)


def time_s(model: Profiled, *work: LayerWork) -> float:
    return model.duration_s(Compute("step", "d", work), PROFILE)


def layer(flop: float, kind: str = "conv2d 3x3", operator: str = "conv", moved_byte: float = 1e4) -> LayerWork:
    return LayerWork("a", operator, flop, moved_byte, 1e3, kind)


SIZES = (1e5, 1e6, 1e7, 1e8)
LAW = tuple(operator(flop, 2e-6 + 1e-10 * flop) for flop in SIZES)


def test_what_follows_a_line_does_so_between_and_beyond_the_sizes():
    """2 us and 0.1 ns for each FLOP."""
    for flop in (3e5, 2e6, 1e7, 1e9):
        assert time_s(Profiled(LAW), layer(flop)) == pytest.approx(2e-6 + 1e-10 * flop, rel=1e-6)
    twice = (layer(1e6), layer(1e7))
    assert time_s(Profiled(LAW), *twice) == pytest.approx(4e-6 + 1e-10 * 1.1e7, rel=1e-6)


def test_a_size_that_was_measured_takes_about_what_it_took():
    """One size is three times as slow as the line of the others, which is partly taken for noise; far from it nothing changes."""
    law = [operator(flop, 2e-6 + 1e-10 * flop, network_byte=1e4) for flop in SIZES]
    slow = Profiled((*law, operator(1e9, 0.3, network_byte=1e4), operator(1e10, 1.0, network_byte=1e4)))
    assert time_s(slow, layer(1e9)) == pytest.approx(0.3, rel=0.15)
    assert time_s(slow, layer(1e5)) == pytest.approx(1.2e-5, rel=0.05)


def test_the_ratio_of_one_size_fades_with_distance():
    """Kriging: the line by its normal equations, the weights by elimination, without numpy."""
    times = [
        OperatorTime("conv", "k", 0.0, byte, 0.0, 0.0, 0.0, time_s)
        for byte, time_s in ((0.0, 1e-6), (1e2, 1e-6), (1e4, 1e-6), (1e8, 4e-6))
    ]
    model = Profiled(tuple(times))
    slope = _slope(times)
    places = [log1p(one.moved_byte) for one in times]
    matrix = [[exp(-abs(a - b) / 4) + 0.07 * (i == j) for j, b in enumerate(places)] for i, a in enumerate(places)]
    ratios = [log(one.time_s / (slope[0] + slope[1] * one.moved_byte)) for one in times]
    weights = _solved(matrix, ratios)
    asked = 3e6
    from_network = hypot(
        log1p(asked) / 4, log1p(asked) / 2
    )  # it and what moved since were 0 byte where the sizes were measured
    distances = [hypot(log1p(asked) - place, from_network) for place in places]
    ratio = sum(weight * exp(-distance / 4) for weight, distance in zip(weights, distances, strict=True))
    found = time_s(model, LayerWork("a", "conv", 0.0, asked, 0.0, "k"))
    assert found == pytest.approx((slope[0] + slope[1] * asked) * exp(ratio), rel=1e-6)


def _slope(times: list[OperatorTime]) -> tuple[float, float]:
    """Least squares of the relative error of a + b B, by the normal equations of two unknowns."""
    rows = [(1 / one.time_s, one.moved_byte / one.time_s) for one in times]
    aa, ab, bb = sum(x * x for x, _ in rows), sum(x * y for x, y in rows), sum(y * y for _, y in rows)
    a, b = sum(x for x, _ in rows), sum(y for _, y in rows)
    return (a * bb - b * ab) / (aa * bb - ab * ab), (b * aa - a * ab) / (aa * bb - ab * ab)


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(len(rows)):
            if j != i:
                rows[j] = [x - rows[j][i] * y for x, y in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]


def test_a_kind_that_was_not_measured_goes_by_its_class_and_a_class_by_otherwise():
    """Kernels of 1x1 are twice as fast here; of 7x7 nobody knows, so the time is between both."""
    both = (*LAW, *(operator(flop, 1e-6 + 0.5e-10 * flop, "conv2d 1x1") for flop in SIZES))
    model = Profiled(both)
    assert time_s(model, layer(1e7)) == pytest.approx(2e-6 + 1e-3, rel=1e-6)
    assert time_s(model, layer(1e7, "conv2d 1x1")) == pytest.approx(1e-6 + 0.5e-3, rel=1e-6)
    assert 0.5e-3 < time_s(model, layer(1e7, "conv2d 7x7")) < 1.002e-3
    with pytest.raises(PlanError, match="no operator of class 'linear'"):
        time_s(model, layer(1e7, "linear", "linear"))
    other = Profiled(both, otherwise="roofline")
    assert time_s(other, layer(1e7, "linear", "linear")) == Roofline().layer_s(layer(1e7, "", "linear"), PROFILE)


def test_a_window_that_was_not_measured_goes_by_others_of_its_way():
    """Kernels of any side take 0.1 ns for each FLOP where inputs are few, and 0.5 ns where they are large; depthwise ones are of another class."""
    small = (operator(flop, 1e-10 * flop, "conv2d 3x3") for flop in SIZES)
    model = Profiled((*small, *(operator(flop, 5e-10 * flop, "conv2d 3x3/2 large") for flop in SIZES)))
    assert time_s(model, layer(1e6, "conv2d 10x4/2")) == pytest.approx(1e-4, rel=1e-6)
    assert time_s(model, layer(1e6, "conv2d 5x5 large")) == pytest.approx(5e-4, rel=1e-6)
    assert 1e-4 < time_s(model, layer(1e6, "conv1d 3")) < 5e-4


def test_a_small_network_stays_in_caches():
    """The same operators took ten times as long in a network of 100 MB; the step of one layer moves 10 kB, the other 100 MB."""
    large = (operator(flop, 10 * (2e-6 + 1e-10 * flop), network_byte=1e8) for flop in SIZES)
    model = Profiled((*(operator(flop, 2e-6 + 1e-10 * flop, network_byte=1e4) for flop in SIZES), *large))
    small_s = time_s(model, layer(1e6))
    rest = LayerWork("rest", "conv", 1e6, 1e8, 0.0, "conv2d 1x1")
    together_s = time_s(model, layer(1e6), rest) - time_s(model, rest)
    assert small_s == pytest.approx(1.02e-4, rel=0.15)
    assert together_s == pytest.approx(1.02e-3, rel=0.3)


def test_times_of_a_profile_go_before_times_of_all():
    own = tuple(operator(flop, 5e-3, profile="p") for flop in SIZES)
    assert time_s(Profiled((*LAW, *own)), layer(1e6)) == pytest.approx(5e-3)


@pytest.mark.parametrize("times", [(), (operator(1e6, 1e-3),)])
def test_without_times_or_with_a_file_that_was_not_read_it_is_refused(times):
    with pytest.raises(PlanError):
        Profiled(times, file="" if not times else "a.csv")
    with pytest.raises(PlanError, match="above 0"):
        operator(1e6, 0.0)


TEXT = """
name: small
topology: {devices: [{id: a, profile: phone}]}
workload: {input: [1, 8, 8], classes: 2, model: small-cnn, source: a, sink: a}
strategies: {single: {}}
compute: {type: profiled, file: ops.csv, otherwise: roofline}
"""


def test_a_scenario_reads_the_table(tmp_path):
    rows = [f"conv,conv2d 3x3,{flop:.0f} FLOP,10 kB,1 kB,1 MB,1 MB,{2 + 1e-4 * flop} us" for flop in SIZES]
    (tmp_path / "ops.csv").write_text(
        "\n".join(["# mine", "operator,kind,work,moved,weight,network,since,time", *rows])
    )
    (tmp_path / "s.yaml").write_text(TEXT)
    scenario = Scenario.load(tmp_path / "s.yaml")
    assert scenario.compute == Profiled(LAW, otherwise="roofline")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("operator,kind,time\nconv,conv2d,1 us", "no column work, moved, weight, network, since"),
        (
            "operator,kind,work,moved,weight,network,since,time\nconv,conv2d,1 FLOP,1 B,1 B,1 B,1 B,soon",
            "row 1, column time",
        ),
    ],
)
def test_a_table_that_is_none_is_a_finding_with_its_line(tmp_path, table, told):
    (tmp_path / "ops.csv").write_text(table)
    (tmp_path / "s.yaml").write_text(TEXT)
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(tmp_path / "s.yaml")
    assert told in str(caught.value)
    assert caught.value.findings[0].line == 6
