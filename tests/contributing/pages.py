"""The public names with their signatures, and the rooms with their sentences, as text."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import edgesim
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.catalog import links as link_classes
from tests.contributing.command_line import commands

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- made from the code -->\n", "<!-- end -->\n"

PUBLIC: dict[str, tuple[str, ...]] = {
    "edgesim": tuple(edgesim.__all__),
    "edgesim.interfaces": (),
    "edgesim.registry": (
        "STRATEGIES",
        "FAILURES",
        "TRANSPORTS",
        "RATES",
        "ARRIVALS",
        "TASKS",
        "DATASETS",
        "MODELS",
        "PARTITIONERS",
        "FILTER_GRAPHS",
        "OBJECTIVES",
    ),
    "edgesim.plugins": ("Plugin",),
    "edgesim.testing": (
        "check_bundle",
        "check_failure_model",
        "check_objective",
        "check_rates",
        "check_strategy",
        "check_task",
        "deployment_context",
    ),
    "edgesim.errors": (
        "EdgesimError",
        "ScenarioError",
        "UnknownNameError",
        "PlanError",
        "InfeasiblePlanError",
        "SimulationError",
        "DataError",
        "ResultError",
    ),
    "edgesim.units": ("BitPerSecond", "BytePerSecond", "Bytes", "FlopPerSecond", "Hertz", "Metre", "Seconds", "Watt"),
    "edgesim.rng": ("Streams", "ReplicationStreams", "BatchStreams"),
    "edgesim.domain.plan": ("Compute", "LayerWork", "Plan", "Transfer"),
    "edgesim.domain.delivery": ("Arrived", "Delivery"),
    "edgesim.domain.records": ("Outage",),
    "edgesim.domain.system.transport": (
        "LinkTransport",
        "BatchLinkTransport",
        "EndToEndTransport",
        "BatchEndToEndTransport",
        "Transport",
        "Crossing",
        "Crossings",
        "Burst",
        "Bursts",
    ),
    "edgesim.domain.system.rates": ("ChangingRate",),
    "edgesim.domain.system.topology": ("Device", "DeviceId", "DeviceProfile", "Link", "Topology"),
    "edgesim.domain.networks.costs": ("LayerCost", "ModelGraph"),
    "edgesim.domain.networks.samples": ("Dataset", "Samples"),
    "edgesim.domain.networks.task": ("Score", "Task", "TensorSpec"),
    "edgesim.tasks.classification": ("Classification",),
    "edgesim.tasks.multi_label": ("MultiLabel",),
    "edgesim.tasks.regression": ("Regression",),
    "edgesim.tasks.dense_classification": ("DenseClassification",),
    "edgesim.tasks.detection": ("Detection",),
    "edgesim.nn.train.training": ("forward",),
    "edgesim.scenario.build": ("build",),
}
"""What is promised: these names of a module; all classes that it defines where none is given."""


def public_names() -> str:
    """Return a block with each public name and its signature."""
    lines = []
    for module_name, names in PUBLIC.items():
        module = importlib.import_module(module_name)
        lines.append(f"\n{module_name}")
        for name in names or _defined(module):
            lines += _described(name, getattr(module, name))
    return "```text" + "\n".join(lines) + "\n```\n"


def _defined(module: ModuleType) -> list[str]:
    return [
        name for name, thing in vars(module).items() if inspect.isclass(thing) and thing.__module__ == module.__name__
    ]


def _described(name: str, thing: Any) -> Iterator[str]:
    if inspect.isclass(thing):
        is_dataclass = "__dataclass_fields__" in vars(thing)
        yield f"  class {name}{_signature(thing) if is_dataclass else ''}"
        for method, found in sorted(inspect.getmembers(thing)):
            yield from _method(method, found)
    elif inspect.isfunction(thing):
        yield f"  {name}{_signature(thing)}"
    else:
        yield f"  {name}"


def _method(name: str, found: Any) -> Iterator[str]:
    function = found.fget if isinstance(found, property) else inspect.unwrap(getattr(found, "__func__", found))
    if name.startswith("_") or not inspect.isfunction(function) or not function.__module__.startswith("edgesim"):
        return
    yield f"    {name}" if isinstance(found, property) else f"    {name}{_signature(found)}"


def _signature(thing: Any) -> str:
    """Return names, kinds and whether there is a default; types are in the reference."""
    parameters = inspect.signature(thing).parameters.values()
    short = [
        one.replace(annotation=one.empty, default=one.empty if one.default is one.empty else ...) for one in parameters
    ]
    return str(inspect.Signature(short)).replace("Ellipsis", "...")


def rooms() -> str:
    """Return a table of the packages, with the first sentence of their docstrings."""
    rows = ["| room | what it is |", "|---|---|"]
    for file in sorted((ROOT / "edgesim").rglob("__init__.py")):
        room = file.parent.relative_to(ROOT).as_posix()
        sentence = re.match(r'"""(.*?)(?:"""|\n)', file.read_text(encoding="utf-8"))
        rows.append(f"| `{room}` | {sentence[1] if sentence else ''} |")
    return "\n".join(rows) + "\n"


def catalogued() -> str:
    """Return tables of device profiles and link classes, and one of the numbers of each with their references."""
    return "\n\n".join([*_entries("Devices", "profile", catalog), *_entries("Links", "class", link_classes)]) + "\n"


def _entries(title: str, word: str, kind: Any) -> Iterator[str]:
    rows = [f"| `{name}` | {kind.summary(name)} |" for name in kind.names()]
    yield "\n".join([f"## {title}\n", f"| {word} | what it is |", "|---|---|", *rows])
    for name in kind.names():
        numbers = _flat(kind.entry(name))
        lines = [f"| `{key}` | {numbers[key]} | {text} |" for key, text in kind.references(name).items()]
        yield "\n".join([f"### {name}\n", "| number | value | from |", "|---|---|---|", *lines])


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the numbers of nested mappings by dotted name."""
    flat: dict[str, str] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return flat


def made(page: Path, make: Callable[[], str]) -> str:
    """Return the text of a page with its list as the code is now."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{make()}\n{END}{rest.partition(END)[2]}"


PAGES = {
    ROOT / "docs" / "contributing" / "stability.md": public_names,
    ROOT / "docs" / "contributing" / "architecture.md": rooms,
    ROOT / "docs" / "reference" / "catalog.md": catalogued,
    ROOT / "docs" / "reference" / "commands.md": commands,
}
