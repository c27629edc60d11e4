"""Run transfer cases in SimGrid: cases as JSON on standard input, arrival times as JSON on standard output.

SimGrid's fluid model in the form that is exact max-min sharing: CM02, no cross traffic, no window limit (TCP-gamma). It is
run apart from edgesim, since its module is that of the system's Python (Debian: python3-simgrid); its folder is the only
argument. One process per case, since an engine can be made once per process.

A case: {"links": {id: [bit/s, latency in s]}, "transfers": [{"links": [ids], "bytes": n, "start": s}]}. A link may be named
twice by one transfer: a relayed message in one medium.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

OPTIONS = (
    "network/model:CM02", "network/crosstraffic:0", "network/TCP-gamma:1e15", "network/weight-S:0",
    "network/bandwidth-factor:1", "network/latency-factor:1", "maxmin/precision:1e-9", "surf/precision:1e-12",
)  # fmt: skip


def run(case: dict[str, Any]) -> list[float]:
    """Return when each transfer of a case has arrived, in s."""
    from simgrid import Actor, Engine, Host, LinkInRoute, Mailbox, NetZone, this_actor

    engine = Engine(["edgesim", *(f"--cfg={option}" for option in OPTIONS), "--log=root.thres:critical"])
    zone = NetZone.create_full_zone("zone")
    links = {
        name: zone.create_link(name, rate / 8).set_latency(latency) for name, (rate, latency) in case["links"].items()
    }
    for link in links.values():
        link.seal()
    arrivals = [0.0] * len(case["transfers"])

    def send(number: int, transfer: dict[str, Any]) -> None:
        this_actor.sleep_until(transfer["start"])
        Mailbox.by_name(str(number)).put("x", transfer["bytes"])

    def receive(number: int) -> None:
        Mailbox.by_name(str(number)).get()
        arrivals[number] = Engine.clock

    for number, transfer in enumerate(case["transfers"]):
        ends = [zone.create_host(f"{end}{number}", 1e9).seal() for end in ("from", "to")]
        route = [LinkInRoute(links[name]) for name in transfer["links"]]
        zone.add_route(ends[0].netpoint, ends[1].netpoint, None, None, route, False)
    zone.seal()
    for number, transfer in enumerate(case["transfers"]):
        Actor.create("send", Host.by_name(f"from{number}"), send, number, transfer)
        Actor.create("receive", Host.by_name(f"to{number}"), receive, number)
    engine.run()
    return arrivals


def run_apart(case: dict[str, Any]) -> list[float]:
    """Run a case in a process of its own."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps(run(case)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.wait()
    if not text:
        raise SystemExit(f"SimGrid failed on {case}")
    return list(json.loads(text))


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    import simgrid  # noqa: F401 - load it once, before the processes part

    json.dump([run_apart(case) for case in json.load(sys.stdin)], sys.stdout)
