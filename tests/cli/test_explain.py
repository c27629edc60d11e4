"""`edgesim explain`."""

from __future__ import annotations

import pytest

from edgesim import errors
from edgesim.cli.scenarios.explain import explain
from edgesim.domain.metrics import LOAD_METRICS, METRICS, PEOPLE_METRICS, RECOVERY_METRICS, RESOURCE_METRICS, UNITS
from edgesim.errors import EdgesimError, UnknownNameError
from edgesim.scenario.help.topics import find, topics


@pytest.mark.parametrize("topic", [f"{kind}/{name}" for kind, names in topics().items() for name in names])
def test_every_topic_is_explained(topic: str) -> None:
    """A text, and for plug-ins a source; no rest of markup."""
    (entry,) = find(topic)
    assert len(entry.text) > 20
    assert "``" not in entry.text
    assert all(text for text in entry.sections.values())


@pytest.mark.parametrize("name", [*METRICS, *LOAD_METRICS, *PEOPLE_METRICS, *RECOVERY_METRICS, *RESOURCE_METRICS])
def test_metrics_have_formula_validity_and_source(name: str) -> None:
    """All three, none empty."""
    (entry,) = find(f"metrics/{name}")
    assert list(entry.sections) == ["Formula", "Validity", "Source"]


@pytest.mark.parametrize("topic", [f"{kind}/{name}" for kind in ("strategies", "failures") for name in topics()[kind]])
def test_strategies_and_failure_models_have_formula_validity_and_source(topic: str) -> None:
    """A source that is no name of a module."""
    (entry,) = find(topic)
    for title in ("Formula", "Validity", "Source"):
        assert len(entry.sections[title]) > 20, title
    assert not entry.sections["Source"].startswith("edgesim.")


def test_all_metrics_and_errors_are_topics() -> None:
    """With the units of the summary table."""
    assert {name: METRICS[name].unit for name in UNITS} == UNITS
    raised = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, EdgesimError)
    }  # fmt: skip
    assert set(topics()["errors"]) == raised


def test_the_default_of_a_nested_plugin_is_its_name() -> None:
    """With the options that are not at their own default, as one would write it."""
    (found,) = find("strategies/nonn")
    assert '- partitioner (default "louvain"):' in found.sections["Options"]
    assert (
        '- student (default {"type": "small-cnn", "channels": [8, 16], "pool_after": 1}):' in found.sections["Options"]
    )


def test_an_unknown_topic_suggests_the_nearest() -> None:
    """Also where only the case differs."""
    for wrong, near in {"non": "nonn", "latncy": "latency", "planerror": "PlanError"}.items():
        with pytest.raises(UnknownNameError) as caught:
            find(wrong)
        assert caught.value.nearest == near


def test_the_output_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    """At most 110 columns; options with their defaults."""
    explain("exactly-k")
    shown = capsys.readouterr().out
    assert shown.startswith("exactly-k (failure model)\n\nLose exactly k")
    assert "- k (required): number of " in shown
    assert "doi 10.3390/electronics10141614" in " ".join(shown.split())
    assert max(map(len, shown.split("\n"))) <= 110


def test_without_a_topic_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """By kind."""
    explain(None)
    assert "strategies\n  " in capsys.readouterr().out
