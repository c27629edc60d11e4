"""What `edgesim explain` can explain, from docstrings, the catalog and the table of metrics."""

from __future__ import annotations

import dataclasses
import inspect
import json
from dataclasses import MISSING, dataclass, field
from typing import Any

from edgesim import errors
from edgesim.domain.metrics import LOAD_METRICS, METRICS, PEOPLE_METRICS, RECOVERY_METRICS, RESOURCE_METRICS
from edgesim.errors import UnknownNameError, nearest_name
from edgesim.plugins import Registry
from edgesim.registry import REGISTRIES
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.catalog import links as link_classes
from edgesim.scenario.catalog import radio
from edgesim.scenario.form.options import write_options
from edgesim.scenario.text.docstrings import plain, read_docstring
from edgesim.scenario.topology.shapes import SHAPES
from edgesim.scenario.topology.wifi import WifiSpec
from edgesim.tasks.scores import SCORES
from edgesim.units import plain_name


@dataclass(frozen=True)
class Explanation:
    """What is said about one name: its kind, a text, and sections by title."""

    name: str
    kind: str
    text: str
    sections: dict[str, str] = field(default_factory=dict)


WRITING = {
    "units": (
        "A quantity is a text with a unit, such as 20 Mbit/s, 5 ms, 256 KiB, 13.6 GFLOP/s, 2.7 W or 12 m. A bare number is "
        "refused. Data, rates and FLOP take the prefixes k M G T, data and its rates also Ki Mi Gi; seconds take n u m, W and J n u m k, metres "
        "m k; B is byte. mbit is refused: nobody means millibits. A number from 0 to 1 may be written in per cent: 1 %."
    ),
    "patterns": (
        'A device id may hold ranges: "w{1..8}" makes w1 to w8. Wherever devices or links are chosen, in topologies, options of '
        'strategies and failures, a pattern such as "w*", "w{1..4}" or "w{1..4}->hub" matches ids. Texts with * or { must be '
        "quoted in YAML."
    ),
    "routing": (
        "Messages take the same route during a whole study (static routing). routing: {metric: hops} in the topology, the default, "
        "takes fewest hops; latency takes the least sum of latencies; transfer the least time in which a message of the size given "
        "by message: (10 kB) crosses its links one after another, each in message overhead + 8 x wire bytes / bandwidth + latency, when "
        "nothing else is sent. Ties go to fewer hops, then to the ids along the way. routes: [[w1, w2, hub]] gives routes of your "
        "own, each for its first and last device in that direction; all others go by the metric. reroute: true lets a message whose route has "
        "a link, a switch or a device between its ends that is down when it is sent take the best route over what is up then."
    ),
    "graph-files": (
        "topology: {file: lab.graphml} reads devices and links from GraphML, GML or node-link JSON: nodes and edges have the keys of devices "
        "and links as attributes, and edgesim show FILE --export lab.gml writes such a file. file: {path: net.gml, profile: phone, "
        "bandwidth: 1 Mbit/s} gives what nodes and edges lack; attributes: {bandwidth: LinkSpeedRaw bit/s, latency: delay ms} says what other "
        'attributes mean; names: {from: label, replace: "-", repeated: number} names devices; parallel: sum makes one link of edges '
        "that join the same devices. An attribute that looks like a rate, a delay or a loss and is not read is refused, unless it stands under ignore."
    ),
    "extends": (
        "extends: other.yaml at the top of a file takes everything from that file, which is named relative to this one. Mappings "
        "are merged key by key; lists, texts and numbers are replaced as a whole; a plug-in with another type: replaces the "
        "whole plug-in; a key with nothing behind it (or null) takes the key away. The other file may extend a further one."
    ),
    "sweep": (
        "sweep: names the factors of a study. Each has a path, keys and list positions with dots between, and values: a "
        "list, values: [0, 1, 2], or a range, from: 1 ms, to: 1 s, n: 4, which has both ends; scale: log gives equal ratios in "
        "place of equal differences. All combinations are simulated, but a factor with: another one moves with it, value by "
        'value. skip: ["lost >= devices and p == 0.1"] leaves points out: comparisons (<= >= == != < >) of a factor with a '
        "value or another factor, joined by and. Anything can be varied, the seed and options of strategies too. The name "
        "becomes a column of the tables."
    ),
    "replications": (
        "replications: 1000 repeats every trial so often. replications: {min: 200, max: 20000, until: {accuracy: 0.01, latency: "
        "5 %}} goes on until half of the 95 % interval's width is at most that much, for all strategies of a factor point, in the "
        "metric's unit or in % of the estimate. It is decided after whole parts of 200 replications."
    ),
    "seed": (
        "Everything random starts from the seed: failures, training, places of random graphs. Each draw comes from a stream "
        "that is named by what it is for, so the same seed gives the same tables with any number of workers, and all "
        "strategies meet the same failures."
    ),
}
_METRICS = SCORES | METRICS | LOAD_METRICS | PEOPLE_METRICS | RECOVERY_METRICS | RESOURCE_METRICS
_EXIT_CODES = {
    "ScenarioError": "2", "UnknownNameError": "2", "PlanError": "2", "InfeasiblePlanError": "2", "ResultError": "2 or 3",
    "SimulationError": "3", "DataError": "3", "NetworkError": "2", "ExecutionError": "3", "EdgesimError": "3",
}  # fmt: skip
_REMEDIES = {
    "ScenarioError": "Each finding says where it stands, what was expected and what to do; `edgesim validate FILE` shows all.",
    "UnknownNameError": "`edgesim list` shows what there is.",
    "PlanError": "Change the topology or the options of the strategy; `edgesim show FILE` draws the topology.",
    "InfeasiblePlanError": "Use a smaller model, more devices, or a device profile with more memory.",
    "DataError": "The message says where edgesim looked and how to get the data.",
    "NetworkError": "The message says which network, file or line, and what is wrong with it; `edgesim validate FILE --deep` looks before anything is trained.",
    "ExecutionError": "The message says what the machine lacks, or which node ended and why; `edgesim testbed --help` shows the modes.",
    "ResultError": "Choose another folder with --output, or remove the old one.",
    "SimulationError": "This should not happen; please report it with the scenario.",
    "EdgesimError": "The message says what to do.",
}


