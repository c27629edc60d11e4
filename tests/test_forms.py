"""Plug-ins are checked when they are registered: what is missing or misspelt is named, and never runs as something else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.errors import EdgesimError
from edgesim.forms import check_form
from edgesim.registry import REGISTRIES

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


class WrongSecondKind(Losing):
    def outages(self, topology): ...

    def outcomes(self, topology): ...


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
        ("failures", HalfOfASecondKind, "lacks the method 'outcomes' beside 'outages'; it must have"),
        ("failures", WrongSecondKind, "must take the parameters of outages(self, topology, streams), in this order"),
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
