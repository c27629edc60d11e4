"""A commented scenario to start from, for a topology and strategies of one's choice."""

from __future__ import annotations

import re
import shlex
import typing
from pathlib import Path
from typing import Any

import annotated_types

from edgesim.errors import ScenarioError, UnknownNameError, nearest_name
from edgesim.registry import STRATEGIES
from edgesim.scenario.form.options import options_model
from edgesim.scenario.text.docstrings import plain, read_docstring
from edgesim.scenario.topology.shapes import SHAPES

SCHEMA_FILE = "scenario.schema.json"
"""Where an editor finds the schema: beside the scenario."""
_LINKS = (
    "bandwidth: 20 Mbit/s\n    latency: 2 ms # after the last bit has left\n    message_overhead: 1 ms # per message\n"
)
_SHAPES = {
    "star": ("count: 8 # w1 to w8 around the hub\n    hub_profile: phone", 8),
    "line": ("count: 5 # w1 to w5 in a row", 5),
    "ring": ("count: 6 # w1 to w6 in a circle", 6),
    "grid": ("rows: 3\n    columns: 3 # w1_1 to w3_3", 9),
    "tree": ("branching: 2 # devices below each\n    depth: 2 # levels below the root w1", 7),
    "mesh": ("count: 6 # w1 to w6, each linked with each", 6),
    "geometric": (
        "count: 12 # w1 to w12 at random places, which follow from the seed\n    width: 60 m\n    height: 60 m",
        12,
    ),
}
_PATH_LOSS = """\
    path_loss: # the rate of a link by its length; no link beyond the last row
      - {distance: 20 m, bandwidth: 50 Mbit/s}
      - {distance: 40 m, bandwidth: 10 Mbit/s}
    latency: 2 ms # after the last bit has left
    message_overhead: 1 ms # per message
"""
_HUB = """\
  # The hub, which has the input and wants the answer, is linked with the first of them.
  devices:
    - {{id: hub, profile: phone}}
  links:
    - {{between: [hub, {first}], bandwidth: 20 Mbit/s, latency: 2 ms, message_overhead: 1 ms}}
"""
_TEXT = """\
# yaml-language-server: $schema={schema}
#
# Check this file:  edgesim validate {file}
# Draw its devices: edgesim show {file}
# Run it:           edgesim run {file}
# What a word means: edgesim explain WORD

name: {name} # of the result folder, results/{name}
question: What is left of the accuracy when devices are lost, and what does it cost?

# Everything random starts from the seed: the same seed gives the same tables.
seed: 1
replications: 200 # repetitions of every trial

topology:
  {shape}:
    profile: wearable # numbers and their sources: edgesim explain wearable
    {options}
{wires}{hub}
workload:
  dataset: digits # 1,797 pictures of 8 x 8 pixels; others: edgesim list datasets
  model: small-cnn # others: edgesim list models
  training: {{epochs: 20}}
  source: hub # where the picture is
  sink: hub # where the answer is wanted

# What is compared. The name of an entry labels it everywhere; `type:` says what it is, unless the name does.
strategies:
{strategies}
# What goes wrong: k of the devices are down for the whole trial, every choice of k equally likely.
failures:
  device_loss: {{type: exactly-k, targets: "w*", k: 0}}

# What is varied: a column in the tables, and a row for each value. `path` names any value of this file.
sweep:
  lost_devices: {{path: failures.device_loss.k, values: [0, 1, 2, 3]}}
"""


_SAMPLES = "images of one class each"
"""What the network of the text below is for."""


def starter(file: str, shape: str, strategies: tuple[str, ...]) -> str:
    """Return the text of a scenario that is valid and runs as it is.

    Parameters
    ----------
    file : name of the file; its stem names the scenario, with ``-`` for characters that names may not have.
    shape : a key of `edgesim.scenario.topology.shapes.SHAPES`.
    strategies : names of strategies; those that come again are written once.

    Raises
    ------
    UnknownNameError
        When there is no such shape or strategy.
    ScenarioError
        When there is no strategy at all, or one is not for images of one class each.
    """
    if shape not in _SHAPES:
        raise UnknownNameError("topology", shape, tuple(SHAPES), nearest_name(shape, tuple(SHAPES)))
    if not strategies:
        raise ScenarioError("a scenario needs at least one strategy; `edgesim list strategies` shows all")
    for name in strategies:
        kinds = kinds_for(name)
        if kinds and _SAMPLES not in kinds:
            raise ScenarioError(
                f"strategy {name!r} is for {' or '.join(sorted(kinds))}, and the scenario to start from is about {_SAMPLES}; take others "
                f"and see `edgesim explain {name}`"
            )
    options, n_devices = _SHAPES[shape]
    first = "w1_1" if shape == "grid" else "w1"
    wires = _PATH_LOSS if shape == "geometric" else f"    {_LINKS}"
    wires += "    medium: cell # one radio cell: whoever sends, the others wait\n" if shape == "star" else ""
    return _TEXT.format(
        schema=SCHEMA_FILE,
        file=shlex.quote(file),
        name=re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9_.+-]+", "-", Path(file).stem)[:60].strip("-") or "study",
        shape=shape,
        options=options,
        wires=wires,
        hub="" if shape == "star" else _HUB.format(first=first),
        strategies="".join(_strategy(one, n_devices, first) for one in dict.fromkeys(strategies)),
    )


def kinds_for(name: str) -> frozenset[str]:
    """Return the kinds of samples that a strategy is for; none: it does not say.

    Examples
    --------
    >>> sorted(kinds_for("reservoirs")), sorted(kinds_for("single"))
    (['graphs'], [])
    """
    kinds: frozenset[str] = vars(STRATEGIES.get(name)).get("kinds_of_samples", frozenset())
    return kinds


def _strategy(name: str, n_devices: int, first: str) -> str:
    """Return the entry of a strategy: its required options and those that a first study wants to see."""
    plugin = STRATEGIES.get(name)
    wanted: dict[str, Any] = {
        "device": "hub", "owner": "hub", "merger": "hub", "root": "hub", "parity": first, "workers": '"w*"', "devices": '"w*"', "students": n_devices,
        "parts": n_devices // 2, "on_missing": "degrade", "step_deadline": "200 ms", "deadline": "500 ms",
    }  # fmt: skip
    second = "w1_2" if first == "w1_1" else "w2"
    lists = {"devices": ("hub", first, second), "cuts": ("relu1", "relu2")}  # of the topology and of the network here
    summary = plain(read_docstring(plugin.__doc__).summary)
    lines = [f"  {name}: # {summary[:1].lower()}{summary[1:].rstrip('.')}"]
    for info in options_model(plugin).model_fields.values():
        key = str(info.alias)
        if key in wanted or info.is_required():
            value = wanted.get(key) or (info.examples or [""])[0]
            if typing.get_origin(info.annotation) is tuple and key in lists:  # where others take a pattern
                n_least = next((one.min_length for one in info.metadata if isinstance(one, annotated_types.Len)), 1)
                value = f"[{', '.join(lists[key][:n_least])}]"
            comment = re.split(r"; |: |, (?:for ever|from|counted)", str(info.description or ""))[0]
            comment = "" if comment.startswith("as for") else comment
            lines.append(f"    {key}: {value} # {comment}" if comment else f"    {key}: {value}")
    return "\n".join(lines) + "\n"
