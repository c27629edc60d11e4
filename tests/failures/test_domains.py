"""Failure domains in a tree against closed forms, brute force and the engine."""

from __future__ import annotations

import csv
import subprocess
import sys
from itertools import pairwise, product
from math import prod, sqrt
from pathlib import Path

import pytest

from edgesim.compute.roofline import Roofline
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.system.switches import Switch
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError
from edgesim.failures.domains import Domain, Domains, RepairedDomain, RepairedDomains
from edgesim.failures.sampling.draw import enumerate_outages
from edgesim.failures.sampling.strikes import strikes_of
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**6, 1.0, 1.0, 1.0, 1.0, "assumed")
RACKS = {"a": ("a1", "a2"), "b": ("b1", "b2", "b3")}
IDS = ("hub", *RACKS["a"], *RACKS["b"])


@pytest.fixture(name="topology")
def two_racks() -> Topology:
    """A hub, and two racks with a switch each."""
    links = [
        link
        for rack, ids in RACKS.items()
        for one, other in (*((name, f"switch-{rack}") for name in ids), (f"switch-{rack}", "hub"))
        for link in (Link(f"{one}->{other}", one, other, 1e6), Link(f"{other}->{one}", other, one, 1e6))
    ]
    switches = tuple(Switch(f"switch-{rack}") for rack in RACKS)
    return Topology(tuple(Device(name, PROFILE) for name in IDS), tuple(links), switches=switches)


def tree(site: float = 0.1, racks: float = 0.2, power: float = 0.3, boards: float = 0.4) -> Domains:
    """A site with two racks, each with its switch; in rack b two devices share a supply; every device has a board that fails for itself."""
    return Domains((
        Domain("site", probability=site),
        Domain("rack a", "site", ("switch-a",), probability=racks),
        Domain("boards a", "rack a", ("a*",), each=True, probability=boards),
        Domain("rack b", "site", ("switch-b",), probability=racks),
        Domain("power b", "rack b", probability=power),
        Domain("boards b", "power b", ("b{1..2}",), each=True, probability=boards),
        Domain("board b3", "rack b", ("b3",), probability=boards),
    ))  # fmt: skip


UP = {"a1": 0.9 * 0.8 * 0.6, "a2": 0.9 * 0.8 * 0.6, "b1": 0.9 * 0.8 * 0.7 * 0.6, "b2": 0.9 * 0.8 * 0.7 * 0.6, "b3": 0.9 * 0.8 * 0.6,
      "switch-a": 0.9 * 0.8, "switch-b": 0.9 * 0.8}  # fmt: skip
TOGETHER = {
    ("a1", "a2"): 0.9 * 0.8 * 0.6**2,
    ("b1", "b2"): 0.9 * 0.8 * 0.7 * 0.6**2,
    ("a1", "b1"): 0.9 * 0.8**2 * 0.7 * 0.6**2,
    ("a1", "a2", "b1", "b2", "b3"): 0.9 * 0.8**2 * 0.7 * 0.6**5,
}


def test_outcomes_have_the_closed_form(topology: Topology) -> None:
    """P(all of some are up) is the product over the domains on their ways, each once."""
    outcomes = [(p, {one.target_id for one in lost}) for p, lost in tree().outcomes(topology)]
    assert sum(p for p, _ in outcomes) == pytest.approx(1.0)
    for name, expected in UP.items():
        assert sum(p for p, lost in outcomes if name not in lost) == pytest.approx(expected)
    for names, expected in TOGETHER.items():
        assert sum(p for p, lost in outcomes if lost.isdisjoint(names)) == pytest.approx(expected)


def test_outcomes_equal_brute_force(topology: Topology) -> None:
    """Every subset of the ten things that fail, with everything below them, gives the same probability of every set of lost targets."""
    below = {
        "site": {*IDS[1:], "switch-a", "switch-b"}, "rack a": {"a1", "a2", "switch-a"}, "rack b": {"b1", "b2", "b3", "switch-b"},
        "power b": {"b1", "b2"}, **{name: {name} for name in IDS[1:]},
    }  # fmt: skip
    chances = {"site": 0.1, "rack a": 0.2, "rack b": 0.2, "power b": 0.3, **dict.fromkeys(IDS[1:], 0.4)}
    expected: dict[frozenset[str], float] = {}
    for failed in product((False, True), repeat=len(chances)):
        names = [name for name, is_failed in zip(chances, failed, strict=True) if is_failed]
        p = prod(chances[name] if name in names else 1 - chances[name] for name in chances)
        lost = frozenset[str]().union(*(below[name] for name in names))
        expected[lost] = expected.get(lost, 0.0) + p
    found: dict[frozenset[str], float] = {}
    for p, outages in tree().outcomes(topology):
        lost = frozenset(one.target_id for one in outages)
        found[lost] = found.get(lost, 0.0) + p
    assert found == pytest.approx(expected)


