"""Ten networks on the machine that this runs on: predicted from the profile that `edgesim profile` measures, and measured.

    python benchmarks/own_machine.py [--seconds 240] [--known]

It measures the probes of `edgesim profile` and the ten networks in turn, so that what disturbs meets both, and writes docs/results/own-machine.csv and its table of
devices.md. None of the ten networks is a probe. With --known it takes the forty with which the method was made, and shows them only. Times are processor time of one thread, 5 % quantile.
"""

from __future__ import annotations

import argparse
import csv
from itertools import chain
from statistics import median

import torch
from devices import RESULTS
from own_machine_fourth import fourth
from own_machine_networks import known
from own_machine_unseen import unseen
from pages import put

from edgesim.compute.profiled import Profiled
from edgesim.domain.plan import Compute
from edgesim.domain.system.topology import DeviceProfile
from edgesim.nn.timing.clock import Conditions, Watch
from edgesim.nn.timing.layers import Rehearsed, sample_of
from edgesim.nn.timing.operators import rehearse_in_turn
from edgesim.nn.timing.probes import build_all
from edgesim.study.calibration.own_machine import operator_times

ANY = DeviceProfile("any", {"conv": 1.0}, 1.0, 0.0, 0, 0, 0, 0, 0, "not used: times are measured")


def measured(seconds: float, *, is_known: bool = False) -> tuple[list[Rehearsed], dict[str, Rehearsed], Conditions]:
    """Measure probes and networks in turn."""
    torch.manual_seed(0)
    probes = [Rehearsed(one.network, {"x": one.spec}, {"x": one.sample}) for one in build_all()]
    asked = {}
    for label, network, shape in chain(known(), fourth()) if is_known else unseen():
        dataset = shape.load()
        asked[label] = Rehearsed(network, dataset.inputs, sample_of(dataset))
    watch = Watch()
    rehearse_in_turn([*probes, *asked.values()], seconds)
    return probes, asked, watch.conditions()


def main() -> None:
    """Measure, predict and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--known", action="store_true")
    options = parser.parse_args()
    probes, asked, conditions = measured(options.seconds, is_known=options.known)
    model = Profiled(operator_times([one.times()[0] for one in probes]))
    rows = []
    for label, one in asked.items():
        layers, whole = one.times()
        predicted_s = model.duration_s(Compute("all", "device", tuple(work for work, _ in layers)), ANY)
        rows.append(
            (label, len(layers), 1e3 * whole.low_s, 1e3 * predicted_s, predicted_s / whole.low_s - 1, whole.spread)
        )
    errors = [abs(row[4]) for row in rows]
    lines = ["| network | layers | measured (ms) | spread | predicted (ms) | error |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {n} | {ms:.3g} | {spread:.0%} | {found:.3g} | {error:+.1%} |"
        for name, n, ms, found, error, spread in rows
    ]
    lines.append(f"\nMedian error {median(errors):.1%}, worst {max(errors):.1%}. Of the machine: {conditions}.")
    if options.known:
        print("\n".join(lines))
        return
    with (RESULTS / "own-machine.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["network", "layers", "measured_ms", "predicted_ms", "error", "spread"])
        out.writerows([name, n, *(f"{value:.4g}" for value in values)] for name, n, *values in rows)
    put(RESULTS / "devices.md", "own", "\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
