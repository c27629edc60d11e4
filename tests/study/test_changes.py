"""Which change would help most: against latencies by hand, and against studies of the changed scenarios."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import edgesim as es
from edgesim.cli.main import app
from edgesim.interfaces import Silent
from edgesim.study.changes.latency import Effect, explain_latency
from edgesim.study.changes.variants import FasterRate

SENT = """
name: sent
replications: 4
topology:
  devices: [{id: hub, profile: phone}, {id: w1, profile: wearable}]
  links: [{between: [hub, w1], bandwidth: 1 Mbit/s, latency: 5 ms}]
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {there: {type: single, device: w1}}
"""
CELL = """
name: cell
replications: 4
topology:
  star: {count: COUNT, profile: wearable, bandwidth: 1 Mbit/s, latency: 2 ms, medium: cell}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
failures: {slow: {type: stragglers, mu: 2}, loss: {type: packet-loss, probability: 0}}
sweep: {loss: {path: failures.loss.probability, values: [0, 0.001]}}
"""


def explained(text: str, **point: Any) -> Any:
    [found] = explain_latency(es.Scenario.from_text(text), point, (), Silent())
    return found


def by_text(effects: tuple[Effect, ...]) -> dict[str, Effect]:
    return {effect.text: effect for effect in effects}


def test_by_hand() -> None:
    """768 byte there and 40 back at 1 Mbit/s, 5 ms twice, and a computation c: half of one of them is saved."""
    found = explained(SENT)
    parts = {row.part: row.mean_s for row in found.budget}
    sending_s = 8 * (4 * 3 * 8 * 8 + 4 * 10) / 1e6
    assert parts["sending"] == pytest.approx(sending_s)
    assert found.latency_s == pytest.approx(sending_s + 0.010 + parts["compute"])
    effects = by_text(found.effects)
    assert effects["link hub - w1 at twice the rate"].saved_s == pytest.approx(sending_s / 2)
    assert effects["device w1 twice as fast"].saved_s == pytest.approx(parts["compute"] / 2)
    largest = max(found.effects, key=lambda effect: effect.saved_s)
    assert found.best is largest
    assert "w1" in effects["without w1"].why_not


def study(text: str, folder: Path) -> Any:
    frame = es.run(es.Scenario.from_text(text), workers=1, output=folder, report=False).frame()
    return frame[frame["loss"] == frame["loss"].min()]["latency_s"].mean()


def test_a_change_is_worth_what_a_study_of_it_finds(tmp_path: Path) -> None:
    """The same failures are drawn: the cell at twice the rate, and one worker fewer."""
    text = CELL.replace("COUNT", "4")
    found = explained(text)
    effects = by_text(found.effects)
    assert found.latency_s == pytest.approx(study(text, tmp_path / "base"), rel=1e-9)
    faster_s = study(text.replace("1 Mbit/s", "2 Mbit/s"), tmp_path / "faster")
    assert effects["medium cell at twice the rate"].latency_s == pytest.approx(faster_s, rel=1e-9)
    assert effects["medium cell at twice the rate"].saved_share == pytest.approx(1 - faster_s / found.latency_s)
    fewer_s = study(text.replace("COUNT", "3").replace("count: 4", "count: 3"), tmp_path / "fewer")
    assert effects["without w4"].latency_s == pytest.approx(fewer_s, rel=1e-9)


def test_the_sentence_names_what_dominates_and_the_best_change() -> None:
    found = explained(CELL.replace("COUNT", "4"))
    assert found.sentence().startswith(
        "modnn at loss = 0: waiting for devices and channels is the largest part of the "
    )
    assert "of single changes, medium cell at twice the rate would help most, to " in found.sentence()
    assert found.best.saved_share == max(effect.saved_share for effect in found.effects if effect.is_single)
    assert explained(CELL.replace("COUNT", "4"), loss=0.001).point == {"loss": 0.001}


def test_equal_links_are_faster_together(tmp_path: Path) -> None:
    """One of four equal links saves next to nothing, all of them much; the sentence says so."""
    found = explained(CELL.replace("COUNT", "4").replace(", medium: cell", ""))
    assert found.best is None
    assert max(effect.saved_share for effect in found.effects if effect.is_single) < 0.01
    assert found.best_of_several.text == "all links of 1 Mbit/s at twice the rate"
    assert found.best_of_several.saved_share > 0.3
    assert (
        "no single change helps; of several at once, all links of 1 Mbit/s at twice the rate, to " in found.sentence()
    )


def test_networks_are_not_trained_again_for_fewer_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesim.study.changes.latency.needs_training", lambda _: True)
    effects = by_text(explained(CELL.replace("COUNT", "4")).effects)
    assert "other networks would be trained" in effects["without w4"].why_not
    assert effects["without w4"].n == 0


def test_no_answer_is_said() -> None:
    found = explained(CELL.replace("COUNT", "4").replace("source: hub,", "source: hub, deadline: 1 us,"))
    assert found.sentence() == "modnn at loss = 0: no request has an answer."
    assert found.effects == ()


def test_changing_rates_are_faster_at_all_times() -> None:
    class Steps:
        def changes(self) -> Any:
            return iter([(0.0, 1e6), (2.0, 0.0), (3.0, 4e6)])

    assert list(FasterRate(Steps()).changes()) == [(0.0, 2e6), (2.0, 0.0), (3.0, 8e6)]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a study of two workers."""
    scenario, folder = es.Scenario.from_text(CELL.replace("COUNT", "2")), tmp_path_factory.mktemp("results") / "r"
    return str(es.run(scenario, workers=1, output=folder, report=False).folder)


def test_on_the_command_line(result: str) -> None:
    run = CliRunner().invoke
    shown = run(app, ["explain-latency", result, "--at", "loss=0.001"])
    assert shown.exit_code == 0, shown.output
    assert "modnn at loss = 0.001: " in shown.stdout
    assert "medium cell at twice the rate" in shown.stdout
    [one] = json.loads(run(app, ["explain-latency", result, "--json"]).stdout)
    assert one["point"] == {"loss": 0}
    assert sum(row["mean_s"] for row in one["budget"]) == pytest.approx(one["latency_s"])
    assert {change["kind"] for change in one["changes"]} == {"links", "devices", "fewer"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--at", "lost=0"], "nearest 'loss'"),
        (["--at", "loss=0.2"], "0.001"),
        (["--at", "loss"], "expected e.g. lost_devices=2"),
        (["--strategy", "modn"], "nearest 'modnn'"),
    ],
)
def test_wrong_options_say_what_there_is(
    arguments: list[str],
    message: str,
    result: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgesim.cli.main import main

    monkeypatch.setattr("sys.argv", ["edgesim", "explain-latency", result, *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