def test_within_a_failed_domain_nothing_is_asked(topology: Topology) -> None:
    """1 + (1 + 2^2)(1 + 2 (1 + 2^2)) outcomes, not 2^9: site; rack a or its boards; rack b, or board b3 and power or its boards."""
    outcomes = list(tree().outcomes(topology))
    assert len(outcomes) == 1 + (1 + 4) * (1 + 2 * (1 + 4))
    assert enumerate_outages({"it": tree()}, topology, len(outcomes)) is not None
    assert enumerate_outages({"it": tree()}, topology, len(outcomes) - 1) is None
    grouping = tree(racks=0.0)  # that never fails itself, but holds others
    assert len(list(grouping.outcomes(topology))) == 1 + 4 * (2 * (1 + 4))
    assert [p for p, _ in tree(site=1.0).outcomes(topology)] == [1.0]


def test_large_trees_are_listed_as_far_as_asked(topology: Topology) -> None:
    """Two thousand domains in a row: listing stops at the limit."""
    domains = tuple(Domain(str(number), holds=("a1",), probability=0.5) for number in range(2000))
    assert enumerate_outages({"it": Domains(domains)}, topology, 64) is None


def test_draws_have_the_closed_form(topology: Topology) -> None:
    """Within three standard errors of 20,000 replications, which a probability that is 5 % off would miss."""
    streams, model, n = Streams(5), tree(), 20_000
    lost = [{one.target_id for one in model.outages(topology, streams.replication(index))} for index in range(n)]
    for names, expected in [*(((name,), p) for name, p in UP.items()), *list(TOGETHER.items())[:3]]:
        error = sqrt(expected * (1 - expected) / n)
        assert 3 * error < 0.05 * expected * 1.6, "no power"
        assert abs(sum(one.isdisjoint(names) for one in lost) / n - expected) < 3 * error


def test_how_often_domains_strike(topology: Topology) -> None:
    """Of the domains that hold what a plan uses; of boards any of those used."""
    found = strikes_of({"it": tree()}, topology, frozenset({"hub", "b1", "b2"}), [], 1.0)["it"]
    assert {one.what: one.probability for one in found} == pytest.approx(
        {"domain 'site'": 0.1, "domain 'rack b'": 0.2, "domain 'power b'": 0.3, "domain 'boards b'": 1 - 0.6**2}
    )


def send(topology: Topology, names: tuple[str, ...]) -> Plan:
    """Each device sends the hub a message, which goes over the switch of its rack."""
    sent = [Transfer(f"from {name}", name, "hub", 125, "x", "result") for name in names]
    return Plan((*sent, Compute("end", "hub", (), tuple(one.step_id for one in sent), 0, "degrade", 1.0)), "end", {})


@pytest.mark.parametrize(
    ("failed", "lost"),
    [("site", 0b11111), ("rack a", 0b00011), ("rack b", 0b11100), ("power b", 0b01100), ("board b3", 0b10000)],
)  # fmt: skip
def test_what_fails_takes_everything_below_it(topology: Topology, failed: str, lost: int) -> None:
    """In the engine: messages of devices below it, and those that cross its switch, do not come."""
    options = {one.name: 0.0 for one in tree().domains} | {failed: 1.0}
    domains = Domains(
        tuple(Domain(one.name, one.within, one.holds, one.each, options[one.name]) for one in tree().domains)
    )
    ((_, outages),) = domains.outcomes(topology)
    program = compile_plan(send(topology, IDS[1:]), topology, Roofline())
    (record,) = simulate(program, outages=list(outages), is_checked=True)
    assert record.lost == lost
    only_switch = Domains((Domain("closet", holds=("switch-a",), probability=1.0),))
    ((_, outages),) = only_switch.outcomes(topology)
    assert simulate(program, outages=list(outages))[0].lost == 0b00011


