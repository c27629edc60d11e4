"""CPU time from a scenario in plain data to the systems of all its factor points: python benchmarks/points.py [--devices N]

Devices around a hub, a sweep of as many bandwidths as failure probabilities. The scenario is checked as a whole, then the system
of each point is built. Prints CPU seconds, and how many topologies there are.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario


def scenario_data(n_devices: int, n_rates: int, n_losses: int) -> dict[str, Any]:
    """Return a star of devices, and a sweep of bandwidths and failures."""
    return {
        "name": "points",
        "topology": {
            "devices": [{"id": "hub", "profile": "phone"}, {"id": f"w{{1..{n_devices - 1}}}", "profile": "wearable"}],
            "links": [{"between": ["hub", "w*"], "bandwidth": "20 Mbit/s"}],
        },
        "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
        "strategies": {"single": {"device": "hub"}},
        "failures": {"loss": {"type": "bernoulli", "probability": 0.1}},
        "sweep": {
            "bandwidth": {
                "path": "topology.links.0.bandwidth",
                "values": [f"{number} Mbit/s" for number in range(1, n_rates + 1)],
            },
            "loss": {"path": "failures.loss.probability", "values": [n / n_losses / 2 for n in range(n_losses)]},
        },
    }


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rates", type=int, default=16)
    parser.add_argument("--losses", type=int, default=16)
    options = parser.parse_args()
    data = scenario_data(options.devices, options.rates, options.losses)
    begin = time.process_time()
    scenario = Scenario.from_data(data)
    checked = time.process_time()
    systems = [build(scenario.at(point)) for point in scenario.points()]
    done = time.process_time()
    n_topologies = len({id(system.topology) for system in systems})
    print(f"{options.devices:,} devices, {len(systems)} factor points, {n_topologies} topologies")
    print(f"check {checked - begin:.2f} s, systems {done - checked:.2f} s, together {done - begin:.2f} s of CPU")


if __name__ == "__main__":
    main()
