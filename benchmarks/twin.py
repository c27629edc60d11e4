"""Measured against simulated latencies, in namespaces of the kernel: strategies x devices x rates, as a table.

``python benchmarks/twin.py`` as root on Linux. Each case is simulated twice: as the scenario says, and with the host overhead per message that is
fitted on one case only, which is named.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import combinations
from pathlib import Path
from statistics import median

from edgesim.interfaces import Silent
from edgesim.scenario.scenario import Scenario
from edgesim.testbed.comparison import Measured, compare, fitted_overhead_s, measure
from edgesim.testbed.loopback import Loopback
from edgesim.testbed.namespaces import NamespaceNetwork
from edgesim.testbed.prepared import prepared

CUTS = {2: "conv1", 4: "conv1, conv2, conv3"}
FITTED = ("single", 2, 2.0)
"""The case that the overhead is fitted on."""
LONG_S = 0.05
"""Latencies beside which the noise of a busy machine is small."""


def scenario(n_devices: int, rate_mbit_per_s: float) -> str:
    """Return a scenario of devices that are all joined, over links as TCP and a token bucket of the kernel make them."""
    ids = [f"d{number}" for number in range(n_devices)]
    link = "mtu: 1448 B, header: 66 B, framing: 16 B, burst: 1600 B"
    links = "\n".join(
        f"    - {{between: [{one}, {other}], bandwidth: {rate_mbit_per_s} Mbit/s, {link}}}"
        for one, other in combinations(ids, 2)
    )
    return f"""
name: twin
seed: 1
topology:
  devices:
    - {{id: "d{{0..{n_devices - 1}}}", profile: wearable}}
  links:
{links}
workload:
  dataset: {{type: digits}}
  model: {{type: small-cnn}}
  training: {{epochs: 1}}
  source: d0
  sink: d0
strategies:
  single: {{device: d1}}
  chain: {{devices: [{", ".join(ids)}], cuts: [{CUTS[n_devices]}]}}
  mapreduce: {{type: modnn, owner: d0}}
  halo: {{type: modnn, owner: d0, execution: halo}}
  ensemble: {{students: {n_devices - 1}, devices: "d[1-9]", training: {{epochs: 1}}}}
"""


def cases(n_requests: int, rates: list[float]) -> dict[tuple[str, int, float], Measured]:
    """Execute all cases."""
    found = {}
    for n_devices in CUTS:
        for rate in rates:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "twin.yaml"
                path.write_text(scenario(n_devices, rate), encoding="utf-8")
                for one in prepared(Scenario.load(path), (), Silent()):
                    how = Loopback(n_requests, network=NamespaceNetwork())
                    found[one.label, n_devices, rate] = measure(one, how, tolerance=1.0)
                    print("executed", one.label, n_devices, rate, flush=True)
    return found


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 2.0, 8.0], help="in Mbit/s")
    options = parser.parse_args()
    found = cases(options.requests, options.rates)
    overhead_s = fitted_overhead_s(found[FITTED])
    print(f"host overhead {1e3 * overhead_s:.2f} ms per message, fitted on {FITTED}")
    print(
        "| strategy | devices | rate | mean | simulated | error | simulated with overhead | error | noise | equal answers |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    errors: list[tuple[float, float, float]] = []
    for (label, n_devices, rate), measured in found.items():
        plain, fitted = compare(measured, 0.1), compare(measured, 0.1, overhead_s)
        is_exact = plain.measured_byte == plain.simulated_byte
        if (label, n_devices, rate) != FITTED:
            errors.append((abs(plain.error), abs(fitted.error), plain.mean_s))
        print(
            f"| {label} | {n_devices} | {rate:g} Mbit/s | {1e3 * plain.mean_s:.1f} ms | {1e3 * plain.simulated_s:.1f} ms | {100 * plain.error:+.1f} % "
            f"| {1e3 * fitted.simulated_s:.1f} ms | {100 * fitted.error:+.1f} % | {100 * plain.noise:.1f} % "
            f"| {plain.n_equal_answers} of {plain.n_requests}{'' if is_exact else ', BYTES DIFFER'} |",
            flush=True,
        )
    for least_s in (0.0, LONG_S):
        for place, name in enumerate(("as the scenario says", "with the overhead")):
            own = [case[place] for case in errors if case[2] >= least_s]
            what = f"{name}, of {len(own)} cases of {1e3 * least_s:g} ms and more"
            print(f"{what}: median error {100 * median(own):.1f} %, worst {100 * max(own):.1f} %")


if __name__ == "__main__":
    main()
