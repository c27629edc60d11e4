"""What cores, vectors and local memory of a DSP are worth for convolutions: `python benchmarks/dsp.py` writes docs/results/dsp.md; some seconds.

Writes docs/results/dsp-layers.csv and dsp-causes.csv, too: what the tables are made of, layer by layer.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pandas as pd
from pages import put

from edgesim.compute.multi_core import MultiCore
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.devices import DeviceProfile
from edgesim.nn.cost.layers import graph_work, measure
from edgesim.nn.models.untrained import VGG16, ShapeOnly, untrained
from edgesim.nn.models.zoo import VGG, SmallCNN
from edgesim.scenario.topology.build import catalog_profile

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results" / "dsp.md"
NETWORKS = {
    "small-cnn, 1x8x8": (SmallCNN(), (1, 8, 8), 10),
    "vgg, 3x32x32": (VGG(), (3, 32, 32), 10),
    "vgg16, 3x224x224": (VGG16(), (3, 224, 224), 1000),
}
WIDTHS = {"a sum waits for the one before": 1 / 3, "two multipliers, no vectors": 2.0, "vectors": 8.0}
"""Multiply-adds that begin in a cycle: additions take three cycles, a core has two multipliers, and vectors hold four numbers for each."""


def layers(name: str) -> tuple[LayerWork, ...]:
    """Return the layers of a network."""
    model, shape, n_classes = NETWORKS[name]
    dataset = ShapeOnly(shape, n_classes).load()
    return graph_work(measure(untrained(model, dataset).network, dataset.inputs))


def of_layers(name: str, profile: DeviceProfile) -> pd.DataFrame:
    """Return a row for each layer of a network: how many cores are fastest, and its time with those, on one core and on all, in s."""
    models = {"fastest_s": MultiCore(), "one_core_s": MultiCore(cores=1), "all_cores_s": MultiCore(use="all")}
    return pd.DataFrame(
        {
            "network": name, "layer": work.layer_id, "operator": work.operator, "work_flop": work.work_flop,
            "cores": models["fastest_s"].n_cores(work, profile),
            **{key: duration_s(model, work, profile) for key, model in models.items()},
        }
        for work in layers(name)
    )  # fmt: skip


def of_causes(name: str, profile: DeviceProfile) -> pd.DataFrame:
    """Return a row for each convolution of a network and each set of causes: how much faster it is than with none of them."""
    plain = MultiCore(cores=1, used_width=1 / 3, tiles=False)
    return pd.DataFrame(
        {
            "network": name, "layer": work.layer_id, "cores_at_most": n_cores, "tiles": "yes" if tiles else "no", "arithmetic": word,
            "times_as_fast": duration_s(plain, work, profile)
            / duration_s(MultiCore(cores=n_cores, used_width=width, tiles=tiles), work, profile),
        }
        for n_cores, tiles, (word, width) in product((1, 8), (False, True), WIDTHS.items())
        for work in layers(name)
        if work.operator == "conv"
    )  # fmt: skip


def duration_s(model: MultiCore, work: LayerWork, profile: DeviceProfile) -> float:
    """Return the time of one layer, in s."""
    return model.duration_s(Compute("one", "dsp", (work,)), profile)


def choices(found: pd.DataFrame) -> list[str]:
    """Return a row for each network: how many layers take how many cores, and what it takes on one core, on all and so."""
    rows = ["| network | cores: layers | one core, ms | all eight, ms | fastest, ms |", "|---|---|---|---|---|"]
    for name, own in found.groupby("network", sort=False):
        counts = ", ".join(f"{n}: {count}" for n, count in own["cores"].value_counts().sort_index().items())
        times = (f"{1e3 * own[key].sum():.3g}" for key in ("one_core_s", "all_cores_s", "fastest_s"))
        rows.append(f"| {name} | {counts} | " + " | ".join(times) + " |")
    return rows


def gains(found: pd.DataFrame) -> list[str]:
    """Return a row for each set of causes: least, median and most of its convolutions."""
    rows = ["| cores, at most | tiles | arithmetic | least | median | most |", "|---|---|---|---|---|---|"]
    for key, own in found.groupby(["cores_at_most", "tiles", "arithmetic"], sort=False)["times_as_fast"]:
        cells = (*map(str, key), *(f"{value:.1f}" for value in (own.min(), own.median(), own.max())))
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def main() -> None:
    """Write the page and the CSV."""
    profile = catalog_profile("ti-c6678")
    of_each = pd.concat([of_layers(name, profile) for name in NETWORKS])
    put(PAGE, "choices", "\n".join([*choices(of_each), ""]))
    causes = []
    for name, key in (("vgg16, 3x224x224", "large"), ("small-cnn, 1x8x8", "small")):
        causes.append(of_causes(name, profile))
        put(PAGE, key, "\n".join([*gains(causes[-1]), ""]))
    for name, found in (("layers", of_each), ("causes", pd.concat(causes))):
        found.to_csv(PAGE.with_name(f"dsp-{name}.csv"), index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
