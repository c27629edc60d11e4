"""Which routes messages take, from the scenario to the engine, and what is said about slow ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.domain.system.routing import Routing, transfer_s
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import PlanError, ScenarioError
from edgesim.scenario.build import build
from edgesim.scenario.graphs.writing import topology_data
from edgesim.scenario.help.oddities import oddities
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 1, 1.0, 1.0, 1.0, 1.0, "assumed")
TEXT = """
name: routes
topology:
  devices: [{id: a, profile: phone}, {id: b, profile: phone}, {id: c, profile: phone}]
  links:
    - {between: [a, c], bandwidth: 100 kbit/s, latency: 1 ms}
    - {between: [a, b], bandwidth: 10 Mbit/s, latency: 2 ms}
    - {between: [b, c], bandwidth: 10 Mbit/s, latency: 2 ms}
workload: {dataset: digits, model: small-cnn, source: a, sink: c}
strategies: {single: {device: c}}
"""


def scenario(routing: str = "") -> Scenario:
    return Scenario.from_text(TEXT.replace("  links:", f"  routing: {routing}\n  links:") if routing else TEXT)


def ids(topology: Topology, src: str, dst: str) -> list[str]:
    return [src, *(link.dst_id for link in topology.route(src, dst))]


@pytest.mark.parametrize(
    ("routing", "route"),
    [
        ("", ["a", "c"]),
        ("{metric: hops}", ["a", "c"]),
        ("{metric: latency}", ["a", "c"]),
        ("{metric: transfer}", ["a", "b", "c"]),
        ("{metric: transfer, message: 10 B}", ["a", "c"]),  # 1.8 ms over one link, 4.016 ms over two
        ("{routes: [[a, b, c]]}", ["a", "b", "c"]),
        ("{metric: transfer, routes: [[a, c]]}", ["a", "c"]),
    ],
)
def test_a_route_is_chosen_by_its_metric(routing: str, route: list[str]) -> None:
    """10 kB take 801 ms over the slow link, and 2 x (8 + 2) ms over the two fast ones."""
    made = scenario(routing)
    topology = build(made).topology
    assert ids(topology, "a", "c") == route
    assert build(Scenario.from_data(made.resolved())).topology == topology


def test_a_route_of_ones_own_holds_in_its_direction_only() -> None:
    """And for its ends only."""
    topology = build(scenario("{routes: [[a, b, c]]}")).topology
    assert ids(topology, "c", "a") == ["c", "a"]
    assert ids(topology, "b", "c") == ["b", "c"]


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ("[[a, d]]", "unknown device 'd'"),
        ("[[a]]", "list two devices"),
        ("[[a, b, a]]", "list two devices"),
        ("[[a, c], [a, b, c]]", "two routes lead from 'a' to 'c'"),
        ("[a, b]", "a list"),
    ],
)
def test_wrong_routes_are_refused(routes: str, message: str) -> None:
    with pytest.raises(ScenarioError, match="rout") as caught:
        scenario(f"{{routes: {routes}}}")
    assert message in str(caught.value)


def test_a_route_needs_its_links() -> None:
    """A missing link is a finding in a scenario, and an error in Python."""
    text = TEXT.replace("between: [b, c]", "from: c, to: b").replace(
        "  links:", "  routing: {routes: [[a, b, c]]}\n  links:"
    )
    with pytest.raises(ScenarioError, match="no link leads from 'b' to 'c'"):
        Scenario.from_text(text)
    devices = tuple(Device(name, PROFILE) for name in "ab")
    with pytest.raises(PlanError, match="needs a link from 'b' to 'a'"):
        Topology(devices, (Link("a->b", "a", "b", 1e6),), routing=Routing(routes=(("b", "a"),)))


def test_a_slow_route_is_warned_of() -> None:
    """Once, with the worst pair; not when the metric is that of the warning, or the route is one's own."""
    found = [one for one in oddities(scenario()) if "route" in one.message]
    assert [one.path for one in found] == [("topology",)]
    assert "'a -> c', over which 10 kB take 40" in found[0].message
    assert "'a -> b -> c'" in found[0].message
    assert [one.path for one in oddities(scenario("{metric: latency}"))] == [("topology", "routing")]
    assert not oddities(scenario("{metric: transfer}"))
    assert not oddities(scenario("{routes: [[a, c]]}"))


def test_the_metric_can_be_swept_and_written_as_a_graph() -> None:
    text = TEXT + "sweep: {by: {path: topology.routing.metric, values: [hops, transfer]}}\n"
    swept = Scenario.from_text(text)
    chosen = [ids(build(swept.at(point)).topology, "a", "c") for point in swept.points()]
    assert chosen == [["a", "c"], ["a", "b", "c"]]
    topology = build(scenario("{metric: transfer, routes: [[c, a]]}")).topology
    assert topology_data(topology)["topology"]["routing"]["routes"] == [["c", "a"]]


@st.composite
def networks(draw: st.DrawFn) -> Topology:
    """Connected random networks with few different latencies, so that ties are many."""
    n = draw(st.integers(2, 7))
    names = [f"d{i}" for i in range(n)]
    pairs = {(names[draw(st.integers(0, i - 1))], names[i]) for i in range(1, n)}
    pairs |= {(a, b) for a in names for b in names if a < b and draw(st.booleans())}
    links = []
    for a, b in sorted(pairs):
        latency_s = draw(st.sampled_from((0.0, 0.001, 0.002, 0.003)))
        links += [Link(f"{x}->{y}", x, y, 1e6, latency_s) for x, y in ((a, b), (b, a))]
    return Topology(tuple(Device(name, PROFILE) for name in names), tuple(draw(st.permutations(links))))


def all_routes(topology: Topology, here: str, end: str, seen: tuple[str, ...] = ()) -> list[tuple[Link, ...]]:
    if here == end:
        return [()]
    return [
        (link, *rest)
        for link in topology.links_from[here]
        if link.dst_id not in (*seen, here)
        for rest in all_routes(topology, link.dst_id, end, (*seen, here))
    ]


@given(networks(), st.sampled_from(("hops", "latency", "transfer")))
def test_no_route_is_shorter(topology: Topology, metric: Any) -> None:
    """Against all routes written out; ties go to fewer hops, then to the ids, whatever the order of the links."""
    routed = Topology(topology.devices, topology.links, routing=Routing(metric))

    def length(route: tuple[Link, ...]) -> tuple[Any, ...]:
        ticks = 0
        if metric != "hops":
            size_byte = 10_000
            ticks = sum(
                round((one.latency_s + (one.occupation_s(size_byte) if metric == "transfer" else 0.0)) * 1e15)
                for one in route
            )
        return ticks, len(route), [one.dst_id for one in route]

    for dst in topology.devices:
        best = min(all_routes(topology, "d0", dst.device_id), key=length)
        assert routed.route("d0", dst.device_id) == best
    assert transfer_s(routed.route("d0", "d1"), 1250) > 0.0


def test_rerouting_is_an_option_of_routing() -> None:
    made = scenario("{metric: latency, reroute: true}")
    assert build(made).topology.routing == Routing("latency", reroute=True)
    assert build(Scenario.from_data(made.resolved())).topology == build(made).topology
