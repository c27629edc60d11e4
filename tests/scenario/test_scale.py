"""Checking a scenario takes as long as it is large: counted in calls, of Python and of C, since times are noisy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from types import FrameType
from typing import Any

import pytest

from edgesim.errors import ScenarioError
from edgesim.scenario.help.oddities import oddities
from edgesim.scenario.scenario import Scenario


def n_calls(function: Callable[[], object]) -> int:
    """Return how many functions are called."""
    n = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal n
        n += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return n


def grows_linearly(of_size: Callable[[int], Callable[[], object]], n: int) -> bool:
    """Say whether twice the size takes at most 2.2 times the calls; a quadratic part of a tenth would take more."""
    of_size(2 * n)()  # patterns are remembered
    return n_calls(of_size(2 * n)) <= 2.2 * n_calls(of_size(n))


def chain(n: int, end: str = "d{}") -> dict[str, Any]:
    """Return a chain of n devices, each link an entry of its own."""
    return {
        "name": "chain",
        "topology": {
            "devices": [{"id": f"d{number}", "profile": "wearable"} for number in range(n)],
            "media": [f"cell{number}" for number in range(n)],
            "links": [
                {"between": [f"d{number}", end.format(number + 1)], "bandwidth": "1 Mbit/s", "medium": f"cell{number}"}
                for number in range(n - 1)
            ],
        },
        "workload": {"dataset": "digits", "model": "small-cnn", "source": "d0", "sink": f"d{n - 1}", "deadline": "1 s"},
        "strategies": {"single": {"device": "d0"}},
    }


def test_a_chain_of_devices_is_checked_in_linear_time() -> None:
    """Each end of a link is looked up; it was compared with every id."""
    assert grows_linearly(lambda n: lambda: oddities(Scenario.from_data(chain(n))), 150)


def test_a_chain_whose_ends_are_misspelt_is_refused_in_linear_time() -> None:
    """Of many ids, the nearest one is looked for near its place in the alphabet."""

    def refused(n: int) -> Callable[[], object]:
        def check() -> None:
            with pytest.raises(ScenarioError) as caught:
                Scenario.from_data(chain(n, end="e{}"))
            assert len(caught.value.findings) == n - 1

        return check

    assert grows_linearly(refused, 150)


def test_ends_that_are_patterns_look_at_what_begins_like_them() -> None:
    """Clusters, each linked by a pattern of its own."""

    def clusters(n: int) -> Callable[[], object]:
        data = chain(2)
        topology = data["topology"]
        topology["devices"] += [{"id": f"c{number}_{{1..2}}", "profile": "wearable"} for number in range(n)]
        topology["links"] += [{"between": ["d0", f"c{number}_*"], "bandwidth": "1 Mbit/s"} for number in range(n)]
        return lambda: Scenario.from_data(data)

    assert grows_linearly(clusters, 150)


@pytest.mark.parametrize("path", ["failures.loss.probability", "topology.links.0.bandwidth", "workload.deadline"])
def test_a_sweep_is_checked_in_linear_time(small: dict[str, Any], path: str) -> None:
    """Its values were compared in all pairs."""
    small["failures"] = {"loss": {"type": "bernoulli", "probability": 0.1}}

    def swept(n: int) -> Callable[[], object]:
        unit = {"bandwidth": "Mbit/s", "deadline": "ms"}.get(path.rpartition(".")[2])
        values = [f"{number} {unit}" if unit else float(Fraction(number, n)) for number in range(1, n + 1)]
        return lambda: Scenario.from_data(small | {"sweep": {"x": {"path": path, "values": values}}})

    assert grows_linearly(swept, 200)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("failures.loss.k", [0, 3, 4, -1, "1", True]), ("failures.loss.targets", ["w*", "hub", "x*", 3]),
        ("failures.loss.type", ["exactly-k", "bernoulli", "none"]), ("strategies.single.device", ["w1", "w9", "w*"]),
    ],
)  # fmt: skip
def test_values_of_plug_ins_are_found_wrong_as_they_are_in_a_scenario(
    small: dict[str, Any], path: str, values: list[Any]
) -> None:
    """Although the rest of the scenario is not read again for each of them."""
    wrong = []
    for value in values:
        try:
            Scenario.from_data(small | {"sweep": {}} | changed(small, path, value))
        except ScenarioError:
            wrong.append(value)
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_data(small | {"sweep": {"x": {"path": path, "values": values}}})
    text = str(caught.value)
    assert all(str(value) in text for value in wrong)
    first = {finding.path[-1] for finding in caught.value.findings}
    assert first <= {values.index(value) for value in wrong}
    assert wrong


def changed(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the part of the data that has another value."""
    seam, label, option = path.split(".")
    part = data[seam][label]
    return {seam: data[seam] | {label: part | {option: value}}}
