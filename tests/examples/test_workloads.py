"""The scenarios of texts and graphs run from end to end, on little data of the same form, and go on where they were stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from rings import drawn
from test_texts import ratings, write_movies

import edgesim as es
from edgesim.errors import DataError
from edgesim.nn.cascade.networks import trained_networks
from edgesim.nn.data.folders import FOLDER_VARIABLE
from edgesim.nn.data.packages.faces import Faces
from edgesim.nn.data.packages.graphs import Mutag
from edgesim.nn.train.cache import FOLDER_VARIABLE as CACHE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


def smaller(name: str, folder: Path, changes: Mapping[str, str]) -> Path:
    """The scenario with less to do; each text that is replaced must stand there."""
    text = (ROOT / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def exact(folder: Path) -> pd.Series:
    """The main score by strategy and number of lost devices, where there is one value of each other factor."""
    summary = pd.read_csv(folder / "summary.csv")
    return summary[summary["metric"] == "accuracy"].set_index(["strategy", "lost_devices"])["exact"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_sentiment(place: Path) -> None:
    """With nothing lost, widths and strips are the whole network; a second run trains and simulates nothing."""
    (place / "movie-sentences").mkdir()
    write_movies(place / "movie-sentences", ratings(60))
    path = smaller("sentiment", place, {
        "replications: 20": "replications: 2", "channels: 24": "channels: 2", "epochs: 10": "epochs: 1", "epochs: 5": "epochs: 1",
        "values: [0, 0.3]": "values: [0]", "values: [1, 2, 3]": "values: [1]", "values: [0, 1, 2, 3, 4, 5, 6, 7]": "values: [0, 7]",
    })  # fmt: skip
    es.run(es.Scenario.load(path), workers=1, output=place / "out")
    found = exact(place / "out")
    assert found["single", 0] == found["zeros", 0] == found["mean", 0] == found["strips", 0]
    parts = {part: part.stat().st_mtime_ns for part in (place / "out").rglob("*.parquet")}
    es.run(es.Scenario.load(path), workers=1, output=place / "out")
    assert {part: part.stat().st_mtime_ns for part in (place / "out").rglob("*.parquet")} == parts


def test_graphs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing lost, reservoirs and divided vertices are the whole network."""
    monkeypatch.setattr(Mutag, "load", lambda _: drawn(36))
    path = smaller("graphs", place, {
        "replications: 20": "replications: 2", "units: 25, features: 25, iterations: 15": "units: 6, features: 3, iterations: 4, tolerance: 1",
        "values: [1, 0.5]": "values: [1]", "values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]": "values: [0]",
        "values: [0, 1, 2, 3, 4, 5, 6, 7]": "values: [0, 7]",
    })  # fmt: skip
    es.run(es.Scenario.load(path), workers=1, output=place / "out")
    found = exact(place / "out")
    for name in ("zeros", "mean", "per-survivors", "vertices"):
        assert found["single", 0] == found[name, 0], name


def test_detectors(place: Path) -> None:
    """With one frame in flight there are 1 / latency frames a second; all cascades answer alike, and pipelining costs no answer."""
    try:
        trained_networks()
        Faces().find()
    except DataError as missing:
        pytest.skip(str(missing))
    path = smaller("detectors", place, {
        "replications: 20": "replications: 2", "test: 100": "train: 4, validation: 4, test: 6", "epochs: 8": "epochs: 1",
        "requests: 100": "requests: 8", "values: [raspberry-pi-zero-2w, raspberry-pi-4b]": "values: [raspberry-pi-zero-2w]",
    })  # fmt: skip
    es.run(es.Scenario.load(path), workers=1, output=place / "out", report=False)
    summary = pd.read_csv(place / "out" / "summary.csv")
    means = summary.set_index(["frames_in_flight", "strategy", "metric"])["mean"]
    for name in summary["strategy"].unique():
        trials = es.Result(place / "out").frame(columns=["frames_in_flight", "strategy", "latency_s", "throughput"])
        alone = trials[(trials["strategy"] == name) & (trials["frames_in_flight"] == 1)]
        assert (alone["latency_s"] * alone["throughput"]).tolist() == pytest.approx([1.0] * len(alone), rel=1e-6)
        assert means[16, name, "throughput"] >= means[1, name, "throughput"] * (1 - 1e-9)
        assert means[16, name, "map_coco"] == means[1, name, "map_coco"]
    assert means[1, "cascade", "map_coco"] == means[1, "cascade-on-camera", "map_coco"] > 0
    assert means[1, "cascade", "traffic"] > means[1, "cascade-on-camera", "traffic"] > 0
