"""Plug-ins are checked when they are registered: what is missing or misspelt is named, and never runs as something else."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

import edgesim
from edgesim.cli.main import app
from edgesim.errors import EdgesimError
from edgesim.forms import check_form
from edgesim.registry import REGISTRIES
from edgesim.study.preparation.deploy import deployed

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
def test_a_registry_checks_the_protocols_that_it_is_typed_by(seam: str) -> None:
    """mypy knows a plug-in by the type of its registry; what is checked is that, or what it unites."""
    registry = REGISTRIES[seam]
    [of] = get_args(registry.__orig_class__)
    assert registry.protocols == (get_args(of) or (of,))


@pytest.mark.parametrize("seam", REGISTRIES)
def test_built_in_plugins_have_a_form_and_an_empty_class_has_none(seam: str) -> None:
    registry = REGISTRIES[seam]
    for name in registry.names():
        check_form(name, registry.get(name), registry.protocols, registry.optional)
    with pytest.raises(EdgesimError, match=rf"{registry.kind} 'empty' \(Empty\) lacks the method.* it must have "):
        registry.register("empty")(dataclass(frozen=True)(type("Empty", (), {})))
    assert "empty" not in registry.names()


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(EdgesimError, match="is a function, no class; a plug-in is a frozen dataclass"):
        REGISTRIES["strategies"].register("one")(lambda context: context)


@pytest.mark.parametrize(
    ("file", "code", "message"),
    [
        ("misspelt", MISSPELT, "failure model 'mine' (Mine) has 'outage'; is 'outages' meant?"),
        (
            "signature",
            SIGNATURE,
            "its method outages(self, topology) must take the parameters of outages(self, topology, streams), in this order",
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
    assert "EdgesimError" not in text
    assert "1 finding in 1 file" in text  # what the plug-in would have registered is not checked, not unknown


def check(seam: str, plugin: type) -> None:
    check_form("plug-in 'odd'", plugin, REGISTRIES[seam].protocols, REGISTRIES[seam].optional)


class Losing:
    """A failure model that is right as it is; others add to it."""

    def applies_to(self, link): ...

    def is_lost(self, link, n_packets, streams): ...


class Misspelt(Losing):
    def outage(self, topology, streams): ...


class HalfOfASecondKind(Losing):
    def outages(self, topology, streams): ...


class TwoKinds(Losing):
    def outages(self, topology, streams): ...

    def outcomes(self, topology): ...


class WholeAndByPackets(Losing):
    def losses(self, link, streams): ...


class BatchAlone:
    def outages(self, topology, streams): ...

    def outcomes(self, topology): ...

    def are_lost(self, link, is_sent, streams): ...


class BothWays:
    def cross(self, n_packets, n_lost, latency_s): ...

    def bursts(self, n_packets, round_trip_s): ...


class Swapped(Losing):
    def is_lost(self, n_packets, link, streams): ...


class WrongBatch(Losing):
    def are_lost(self, link): ...


class Asking:
    def deploy(self, context): ...


class MisspeltOption(Asking):
    need_training = False


class MethodForAnAttribute(Asking):
    def needs_training(self): ...


@pytest.mark.parametrize(
    ("seam", "plugin", "message"),
    [
        ("failures", Misspelt, "has 'outage'; is 'outages' meant?"),
        (
            "failures",
            HalfOfASecondKind,
            "has 'outages' beside 'applies_to', 'is_lost'; make a plug-in of each kind: it must have",
        ),
        ("failures", TwoKinds, "has 'applies_to', 'is_lost' beside 'outages', 'outcomes'; make a plug-in of each kind"),
        ("failures", WholeAndByPackets, "has 'losses' beside 'applies_to', 'is_lost'; make a plug-in of each kind"),
        ("failures", BatchAlone, "has 'are_lost', but lacks 'applies_to', 'is_lost', which goes with it"),
        (
            "transports",
            BothWays,
            "has 'bursts' beside 'cross'; make a plug-in of each kind: it must have cross, or bursts",
        ),
        ("failures", Swapped, "must take the parameters of is_lost(self, link, n_packets, streams), in this order"),
        ("failures", WrongBatch, "must take the parameters of are_lost(self, link, is_sent, streams), in this order"),
        ("strategies", MisspeltOption, "has 'need_training'; is 'needs_training' meant?"),
        ("strategies", MethodForAnAttribute, "'needs_training' must be an attribute or a property, not a method"),
    ],
)
def test_what_would_be_ignored_or_called_wrongly_is_refused(seam: str, plugin: type, message: str) -> None:
    """Beside what is right, too: every method of a seam belongs to a form that is there in full."""
    check("failures", Losing)
    check("strategies", Asking)
    with pytest.raises(EdgesimError) as caught:
        check(seam, plugin)
    assert message in str(caught.value)


def test_parameters_without_use_and_with_defaults_are_fine() -> None:
    """An underscore in front, more parameters that have defaults, or all of them at once."""

    class Free:
        def applies_to(self, _link): ...

        def is_lost(self, link, n_packets, streams, more=1): ...

        def strikes(self, *what): ...

    check("failures", Free)


class Distributed:
    """A deployment that is right as it is; its plan is no attribute of the class."""

    def __init__(self, **more: bool) -> None:
        self.plan = None
        vars(self).update(more)

    def predict(self, delivery): ...

    def describe(self): ...


class Earlier(Distributed):
    def predict(self, delivered): ...


class Deploying:
    """A strategy that deploys what its context is."""

    def deploy(self, context):
        return context


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (Distributed(use_partial=True), "(Distributed) has 'use_partial'; is 'uses_partial' meant?"),
        (Earlier(), "its method predict(self, delivered) must take the parameters of predict(self, delivery), in this order"),
        (None, "(NoneType) lacks the methods 'plan', 'predict', 'describe'; it must have"),
    ],
)  # fmt: skip
def test_a_deployment_is_checked_as_well(made: Any, message: str) -> None:
    with pytest.raises(EdgesimError) as caught:
        deployed(Deploying(), made)
    assert f"the deployment of Deploying {message}".replace(" its", " (Earlier): its") in str(caught.value)
    right: Any = Distributed(uses_partial=True)
    assert deployed(Deploying(), right) is right


FOREIGN_OBJECTS = {
    "cli/main.py": "notes of an exception", "cli/scenarios/validate.py": "notes of an exception",
    "files/recorded.py": "an error of the system", "scenario/text/yaml.py": "errors of the YAML reader",
    "scenario/code/plugins.py": "modules", "processes.py": "what the system can do", "nn/timing/clock.py": "the C library", "report/draw/labels.py": "a canvas of matplotlib",
    "nn/cost/layers.py": "modules of torch", "nn/cost/rewrite.py": "modules of torch", "nn/cost/trace.py": "modules of torch",
    "nn/cost/units.py": "what a module of torch gives", "nn/operators/readers.py": "modules of torch",
    "nn/models/brought/assembly.py": "modules of torch", "nn/models/brought/outputs.py": "what a module of torch gives",
    "testbed/pacing.py": "what the system can do", "nn/kernels/program.py": "operators of torch", "nn/models/brought/program_file.py": "functions of torch",
}  # fmt: skip


def test_nothing_is_asked_whether_it_happens_to_have_a_name() -> None:
    """Of plug-ins that is declared; of others' objects it may be asked, in these files."""
    root = Path(edgesim.__file__).parent
    found = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id == "hasattr" or (node.func.id == "getattr" and len(node.args) == 3)
    }
    assert found == set(FOREIGN_OBJECTS)
