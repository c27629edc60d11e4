"""What the simulation of a scenario assumes, in sentences that hold for this scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def assumptions(scenario: dict[str, Any], *, is_asked: bool) -> list[str]:
    """Return what a reader of the results has to know.

    Parameters
    ----------
    scenario : as resolved, in plain data.
    is_asked : whether the study has a score.
    """
    system = {**scenario, "sweep": list(scenario["sweep"].values())}  # factors may be called like keys
    sharing, load = (
        {one for one in _values(system, "sharing") if isinstance(one, str)},
        scenario["workload"].get("load"),
    )
    written = [one.get("type") if isinstance(one, dict) else one for one in _values(system, "transport")]
    transports = {one for one in written if isinstance(one, str)}
    turns = (
        "Where `sharing: fair` stands, what is there at once shares the rate; elsewhere one waits for the other."
        if "fair" in sharing
        else "On one link or medium, and on one core, one waits for the other."
    )
    found = [
        "Computing time is the larger of work / rate and bytes / memory bandwidth, plus a fixed time per layer. Devices do nothing else.",
        f"A link is busy for its overhead per message and for size / bandwidth; its latency comes on top. {turns}",
    ]
    if transports - {"datagram"}:
        names = ", ".join(sorted(transports - {"datagram"}))
        found.append(
            f"Lost packets are sent again where links have a transport ({names}); this costs time and traffic."
        )
    found.append("Nobody is told that a message is lost: a receiver waits until its deadline.")
    if is_asked:
        found.append(
            "Scores are those of the real networks on the test split, given exactly what arrived. Their formula says what a request "
            "without an answer counts."
        )
    if load:
        found.append(
            "Requests of one trial wait for each other. Values of a trial are means over its requests after the warm-up; "
            "intervals are over trials."
        )
    if scenario["failures"] or load:
        found.append(
            "All strategies meet the same failures and arrivals in the same replication. Intervals cover these draws, not the "
            "choice of the data or of the training seed."
        )
    return found


def _values(data: Any, key: str) -> Iterator[Any]:
    """Yield every value under this key, at any depth; sweeps name keys by their paths."""
    if isinstance(data, dict):
        for name, value in data.items():
            if name == key:
                yield value
            elif name == "path" and str(value).rpartition(".")[2] == key:
                yield from data.get("values") or ()
            yield from _values(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from _values(value, key)
