"""People in a study: tiles that the networks are not sure of, the queue under Poisson arrivals, and people who come too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toy_study import run

from edgesim.errors import ScenarioError
from edgesim.scenario.scenario import Scenario
from edgesim.study.trials.people import NAMES

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
name: people
replications: 30
topology: {devices: [{id: hub, profile: phone}]}
workload:
  dataset: {type: land-cover, folder: land, tile: 4, block: 4, folds: 3, bands: [10]}
  model: {type: unet, width: 2, levels: 2}
  training: {epochs: 1}
  source: hub
  sink: hub
  load: {arrivals: {type: poisson, rate: 0.1 /s}, requests: 300}
  escalate: {uncertainty: entropy, share: 0.5, people: {service: 10 s, service_spread: 0.0, cost_per_minute: 0.5, sample_km2: 0.25}}
strategies: {single: }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six tiles of noise, two of each split."""
    rng = np.random.default_rng(0)
    (tmp_path / "land").mkdir()
    for name, raster in (("lsat7_2000_10", rng.integers(0, 255, (12, 8))), ("strata", rng.integers(1, 8, (12, 8)))):
        Image.fromarray(raster.astype(np.float32)).save(tmp_path / "land" / f"{name}.tif")
    return tmp_path


def scenario(folder: Path, text: str = TEXT) -> Scenario:
    (folder / "people.yaml").write_text(text, encoding="utf-8")
    return Scenario.load(folder / "people.yaml")


def trials(folder: Path, text: str, *, workers: int = 1) -> pd.DataFrame:
    result = run(scenario(folder, text), workers=workers, output=folder / f"results{workers}")
    return pd.concat([pd.read_parquet(path) for path in sorted((result.folder / "trials").glob("*.parquet"))])


def test_the_queue_is_that_of_a_single_server_with_poisson_arrivals(folder: Path) -> None:
    """One of two tiles: lambda = 0.05 / s, S = 10 s: rho = 1/2, E[W] = 5 s; three standard errors over 30 trials, which begin empty."""
    found = trials(folder, TEXT)
    assert set(NAMES) <= set(found.columns)
    assert (found["escalated"] == 0.5).all()
    for name, wanted in (
        ("person_wait", 5.0), ("person_utilisation", 0.5), ("person_time", 5.0), ("person_minutes_per_km2", 5 / 60 / 0.25),
        ("person_cost", 5 / 60 * 0.5), ("unreviewed", 0.0),
    ):  # fmt: skip
        assert abs(found[name].mean() - wanted) <= 3 * found[name].std() / np.sqrt(len(found)) + 0.005 * wanted, name
    waits_s = found["final_latency"] - found["latency_s"]
    assert abs(waits_s.mean() - 0.5 * (5 + 10)) < 3 * waits_s.std() / np.sqrt(len(found)) + 0.05


def test_people_who_come_too_late_leave_the_answers_as_they_are(folder: Path) -> None:
    """They begin at 2 h, and trials end a second later: one look of 0.9 s is done, the others are not, and no answer is lost."""
    text = (
        TEXT.replace("requests: 300", "horizon: 7201 s")
        .replace("service: 10 s", "begin: 2 h, service: 0.9 s")
        .replace("30", "2", 1)
    )
    found = trials(folder, text)
    assert (found["unreviewed"] > 0.99).all()
    assert (found["unreviewed"] < 1).all()
    gained = found["final_pixel_accuracy"] - found["pixel_accuracy"]
    assert (gained < 0.01).all()
    assert (found["person_wait"] > 6000).all()
    assert (found["answered"] == 1).all()


def test_workers_change_nothing(folder: Path) -> None:
    text = TEXT.replace("requests: 300", "requests: 20").replace("30", "3", 1)
    pd.testing.assert_frame_equal(trials(folder, text), trials(folder, text, workers=2))


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (("requests: 300", "horizon: 1 h"), "trials end at 1 h, before anybody begins to work at 2 h"),
        (("  load: {arrivals: {type: poisson, rate: 0.1 /s}, requests: 300}\n", ""), "a single request makes no queue at a person"),
    ],
)  # fmt: skip
def test_people_who_never_work_are_a_finding(folder: Path, change: tuple[str, str], finding: str) -> None:
    text = TEXT.replace("service: 10 s", "begin: 2 h, service: 10 s").replace(*change)
    with pytest.raises(ScenarioError, match=finding) as caught:
        scenario(folder, text)
    assert caught.value.findings[0].line == text[: text.index("  escalate:")].count("\n") + 1


def test_a_score_that_is_nowhere_defined_is_an_empty_row(folder: Path) -> None:
    """Nothing is escalated, so that no rejection has a quality; the other scores are there."""
    text = TEXT.replace("requests: 300", "requests: 5").replace("30", "2", 1).replace("share: 0.5", "above: 9")
    result = run(scenario(folder, text), workers=1, output=folder / "results")
    rows = pd.read_csv(result.folder / "summary.csv").set_index("metric")
    assert np.isnan(rows.loc["rejection_quality", "mean"])
    assert rows.loc["escalated", "mean"] == 0
    assert np.isnan(rows.loc["person_wait", "mean"])
