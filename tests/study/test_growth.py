"""Studies that grow: the bytes of a study begun with the larger number, and only what is missing is simulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import edgesim as es
from edgesim.errors import ResultError
from edgesim.interfaces import Silent
from edgesim.study.cases import tasks
from edgesim.study.folder.growth import EARLIER
from edgesim.study.folder.manifest_file import MANIFEST, read_manifest
from edgesim.study.folder.store import Result
from edgesim.study.options import RunOptions
from edgesim.study.run import run
from edgesim.study.work.executor import Flow

BASE: dict[str, Any] = {
    "name": "grown",
    "replications": 40,
    "topology": {"star": {"count": 3, "profile": "wearable", "bandwidth": "1 Mbit/s", "latency": "2 ms"}},
    "workload": {"input": [3, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {"modnn": {"owner": "hub", "workers": "w*", "on_missing": "degrade", "step_deadline": "1 s"}},
    "failures": {"loss": {"type": "packet-loss", "probability": 0.1}, "slow": {"type": "stragglers", "mu": 2}},
    "sweep": {"loss": {"path": "failures.loss.probability", "values": [0.1, 0.3]}},
}
SCORED = BASE | {
    "workload": {
        "dataset": "digits", "model": {"type": "small-cnn", "channels": [4, 4]}, "training": {"epochs": 1}, "source": "hub", "sink": "hub",
        "evaluation": {"samples": 20},
    },
}  # fmt: skip
LOADED = BASE | {
    "workload": {**BASE["workload"], "load": {"arrivals": {"type": "poisson", "rate": "2 /s"}, "requests": 3}}
}
SEVERAL = {"sweep": {"loss": {"path": "failures.loss.probability", "values": [0, 0.1, 0.2, 0.3]}}}
MORE_STRATEGIES = {"strategies": {"single": {"device": "hub"}, **BASE["strategies"], "halo": {"type": "modnn", "owner": "hub", "workers": "w*", "on_missing": "degrade", "step_deadline": "2 s"}}}  # fmt: skip


def study(data: dict[str, Any], folder: Path, **options: Any) -> Result:
    return run(es.Scenario.from_data(data), RunOptions(workers=1, output=folder, **options))


def content(folder: Path) -> dict[str, bytes]:
    """All files but the manifest, which has the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST and path.suffix != ".html"
    }


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trials each task that was run has."""
    found: list[int] = []
    before = Flow.__init__

    def counted(self: Any, pool: Any, tasks: Any) -> None:
        found.extend(task.stop - task.start for task in tasks)
        before(self, pool, tasks)

    monkeypatch.setattr(Flow, "__init__", counted)
    return found


@pytest.mark.parametrize(
    ("base", "change", "n_missing"),
    [
        (BASE, {"replications": 100}, 2 * 60),
        (BASE | {"replications": 1500}, {"replications": 2300}, 2 * 800),
        (SCORED, {"replications": 60}, 2 * 20),
        (LOADED, {"replications": 130}, 2 * 90),
        (BASE, SEVERAL, 2 * 40),
        (BASE, MORE_STRATEGIES, 2 * 2 * 40),
        (SCORED, {**SEVERAL, **MORE_STRATEGIES, "replications": 50, "question": "why?"}, 12 * 50 - 2 * 40),
        (BASE | {"engine": "event"}, {"replications": 100}, 2 * 60),
    ],
)
def test_a_grown_study_has_the_bytes_of_a_large_one(
    base: dict[str, Any], change: dict[str, Any], n_missing: int, tmp_path: Path, simulated: list[int]
) -> None:
    """More replications, factor values and strategies, one after another or together; with scores, and under load."""
    study(base, tmp_path / "grown")
    simulated.clear()
    study(base | change, tmp_path / "grown")
    assert sum(simulated) == n_missing
    study(base | change, tmp_path / "large")
    assert content(tmp_path / "grown") == content(tmp_path / "large")
    grown, large = (read_manifest(tmp_path / name) for name in ("grown", "large"))
    varying = {"started", "finished", "command", "seal", "files"}
    assert {k: v for k, v in grown.items() if k not in varying} == {k: v for k, v in large.items() if k not in varying}


def test_tasks_that_share_a_part_grow_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: list[int]
) -> None:
    """With other tasks in one part than before, each goes on where it was."""
    monkeypatch.setattr(tasks, "FEWEST_PARTS", 1)
    for name, change in (
        ("grown", {}),
        ("grown", {**SEVERAL, "replications": 60}),
        ("large", {**SEVERAL, "replications": 60}),
    ):
        simulated.clear()
        study(BASE | change, tmp_path / name)
        assert len(list((tmp_path / name).rglob("*.parquet"))) == 1
        assert sum(simulated) == {"grown": 4 * 60 - 2 * 40 if change else 2 * 40, "large": 4 * 60}[name]
    assert content(tmp_path / "grown") == content(tmp_path / "large")


def test_a_study_grows_to_a_rule_and_from_one(tmp_path: Path, simulated: list[int]) -> None:
    """From a number to a rule whose first checkpoint is behind it, and to a higher number again."""
    rule = {"until": {"latency": "1 %"}, "min": 100, "max": 1000}
    study(BASE | {"replications": 250}, tmp_path / "r")
    simulated.clear()
    by_rule = study(BASE | {"replications": rule}, tmp_path / "r")
    study(BASE | {"replications": rule}, tmp_path / "large")
    assert content(tmp_path / "r") == content(tmp_path / "large")
    n = int(by_rule.stopping()["replications"].min())
    simulated.clear()
    study(BASE | {"replications": 1200}, tmp_path / "r")
    assert sum(simulated) <= 2 * (1200 - n)


def test_a_growth_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: list[int]) -> None:
    """In its first task, and again while the earlier parts are moved; another one is refused until then."""
    study(BASE, tmp_path / "r")

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("edgesim.study.completion.execute", killed)
        with pytest.raises(KeyboardInterrupt):
            study(BASE | {"replications": 100}, tmp_path / "r")
    assert (tmp_path / "r" / EARLIER).is_dir()
    with pytest.raises(ResultError, match="is growing already; go on with"):
        study(BASE | {"replications": 200}, tmp_path / "r")
    simulated.clear()
    study(BASE | {"replications": 100}, tmp_path / "r")
    assert sum(simulated) == 2 * 60
    assert not (tmp_path / "r" / EARLIER).exists()
    study(BASE | {"replications": 100}, tmp_path / "large")
    assert content(tmp_path / "r") == content(tmp_path / "large")


def test_a_growth_that_is_killed_while_it_moves_parts_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: list[int]
) -> None:
    study(BASE, tmp_path / "r")
    before = Path.rename

    def once(self: Path, target: Path) -> Path:
        before(self, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", once)
        with pytest.raises(KeyboardInterrupt):
            study(BASE | {"replications": 100}, tmp_path / "r")
    simulated.clear()
    study(BASE | {"replications": 100}, tmp_path / "r")
    assert sum(simulated) == 2 * 60


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"replications": 20}, "replications: 40 there, 20 here"),
        ({"seed": 2}, "seed"),
        ({"sweep": {"loss": {"path": "failures.loss.probability", "values": [0.1]}}}, "sweep"),
        (
            {
                "strategies": {
                    "modnn": {"owner": "hub", "workers": "w*", "on_missing": "degrade", "step_deadline": "3 s"}
                }
            },
            "deadline",
        ),
        (
            {
                "failures": {
                    "loss": {"type": "packet-loss", "probability": 0.1},
                    "slow": {"type": "stragglers", "mu": 3},
                }
            },
            "mu",
        ),
        ({"sweep": {"mu": {"path": "failures.slow.mu", "values": [2, 3]}}}, "sweep"),
    ],
)
def test_what_is_no_growth_is_refused(change: dict[str, Any], differs: str, tmp_path: Path) -> None:
    """Fewer of something, or something else; the message says what, and nothing is lost."""
    study(BASE, tmp_path / "r")
    before = content(tmp_path / "r")
    with pytest.raises(ResultError, match=f"another scenario .*{differs}"):
        study(BASE | change, tmp_path / "r")
    assert content(tmp_path / "r") == before


def test_a_damaged_part_is_simulated_again(tmp_path: Path, simulated: list[int]) -> None:
    """Nothing of it is taken over."""
    study(BASE, tmp_path / "r")
    part = min((tmp_path / "r" / "trials").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-9] + b"x" * 9)
    simulated.clear()
    study(BASE | {"replications": 100}, tmp_path / "r")
    assert sum(simulated) == 100 + 60
    study(BASE | {"replications": 100}, tmp_path / "large")
    assert content(tmp_path / "r") == content(tmp_path / "large")


def test_patterns_are_chosen_anew(tmp_path: Path, simulated: list[int]) -> None:
    """Of which replications the networks are asked depends on their number, so all are simulated again."""
    limited = SCORED | {"workload": {**SCORED["workload"], "evaluation": {"samples": 20, "patterns": 10}}}
    study(limited, tmp_path / "r")
    simulated.clear()
    study(limited | {"replications": 60}, tmp_path / "r")
    assert sum(simulated) == 2 * 60
    study(limited | {"replications": 60}, tmp_path / "large")
    assert content(tmp_path / "r") == content(tmp_path / "large")


class Heard(Silent):
    """Notes what is done and how much of how much."""

    def __init__(self) -> None:
        self.bars: list[list[Any]] = []

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Heard]:
        self.bars.append([label, n_total, 0, ""])
        yield self

    def advance(self, n_done: int = 1, note: str = "") -> None:
        self.bars[-1][2] += n_done
        self.bars[-1][3] = note


def test_progress_counts_what_is_simulated_and_shows_the_interval_of_the_table(tmp_path: Path) -> None:
    """Of a grown study only the rest; the interval counts what was kept; with a rule, what was not needed is not counted."""
    heard = Heard()
    study(SCORED, tmp_path / "r")
    result = study({**SCORED, "replications": 60}, tmp_path / "r", progress=heard)
    label, n_total, n_done, note = heard.bars[-1]
    assert (label, n_total, n_done) == ("trials (80 kept)", 40, 40)
    shown = []  # the last one is of either point: two parts may be ready at once
    for row in result.summary().query("metric == 'accuracy'").to_dict("records"):
        half = 100 * (row["ci_high"] - row["ci_low"]) / 2
        shown.append(f"modnn at loss = {row['loss']:g}: accuracy {100 * row['mean']:.1f} ±{half:.1f} %")
    assert note.startswith(tuple(shown))
    assert len(set(shown)) == 2
    ruled = {**BASE, "replications": {"min": 100, "max": 3000, "until": {"latency": "50 %"}}}
    study(ruled, tmp_path / "ruled", progress=heard)
    label, n_total, n_done, _ = heard.bars[-1]
    n_simulated = len(Result(tmp_path / "ruled").frame())
    assert (label, n_total) == ("trials, at most", 6000)
    assert n_done == n_simulated < 6000
