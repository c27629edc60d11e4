"""Plug-ins are checked when they are registered: what is missing or misspelt is named, and never runs as something else."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from edgesim import interfaces
from edgesim.cli.main import app
from edgesim.domain.networks.task import Task
from edgesim.domain.system.rates import ChangingRate
from edgesim.domain.system.transport import EndToEndTransport, LinkTransport
from edgesim.errors import EdgesimError
from edgesim.forms import FORMS, check_form
from edgesim.registry import REGISTRIES

PROTOCOLS = {
    "strategies": (interfaces.Strategy,),
    "failures": get_args(interfaces.FailureModel),
    "transports": (LinkTransport, EndToEndTransport),
    "rates": (ChangingRate,),
    "arrivals": get_args(interfaces.ArrivalModel),
    "tasks": (Task,),
    "datasets": (interfaces.DatasetSource,),
    "models": (interfaces.ModelBuilder,),
    "partitioners": (interfaces.Partitioner,),
    "filter-graphs": (interfaces.FilterGraph,),
}
SCENARIO = """
name: mine
seed: 1
replications: 20
plugins: [mine.py, other.py]
topology:
  devices: [{id: hub, profile: phone}, {id: w1, profile: wearable}]
  links: [{between: [hub, w1], bandwidth: 1 Mbit/s}]
workload: {input: [1, 8, 8], classes: 10, model: small-cnn, source: w1, sink: hub}
strategies: {single: {device: hub}}
failures: {mine: {}, other: {}}
"""
OTHER = """
from dataclasses import dataclass
from edgesim.registry import FAILURES
@FAILURES.register("other")
@dataclass(frozen=True)
class Other:
    '''Take nothing down.'''
    def outages(self, topology, streams): return []
    def outcomes(self, topology): return None
"""
MISSPELT = OTHER.replace("other", "mine").replace("Other", "Mine").replace("def outages", "def outage")
SIGNATURE = (
    OTHER.replace("other", "mine").replace("Other", "Mine").replace("(self, topology, streams)", "(self, topology)")
)
RAISING = "raise RuntimeError('no licence')"


@pytest.mark.parametrize("seam", REGISTRIES)
def test_forms_are_those_of_the_protocols(seam: str) -> None:
    """Methods and parameters, protocol by protocol."""
    found = [
        {
            name: None if isinstance(member, property) else tuple(inspect.signature(member).parameters)[1:]
            for protocol_class in protocol.__mro__
            for name, member in vars(protocol_class).items()
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
        }
        for protocol in PROTOCOLS[seam]
    ]
    assert [dict(form) for form in FORMS[seam]] == found


@pytest.mark.parametrize("seam", REGISTRIES)
def test_built_in_plugins_have_a_form_and_an_empty_class_has_none(seam: str) -> None:
    registry = REGISTRIES[seam]
    for name in registry.names():
        check_form(seam, registry.kind, name, registry.get(name))
    with pytest.raises(EdgesimError, match=rf"{registry.kind} 'empty' \(Empty\) lacks the method.* it must have "):
        registry.register("empty")(dataclass(frozen=True)(type("Empty", (), {})))
    assert "empty" not in registry.names()


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(EdgesimError, match="is no class; a plug-in is a frozen dataclass"):
        REGISTRIES["strategies"].register("one")(lambda context: context)


@pytest.mark.parametrize(
    ("file", "code", "message"),
    [
        ("misspelt", MISSPELT, "failure model 'mine' (Mine) lacks the method 'outages'; nearest it has is 'outage'"),
        (
            "signature",
            SIGNATURE,
            "its method outages(self, topology) cannot be called as outages(self, topology, streams)",
        ),
        ("raising", RAISING, "RuntimeError: no licence"),
    ],
)
def test_a_wrong_plugin_is_a_finding_and_the_others_work(tmp_path: Path, file: str, code: str, message: str) -> None:
    """With the line of the scenario and the place in the plug-in; exit code 2; nothing of the other file is complained of."""
    (tmp_path / f"{file}_plugin.py").write_text(code)  # Python knows a module by its name for as long as it runs
    (tmp_path / f"{file}_other.py").write_text(OTHER)
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO.replace("mine.py, other.py", f"{file}_plugin.py, {file}_other.py"))
    try:
        result = CliRunner().invoke(app, ["validate", "--allow-code", str(path)])
    finally:
        registry = REGISTRIES["failures"]
        for name in {"mine", "other"} & set(registry.names()):
            registry.remove(name)
    text = " ".join(result.output.split())
    assert result.exit_code == 2, result.output
    assert message in text
    assert "mine.yaml:5:" in text
    assert f"{file}_plugin.py, line" in text
    assert "'other'" not in text
