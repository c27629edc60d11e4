"""What is said about a study that has run, beside its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.study.cases.design import INFEASIBLE
from edgesim.units import show

HELD = "memory of "
ENOUGH_ANSWERS = 0.9
"""Share of answers from which nobody needs a hint."""

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from edgesim.scenario.scenario import Scenario
    from edgesim.study.folder.store import Result


def targets(result: Result) -> Iterator[str]:
    """Yield a warning about factor points that reached the most replications before their intervals were narrow enough."""
    stopping = result.stopping()
    missed = stopping[~stopping["is_met"].astype(bool)]
    if len(missed):
        n = f"{int(missed['replications'].iloc[0]):,}"
        yield (
            f"{len(missed)} of {len(stopping)} factor points miss a target of `replications.until` after {n} replications; "
            f"raise `max`, or widen the target{_too_rare(missed)}"
        )


def _too_rare(missed: pd.DataFrame) -> str:
    """Return what held a rule back since it did not strike often enough, in words; empty for nothing."""
    found = list(dict.fromkeys(what for some in missed["rare"] for what in some))
    if not found:
        return ""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"; too rare to be judged: {found[0]}{more}; draw it more often with `sampled_at`"


def rare_events(result: Result) -> Iterator[str]:
    """Yield a warning about what can strike, but so rarely that the replications may not have met it."""
    rare = result.rare()
    if len(rare):
        n_points = len(rare[[*result.factors, "replications"]].astype(str).drop_duplicates())
        n_kinds = len(rare)
        more = f" and {n_kinds - 1} more" if n_kinds > 1 else ""
        yield (
            f"at {n_points} factor point{'s' * (n_points > 1)} the replications may not have met what is rare: "
            f"{rare['what'].iloc[0]} in {int(rare['replications'].iloc[0]):,}{more}. Intervals allow for whatever it does, or have no bound "
            "(the manifest's `rare` has all); raise `replications`, or draw it more often with `sampled_at`"
        )


def uncounted(result: Result) -> Iterator[str]:
    """Yield a warning about factor points at which no request counts."""
    table = result.summary()
    requests = table[table["metric"] == "requests"]
    n_without = int((requests["mean"] == 0).sum())
    if n_without:
        yield (
            f"no request counts in {n_without} of {len(requests)} rows of the table: none was released after the warm-up; "
            "shorten `workload.load.warm_up`, or ask for more requests"
        )


def overfull(result: Result, scenario: Scenario) -> Iterator[str]:
    """Yield a warning about devices that hold more under load than their memory takes."""
    from edgesim.scenario.build import build

    table, factors = result.summary(), list(result.factors)
    held = table[table["metric"].str.startswith(HELD)]
    if held.empty:
        return
    over = []
    for strategy, rows in held.groupby("strategy", sort=False):
        places = table[(table["strategy"] == strategy) & (table["metric"] == "latency")][factors].astype(str)
        points = zip(map(tuple, places.to_numpy().tolist()), scenario.points(), strict=True)
        topology_of = {place: build(scenario.at(point)).topology for place, point in points}
        for row in rows.to_dict(orient="records"):
            device = topology_of[tuple(str(row[name]) for name in factors)].device_of[row["metric"].removeprefix(HELD)]
            over += [(row, device)] if row["mean"] > device.profile.memory_byte else []
    if over:
        row, device = over[0]
        more = f", and {len(over) - 1} more rows of the table" if len(over) > 1 else ""
        yield (
            f"with strategy {row['strategy']!r} device {device.device_id!r} needs {show(row['mean'], 'byte')} at once, and has "
            f"{show(device.profile.memory_byte, 'byte')}{more}: too many requests wait there. Nothing stops it in the simulation; lower the load, or set "
            "`workload.load.admission_limit`"
        )


def lost_messages(result: Result, scenario: Scenario) -> Iterator[str]:
    """Yield hints at transports where datagrams leave many requests without an answer."""
    from edgesim.failures.sampling.draw import loss_models
    from edgesim.interfaces import DelayModel, is_kind
    from edgesim.network.transport import Datagram
    from edgesim.scenario.build import build
    from edgesim.strategies.modnn import MoDNN

    summary = result.summary()
    answered = summary[summary["metric"] == "answered"]
    for strategy, rows in answered.groupby("strategy", sort=False):
        few = [
            (point, row)
            for point, row in zip(scenario.points(), rows.to_dict(orient="records"), strict=True)
            if row["mean"] < ENOUGH_ANSWERS
        ]
        if not few:
            continue
        point, row = few[0]
        system = build(scenario.at(point))
        is_datagram = any(
            link.transport is None or isinstance(link.transport, Datagram) for link in system.topology.links
        )
        found = loss_models(system.failures, system.topology).values()
        if not (is_datagram and any(not is_kind(model, DelayModel) for model in found)):
            continue
        place = ", ".join(f"{name} = {row[name]}" for name in result.factors)
        remedy = "`transport: arq` or `transport: tcp` at the links repeats what is lost"
        used = system.strategies[str(strategy)]
        if isinstance(used, MoDNN) and used.partial != "use":
            remedy += "; `on_missing: degrade` with `partial: use` goes on with what arrived"
        yield (
            f"strategy {strategy!r} answers {100 * row['mean']:.0f} % of the requests{' at ' + place if place else ''}: links carry datagrams by "
            f"default, and a message that loses a packet is lost; {remedy}"
        )


def infeasible(result: Result) -> Iterator[str]:
    """Yield a warning for each strategy that does not fit the memory."""
    for strategy, rows in result.infeasible().groupby("strategy", sort=False):
        row = rows.iloc[0]
        place = ", ".join(f"{name} = {row[name]}" for name in result.factors)
        where = f" at {place}" if place else ""
        where += f", and at {len(rows) - 1} more factor points" if len(rows) > 1 else ""
        yield (
            f"strategy {strategy!r} does not fit{where}: {row['device']!r} needs {show(row['needed_byte'], 'byte')} and has "
            f"{show(row['available_byte'], 'byte')}; use a smaller model, more devices, or devices with more memory"
        )


def oddities(result: Result) -> Iterator[tuple[str, bool]]:
    """Yield a warning for each strategy that does not do its work when nothing is lost, and whether it gives no answer at all."""
    warned: set[str] = set()
    for entry in result.manifest["intact"]:
        strategy, outcome = entry["strategy"], entry["outcome"]
        if outcome in {"completed", INFEASIBLE} or strategy in warned:
            continue
        warned.add(strategy)
        place = ", ".join(f"{name} = {entry[name]}" for name in result.factors)
        where = f" at {place}" if place else ""
        if outcome == "degraded":
            text = (
                "goes on without inputs that come after its deadline, although nothing is lost; lengthen its deadline"
            )
        else:
            text = f"gives no answer ({outcome}), although nothing is lost; look at the deadline of the workload"
        yield f"strategy {strategy!r}{where} {text}", outcome != "degraded"