def topics() -> dict[str, tuple[str, ...]]:
    """Return the names of all topics by kind."""
    return {
        **{seam: registry.names() for seam, registry in REGISTRIES.items()},
        "devices": catalog.names(),
        "links": link_classes.names(),
        "topologies": (*SHAPES, "wifi"),
        "metrics": tuple(_METRICS),
        "errors": tuple(_EXIT_CODES),
        "writing scenarios": tuple(WRITING),
    }


def find(topic: str) -> list[Explanation]:
    """Return what is said about a name; several, when several kinds have it. `kind/name` names one kind.

    Raises
    ------
    UnknownNameError
        When there is no such topic; it suggests the nearest.
    """
    kind, _, name = topic.rpartition("/")
    found = [
        _explain(one, name)
        for one, names in topics().items()
        if name in names and (not kind or kind == one)
    ]  # fmt: skip
    if not found:
        known = tuple(dict.fromkeys(name for names in topics().values() for name in names))
        exact = next((one for one in known if one.lower() == topic.lower()), None)
        raise UnknownNameError("topic", topic, known, exact or nearest_name(topic, known))
    return found


def _explain(kind: str, name: str) -> Explanation:
    if kind in REGISTRIES:
        return _plugin(REGISTRIES[kind], name)
    if kind in ("devices", "links"):
        return _catalogued(kind, name)
    if kind == "topologies":
        return _shape(name)
    if kind == "metrics":
        metric = _METRICS[name]
        sections = {"Formula": metric.formula, "Validity": metric.validity, "Source": metric.source}
        return Explanation(
            name, f"metric, unit {metric.unit}", f"{metric.summary[:1].upper()}{metric.summary[1:]}.", sections
        )
    if kind == "errors":
        return _error(name)
    return Explanation(name, "writing scenarios", WRITING[name])


