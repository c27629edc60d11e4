"""What a notebook shows of a scenario."""

from __future__ import annotations

import re

from edgesim.scenario.scenario import Scenario

TEXT = """
name: shown
question: Is 1 < 2?
seed: 7
replications: {replications}
topology:
  star: {{count: 5, profile: wearable, hub_profile: phone, bandwidth: 20 Mbit/s, latency: 2 ms, medium: cell}}
  devices: [{{id: server, profile: raspberry-pi-4b}}]
  links: [{{from: hub, to: server, bandwidth: 1 Gbit/s}}]
workload: {{dataset: digits, model: {{type: small-cnn, channels: [8, 16]}}, source: hub, sink: server}}
strategies:
  single: {{device: hub}}
  students: {{type: nonn, students: 5, devices: "w*", merger: hub}}
{rest}
"""
SWEPT = """
failures: {device_loss: {type: exactly-k, targets: "w*", k: 0}}
sweep:
  lost: {path: failures.device_loss.k, values: [0, 1]}
  rate: {path: topology.links.0.bandwidth, from: 1 Mbit/s, to: 9 Mbit/s, n: 9}
"""


def rows(scenario: Scenario) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return re.findall(r"<th[^>]*>(.*?)</th><td[^>]*>(.*?)</td>", scenario._repr_html_())


def test_a_line_for_everything_that_is_studied() -> None:
    """Devices by profile, kinds of links, plug-ins with their type where the label is another word, long ranges shortened."""
    scenario = Scenario.from_text(TEXT.format(replications=40, rest=SWEPT))
    assert "<strong>shown</strong>: Is 1 &lt; 2?" in scenario._repr_html_()
    assert rows(scenario) == [
        ("7 devices", "1 phone, 5 wearable, 1 raspberry-pi-4b"),
        ("11 links", "10 of 20 Mbit/s, 2 ms, share cell; 1 of 1 Gbit/s, 0 s"),
        ("workload", "small-cnn on digits, hub to server"),
        ("strategies", "single, students (nonn)"),
        ("failures", "device_loss (exactly-k)"),
        ("varied", "lost: 0, 1"),
        ("varied", "rate: 1000000 bit/s, 2000000 bit/s, 3000000 bit/s, 4000000 bit/s, ..., 9000000 bit/s"),
        ("trials", "18 factor points, 40 replications, seed 7"),
    ]


def test_without_failures_and_a_sweep() -> None:
    """A single point; a rule in place of a number of replications."""
    rule = "{min: 200, max: 2000, until: {accuracy: 0.01}}"
    assert rows(Scenario.from_text(TEXT.format(replications=rule, rest="")))[4:] == [
        ("failures", "none"),
        ("trials", "1 factor point, 200 to 2000 replications, seed 7"),
    ]