def test_repaired_domains_are_up_for_their_share(topology: Topology) -> None:
    """The share of time up is the product of the availabilities on the way; within three standard errors at three moments."""
    model = RepairedDomains((
        RepairedDomain("site", mtbf_s=9.0, mttr_s=1.0),
        RepairedDomain("rack a", "site", ("switch-a",), mtbf_s=4.0, mttr_s=1.0),
        RepairedDomain("boards a", "rack a", ("a*",), each=True, mtbf_s=3.0, mttr_s=1.0),
    ))  # fmt: skip
    streams, n = Streams(9), 4_000
    expected = {"switch-a": 0.9 * 0.8, "a1": 0.9 * 0.8 * 0.75, "a2": 0.9 * 0.8 * 0.75}
    both = 0.9 * 0.8 * 0.75**2
    moments = (0.0, 2.0, 15.0)
    n_up = {(name, moment): 0 for name in (*expected, "both") for moment in moments}
    for index in range(n):
        down = {}
        for name, source in model.renewals(topology, streams.replication(index)).items():
            down[name] = []
            for outage in source:
                down[name].append((outage.start_s, outage.end_s))
                if outage.start_s > max(moments):
                    break
            assert all(before[1] < after[0] for before, after in pairwise(down[name]))
        for moment in moments:
            up = {name for name in expected if not any(start <= moment < end for start, end in down[name])}
            for name in up:
                n_up[name, moment] += 1
            n_up["both", moment] += {"a1", "a2"} <= up
            assert "switch-a" in up or not up  # what the rack takes, it takes with everything in it
    for (name, _), count in n_up.items():
        share = expected.get(name, both)
        error = sqrt(share * (1 - share) / n)
        assert abs(count / n - share) < 3.5 * error < 0.07 * share


def test_renewals_do_not_depend_on_who_asks_first(topology: Topology) -> None:
    """The times of a rack are drawn once, whichever of its devices asks."""
    model = RepairedDomains((RepairedDomain("rack", holds=("a*",), mtbf_s=2.0, mttr_s=1.0),))
    forwards, backwards = (model.renewals(topology, Streams(1).replication(0)) for _ in range(2))
    first = [[next(forwards[name]).start_s for _ in range(3)] for name in ("a1", "a2")]
    second = [[next(backwards[name]).start_s for _ in range(3)] for name in ("a2", "a1")]
    assert first[0] == first[1] == second[0] == second[1]


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        ((Domain("a", holds=("a*",)), Domain("a", holds=("b*",))), "domain 'a' is there twice"),
        ((Domain("a", "site", ("a*",)),), "domain 'a' is within 'site', which is no domain; there are a"),
        ((Domain("a", "b", ("a*",)), Domain("b", "a")), "in a circle: a in b in a"),
        ((Domain("a", "a", ("a*",)),), "in a circle: a in a"),
        ((Domain("a"),), "domain 'a' holds nothing, and none is within it"),
        ((Domain("a", holds=("a*",), each=True), Domain("b", "a", ("b*",))), "of which each member is a domain"),
    ],
)
def test_what_is_no_tree_is_refused(domains: tuple[Domain, ...], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Domains(domains)


def test_what_is_not_there_is_refused(topology: Topology) -> None:
    with pytest.raises(PlanError, match=r"domain 'a' holds 'c\*', which matches no device or switch"):
        Domains((Domain("a", holds=("c*",)),)).check(topology)
    with pytest.raises(PlanError, match="matches no link"):
        RepairedDomains((RepairedDomain("a", holds=("c->hub",)),)).check(topology)
    with pytest.raises(PlanError, match="domain 'a' has one of mtbf and mttr"):
        RepairedDomain("a", holds=("a*",), mtbf_s=1.0)


ROOT = Path(__file__).parents[2]


def edgesim(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edgesim", *words], check=False, capture_output=True, text=True)


def test_a_study_is_exact(tmp_path: Path) -> None:
    """Four devices in one rack or two, of which all are needed or any is enough, with the closed forms of both."""
    folder = tmp_path / "out"
    found = edgesim("run", str(ROOT / "scenarios/racks.yaml"), "--output", str(folder), "--no-report", "--quiet")
    assert found.returncode == 0, found.stderr
    with (folder / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "answered"]
    rack = 0.98 * 0.99
    expected = {
        "one-rack": 0.999 * rack * 0.95**4,
        "two-racks": 0.999 * rack**2 * 0.95**4,
        "one-rack-again": 0.999 * rack * (1 - 0.05**4),
        "two-racks-again": 0.999 * (1 - (1 - rack * (1 - 0.05**2)) ** 2),
    }
    assert {row["strategy"]: float(row["exact"]) for row in rows} == pytest.approx(expected)


def test_findings_name_the_line(tmp_path: Path) -> None:
    scenario = tmp_path / "racks.yaml"
    text = (ROOT / "scenarios/racks.yaml").read_text()
    scenario.write_text(text.replace('holds: ["b*"]', 'holds: ["c*"]'))
    found = edgesim("validate", str(scenario))
    assert found.returncode == 2
    assert "holds 'c*', which matches no device or switch" in " ".join((found.stdout + found.stderr).split())
