"""What came in time, executed in namespaces of the kernel and simulated: eight devices with lost packets and stopped devices, as a table.

Root on Linux. ``python benchmarks/twin_losses.py``, or a part of it with ``--failures`` and ``--over``, so that a run can be divided. It asks, request by request, whether exactly those messages came in time that do in the simulation of the same
replication, and whether the answer is that of `predict` with them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from twin import tag

from edgesim.interfaces import Silent
from edgesim.scenario.scenario import Scenario
from edgesim.testbed.comparison import compare, measure
from edgesim.testbed.loopback import Loopback
from edgesim.testbed.namespaces import NamespaceNetwork
from edgesim.testbed.prepared import prepared

FAILURES = {
    "lost-1": ("1 % of the packets lost", "losses: {type: packet-loss, probability: 0.01}"),
    "lost-5": ("5 % of the packets lost", "losses: {type: packet-loss, probability: 0.05}"),
    "stopped": ("two of eight devices stopped", 'stopped: {type: exactly-k, k: 2, targets: "d[1-8]"}'),
}
LINKS = {
    "tcp": "mtu: 1448 B, header: 66 B, framing: 16 B, burst: 1600 B",
    "udp": "transport: datagram, mtu: 1456 B, header: 58 B, burst: 1600 B",
}
"""What TCP and UDP over Ethernet and a token bucket of the kernel make of a link."""


def scenario(failures: str, link: str) -> str:
    """Return a scenario of eight devices that help a ninth, all joined, whose messages are lost or who fail."""
    links = "\n".join(
        f"    - {{between: [d{one}, d{other}], bandwidth: 5 Mbit/s, {link}}}"
        for one in range(9)
        for other in range(one + 1, 9)
    )
    return f"""
name: twin
seed: 1
{tag(1)}topology:
  devices:
    - {{id: "d{{0..8}}", profile: tag}}
  links:
{links}
failures:
  {failures}
workload:
  dataset: {{type: digits}}
  model: {{type: small-cnn}}
  training: {{epochs: 1}}
  source: d0
  sink: d0
strategies:
  mapreduce: {{type: modnn, owner: d0, on_missing: degrade, step_deadline: 200 ms}}
  halo: {{type: modnn, owner: d0, execution: halo, on_missing: degrade, step_deadline: 200 ms}}
  ensemble: {{students: 8, devices: "d[1-8]", training: {{epochs: 1}}, deadline: 200 ms}}
  nonn: {{students: 8, devices: "d[1-8]", training: {{epochs: 1}}, deadline: 200 ms}}
  resilient: {{students: 8, devices: "d[1-8]", training: {{epochs: 1}}, deadline: 200 ms}}
"""


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--failures", choices=tuple(FAILURES), nargs="+", default=list(FAILURES))
    parser.add_argument("--over", choices=tuple(LINKS), nargs="+", default=list(LINKS))
    options = parser.parse_args()
    print(
        "| failures | over | strategy | requests that lack messages | equal deliveries | equal answers | simulated | mean |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for over in options.over:
        for key in options.failures:
            name, failures = FAILURES[key]
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "twin.yaml"
                path.write_text(scenario(failures, LINKS[over]), encoding="utf-8")
                for one in prepared(Scenario.load(path), (), Silent()):
                    measured = measure(one, Loopback(options.requests, network=NamespaceNetwork()), tolerance=1.0)
                    found = compare(measured, tolerance=1.0)
                    every = one.bundle.plan.transfer_ids
                    n_lacking = sum(came != every for came in measured.executed.came.values())
                    print(
                        f"| {name} | {over.upper()} | {found.strategy} | {n_lacking} of {found.n_requests} | {found.n_equal_sets} of {found.n_requests} "
                        f"| {found.n_equal_answers} of {found.n_requests} | {1e3 * found.simulated_s:.1f} ms | {1e3 * found.mean_s:.1f} ms |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
