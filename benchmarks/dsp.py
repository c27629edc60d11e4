"""What cores, vectors and local memory of a DSP are worth for convolutions: `python benchmarks/dsp.py` writes docs/results/dsp.md; some seconds."""

from __future__ import annotations

import statistics
from collections import Counter
from itertools import product
from pathlib import Path

from edgesim.compute.multi_core import MultiCore
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.devices import DeviceProfile
from edgesim.nn.cost.layers import graph_work, measure
from edgesim.nn.models.untrained import VGG16, ShapeOnly, untrained
from edgesim.nn.models.zoo import VGG, SmallCNN
from edgesim.scenario.topology.build import catalog_profile

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = {
    "small-cnn, 1x8x8": (SmallCNN(), (1, 8, 8), 10),
    "vgg, 3x32x32": (VGG(), (3, 32, 32), 10),
    "vgg16, 3x224x224": (VGG16(), (3, 224, 224), 1000),
}
WIDTHS = {"a sum waits for the one before": 1 / 3, "two multipliers, no vectors": 2.0, "vectors": 8.0}
"""Multiply-adds that begin in a cycle: additions take three cycles, a core has two multipliers, and vectors hold four numbers for each."""
CAUSES = tuple(product((1, 8), (False, True), WIDTHS.values()))


def layers(name: str) -> tuple[LayerWork, ...]:
    """Return the layers of a network."""
    model, shape, n_classes = NETWORKS[name]
    dataset = ShapeOnly(shape, n_classes).load()
    return graph_work(measure(untrained(model, dataset).network, dataset.inputs))


def choices(name: str, profile: DeviceProfile) -> str:
    """Return a row: how many layers take how many cores, and what the network takes so, on one core and on all."""
    works = layers(name)
    fastest, everything, alone = MultiCore(), MultiCore(use="all"), MultiCore(cores=1)
    counts = Counter(fastest.n_cores(work, profile) for work in works)
    times = [1e3 * model.duration_s(Compute("all", "dsp", works), profile) for model in (alone, everything, fastest)]
    spread = ", ".join(f"{n}: {counts[n]}" for n in sorted(counts))
    return f"| {name} | {spread} | " + " | ".join(f"{time:.3g}" for time in times) + " |"


def gains(works: tuple[LayerWork, ...], profile: DeviceProfile) -> list[str]:
    """Return a row for each set of causes: how much faster convolutions are than with none of them."""
    convolutions = [work for work in works if work.operator == "conv"]
    plain = MultiCore(cores=1, used_width=1 / 3, tiles=False)
    rows = []
    for n_cores, tiles, width in CAUSES:
        tuned = MultiCore(cores=n_cores, used_width=width, tiles=tiles)
        ratios = [
            plain.duration_s(Compute("one", "dsp", (work,)), profile)
            / tuned.duration_s(Compute("one", "dsp", (work,)), profile)
            for work in convolutions
        ]
        word = next(text for text, one in WIDTHS.items() if one == width)
        cells = (
            str(n_cores),
            "yes" if tiles else "no",
            word,
            f"{min(ratios):.1f}",
            f"{statistics.median(ratios):.1f}",
            f"{max(ratios):.1f}",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def main() -> None:
    """Write the page."""
    profile = catalog_profile("ti-c6678")
    page = ROOT / "docs" / "results" / "dsp.md"
    text = page.read_text(encoding="utf-8")
    table = ["| network | cores: layers | one core, ms | all eight, ms | fastest, ms |", "|---|---|---|---|---|"]
    text = written_between(text, "choices", "\n".join(table + [choices(name, profile) for name in NETWORKS]))
    for name, key in (("vgg16, 3x224x224", "large"), ("small-cnn, 1x8x8", "small")):
        table = ["| cores, at most | tiles | arithmetic | least | median | most |", "|---|---|---|---|---|---|"]
        text = written_between(text, key, "\n".join(table + gains(layers(name), profile)))
    page.write_text(text, encoding="utf-8")


def written_between(text: str, name: str, table: str) -> str:
    """Return a page with a table between the marks of its name."""
    before, mark, rest = text.partition(f"<!-- {name} -->\n")
    return f"{before}{mark}{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"


if __name__ == "__main__":
    main()