def _plugin(registry: Registry[Any], name: str) -> Explanation:
    plugin = registry.get(name)
    text = read_docstring(plugin.__doc__)
    sections: dict[str, str] = {}
    if dataclasses.is_dataclass(plugin):
        options = [_option(one, text.parameters.get(one.name, "")) for one in dataclasses.fields(plugin) if one.init]
        if options:
            sections["Options"] = "\n".join(options)
    sections |= {
        {"References": "Source", "Notes": "Validity and notes"}.get(title, title): plain(body)
        for title, body in text.sections.items()
        if title != "Examples"
    }
    sections.setdefault("Source", f"{plugin.__module__}.{plugin.__qualname__}")
    return Explanation(name, registry.kind, plain(f"{text.summary}\n\n{text.description}".strip()), sections)


def _option(option: dataclasses.Field[Any], description: str) -> str:
    default = option.default
    if default is MISSING:
        standard = "required" if option.default_factory is MISSING else "has a default"
    elif default is None or isinstance(default, (bool, int, float, str)):
        shown = "none" if default is None else str(default).lower() if isinstance(default, bool) else f"{default}"
        standard = f"default {shown}"
    else:
        standard = f"default {json.dumps(_plain_data(default))}"
    return f"- {plain_name(option.name)} ({standard}): {plain(description)}"


def _plain_data(value: object) -> Any:
    """Return a default as scenarios write it: a plug-in by its name, with the options that are not at their own default."""
    if isinstance(value, (tuple, list)):
        return [_plain_data(item) for item in value]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    options = write_options(value)
    kind = type(value)
    name = next((name for one in REGISTRIES.values() for name in one.names() if one.get(name) is kind), None)
    if name is None:
        return options
    standard = write_options(kind()) if _needs_nothing(kind) else {}
    own = {key: option for key, option in options.items() if standard.get(key) != option and key != "type"}
    return {"type": name, **own} if own else name


def _needs_nothing(kind: type) -> bool:
    """Return whether every option of a plug-in has a default."""
    return all(one.default is not MISSING or one.default_factory is not MISSING for one in dataclasses.fields(kind))


def _catalogued(kind: str, name: str) -> Explanation:
    """Return the numbers of a device profile or a link class, with their references."""
    one = catalog if kind == "devices" else link_classes
    flat = {
        f"{key}.{part}" if part else key: text
        for key, value in one.entry(name).items()
        for part, text in (value.items() if isinstance(value, dict) else [("", value)])
    }
    lines = [f"- {key}: {flat[key]} ({text})" for key, text in one.references(name).items()]
    sections = {"Numbers and where they come from": "\n".join(lines)}
    return Explanation(name, "device profile" if kind == "devices" else "link class", f"{one.summary(name)}.", sections)


def _shape(name: str) -> Explanation:
    shape = WifiSpec if name == "wifi" else SHAPES[name]
    text = read_docstring(shape.__doc__)
    lines = []
    for key, info in shape.model_fields.items():
        standard = "required" if info.is_required() else "optional"
        example = f", e.g. {json.dumps(info.examples[0])}" if info.examples else ""
        lines.append(f"- {info.alias or key} ({standard}): {info.description}{example}")
    said = plain(f"{text.summary}\n\n{text.description}".strip())
    sections = {"Keys": "\n".join(lines)}
    if name == "wifi":
        sections |= _radios()
    return Explanation(name, "topology", said, sections | {"Source": "edgesim's own definition"})


def _radios() -> dict[str, str]:
    """Say how a rate follows from a distance, and the numbers of each standard with their references."""
    text = read_docstring(radio.Radio.__doc__)
    sections = {"Rate by distance": plain(text.description)}
    for standard in radio.STANDARDS:
        known, references = radio.radio(standard), radio.references(standard)
        lines = [
            f"- {one.name}: {json.dumps(getattr(known, one.name))} ({references[one.name]})"
            for one in dataclasses.fields(known)
        ]
        title = f"{standard}: {radio.summary(standard)}, reach {known.reach_m:.1f} m"
        sections[title] = "\n".join(lines)
    return sections


def _error(name: str) -> Explanation:
    kind = getattr(errors, name)
    text = read_docstring(inspect.getdoc(kind))
    base = kind.__mro__[1].__name__
    sections = {"Exit code": _EXIT_CODES[name], "What to do": _REMEDIES[name], "Kind of": base}
    return Explanation(name, "error", plain(f"{text.summary}\n\n{text.description}".strip()), sections)
