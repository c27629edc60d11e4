"""Fair sharing against SimGrid, run live: the same arrival times to 1e-6, over a grid and over random networks.

Both compute the same fluid model by different programs, so nothing but rounding may differ. Where SimGrid is not installed
(Debian: python3-simgrid) the tests are skipped.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from references import (
    SIMGRID_FOLDER,
    Case,
    arrivals_s,
    grid_cases,
    is_simgrid_here,
    random_case,
    simgrid_arrivals_s,
    textbook_cases,
)

from edgesim.domain.system.topology import Topology

pytestmark = pytest.mark.skipif(
    not is_simgrid_here(),
    reason=f"NOT VALIDATED AGAINST SIMGRID: no module in {SIMGRID_FOLDER}; install python3-simgrid",
)


@pytest.mark.parametrize(
    "cases",
    [textbook_cases(), grid_cases()[::3], [random_case(seed) for seed in range(40)]],
    ids=["textbook", "grid", "random"],
)
def test_fair_sharing_arrives_when_simgrid_says(cases: list[Case]) -> None:
    """Every arrival of every case agrees to 1e-6 of its time."""
    for case, expected in zip(cases, simgrid_arrivals_s(cases), strict=True):
        assert arrivals_s(case) == pytest.approx(expected, rel=1e-6), case.name


def test_the_comparison_would_notice() -> None:
    """The same case with a link that is 0.01 % slower, or served in order, does not agree."""
    case = textbook_cases()[0]
    (expected,) = simgrid_arrivals_s([case])
    first, *others = case.topology.links
    for changed in (
        replace(first, bandwidth_bit_per_s=first.bandwidth_bit_per_s * 0.9999),
        replace(first, sharing="fifo"),
    ):
        topology = Topology(case.topology.devices, (changed, *others))
        assert arrivals_s(replace(case, topology=topology)) != pytest.approx(expected, rel=1e-6)
