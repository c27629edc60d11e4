"""The networks behind docs/results/devices.md, and what is on the page."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import median

import pytest
from devices_networks import NETWORKS, with_winograd

from edgesim.study.calibration.rows import read_latencies
from edgesim.study.calibration.works import read_layers

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.mark.parametrize(
    ("name", "mega_mac", "mega_weights"),
    [  # as their authors say; weights without those of normalisation
        ("mobilenet", 569, 4.2),  # Howard et al., MobileNets, 2017, table 8
        ("mobilenet_v2", 300, 3.4),  # Sandler et al., 2018, table 4
        ("shufflenet_v2", 146, 2.3),  # Ma et al., 2018, table 8
        ("efficientnet_b0", 390, 5.3),  # Tan and Le, 2019, table 2
        ("resnet18", 1800, 11.7),  # He et al., 2015, table 1
        ("resnet50", 3800, 25.5),
        ("vgg16", 15500, 138.4),  # Simonyan and Zisserman, 2015, table 2
        ("alexnet", 724, 61.0),  # Krizhevsky et al., 2012: 60 M parameters
        ("squeezenet", 390, 1.24),  # Iandola et al., 2016: 1.24 M parameters
    ],
)
def test_networks_have_the_work_that_their_authors_say(name, mega_mac, mega_weights):
    work = NETWORKS[name]().made
    mac = sum(one.work_flop for one in work if one.operator != "other") / 2e6
    assert mac == pytest.approx(mega_mac, rel=0.08)
    assert sum(one.weight_byte for one in work) / 4e6 == pytest.approx(mega_weights, rel=0.04)


def test_the_table_of_layers_is_what_the_networks_say():
    assert read_layers(RESULTS / "devices-layers.csv") == {
        name: tuple(build().made) for name, build in NETWORKS.items()
    }


def test_winograd_counts_a_quarter_of_dense_convolutions_of_stride_one():
    plain, counted = NETWORKS["vgg16"]().made, with_winograd(tuple(NETWORKS["vgg16"]().made))
    convolutions = [one.work_flop for one in plain if one.operator == "conv"]
    assert [one.work_flop for one in counted if one.operator == "conv"] == [flop / 4 for flop in convolutions]
    assert NETWORKS["mobilenet"]().made[0] == with_winograd(tuple(NETWORKS["mobilenet"]().made))[0]  # stride 2


def test_every_measured_row_is_in_the_table_of_errors():
    """But those of the GPU, of which too few are fitted."""
    rows = {(row.device, row.network, row.use) for row in read_latencies(RESULTS / "devices-measured.csv")}
    with (RESULTS / "devices.csv").open(encoding="utf-8") as file:
        shown = {(row["device"], row["network"], row["use"]) for row in csv.DictReader(file)}
    assert rows - shown == {row for row in rows if row[0] == "jetson-nano-gpu"}
    assert shown <= rows


def test_the_page_says_the_errors_of_this_machine_as_the_table_has_them():
    with (RESULTS / "own-machine.csv").open(encoding="utf-8") as file:
        errors = [abs(float(row["error"])) for row in csv.DictReader(file)]
    said = f"Median error {100 * median(errors):.1f}%, worst {100 * max(errors):.1f}%."
    assert len(errors) == 10
    assert said in (RESULTS / "devices.md").read_text(encoding="utf-8")
