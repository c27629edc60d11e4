"""`edgesim list`."""

from __future__ import annotations

import json

import pytest

from edgesim.cli.listing import list_kind, list_kinds
from edgesim.errors import UnknownNameError
from edgesim.registry import REGISTRIES, STRATEGIES
from edgesim.scenario.catalog import devices as catalog

KINDS = (*REGISTRIES, "devices", "links")


def test_kinds_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Every registry and the catalog; none without a word."""
    assert list_kinds() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(KINDS)
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_plugin_is_listed_with_a_sentence_and_its_options(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In text and in JSON."""
    assert list_kind(kind) == 0
    text = capsys.readouterr().out
    assert list_kind(kind, is_json=True) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in entries] == list(REGISTRIES[kind].names())
    for entry in entries:
        assert entry["summary"].endswith(".")
        assert entry["summary"] in text


def test_options_have_the_names_that_scenarios_use(capsys: pytest.CaptureFixture[str]) -> None:
    """Without unit suffixes; optional ones in brackets."""
    list_kind("strategies")
    assert "[step_deadline]" in capsys.readouterr().out


def test_devices_show_rates_and_mark_what_is_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every number's reference in JSON."""
    assert list_kind("devices") == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(rows) == {"name", *catalog.names()}
    assert "60 GFLOP/s *" in rows["phone"]
    assert "13.2 GFLOP/s  " in rows["raspberry-pi-3b-plus"]
    list_kind("devices", is_json=True)
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert "ncnn" in entries["raspberry-pi-4b"]["source"]["compute_rate.conv"]


def test_an_unknown_kind_suggests_the_nearest() -> None:
    """As every unknown name."""
    with pytest.raises(UnknownNameError, match="nearest 'strategies'"):
        list_kind("strategy")


def test_a_plugin_that_cannot_be_imported_is_listed_with_the_cause(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are listed all the same; the exit code tells."""
    monkeypatch.setitem(STRATEGIES._targets, "broken", "edgesim_no_such_module:Thing")
    assert list_kind("strategies") == 1
    text = capsys.readouterr().out
    assert "strategy 'broken' cannot be loaded from edgesim_no_such_module:Thing: ModuleNotFoundError" in text
    assert "nonn\n" in text
