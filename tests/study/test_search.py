"""Searches against brute force, races against knowing everything, and a search that was killed."""

from __future__ import annotations

import json
import random
import re
import sys
from itertools import combinations, product
from math import inf, isnan
from pathlib import Path
from typing import Any

import pytest

import edgesim as es
from edgesim.cli import main as cli
from edgesim.domain.records import Outage
from edgesim.errors import PlanError, ResultError, ScenarioError
from edgesim.interfaces import Silent
from edgesim.report.searched.figure import pareto
from edgesim.report.searched.folder import searched_into
from edgesim.report.searched.table import document, sentence
from edgesim.scenario.build import build
from edgesim.study.preparation.prepare import Contexts, prepare
from edgesim.study.search import sample
from edgesim.study.search.search import Searched, search
from edgesim.study.trials.trial import simulate_outages

PAGE = Path(__file__).parents[2] / "docs" / "search.md"
PROFILES = ("esp32-s3", "wearable", "raspberry-pi-zero-2w", "phone", "laptop")


def data(**more: Any) -> dict[str, Any]:
    """A hub and three devices; the whole network runs on one of them."""
    return {
        "name": "places",
        "replications": 200,
        "topology": {
            "devices": [{"id": "hub", "profile": "esp32-s3"}, {"id": "w{1..3}", "profile": "wearable"}],
            "links": [{"between": ["hub", "w*"], "bandwidth": "2 Mbit/s", "latency": "2 ms"}],
        },
        "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
        "strategies": {"single": {"device": "hub"}},
        "search": {
            "by": ["latency", "traffic"],
            "choices": {"device": {"path": "strategies.single.device", "values": ["hub", "w1", "w2"]}},
        },
        **more,
    }


def found(content: dict[str, Any], folder: Path | None = None) -> Searched:
    return search(es.Scenario.from_data(content), {}, folder, Silent())


def _random_case(draw: random.Random) -> dict[str, Any]:
    """One or two devices of random kinds behind links of random rates, one of them lost; goals that some candidates miss."""
    names = [f"d{number}" for number in range(draw.randint(1, 2))]
    links = [
        {
            "between": ["hub", name],
            "bandwidth": f"{draw.choice((1, 3, 10, 50))} Mbit/s",
            "latency": f"{draw.randint(1, 9)} ms",
        }
        for name in names
    ]
    messages = draw.sample([{"dtype": "float32"}, {"dtype": "float16"}, {"dtype": "int8"}], 2)
    choices = {
        "device": {"path": "strategies.near.device", "values": ["hub", *names]},
        "messages": {"path": "strategies.near.messages", "values": messages},
        "other": {"path": "strategies.far.device", "values": names},
        "rate": {
            "path": "topology.links.0.bandwidth",
            "values": draw.choice((["2 Mbit/s"], ["1 Mbit/s", "20 Mbit/s"])),
        },
    }
    return data(
        topology={
            "devices": [
                {"id": "hub", "profile": draw.choice(PROFILES)},
                *({"id": name, "profile": draw.choice(PROFILES)} for name in names),
            ],
            "links": links,
        },
        strategies={"near": {"type": "single", "device": "hub"}, "far": {"type": "single", "device": names[0]}},
        failures={"loss": {"type": "exactly-k", "k": draw.randint(0, 1), "targets": "d*"}},
        goals={"answered": f">= {draw.choice((0, 40, 70, 100))} %", "traffic": f"<= {draw.choice((100, 300, 5000))} B"},
        search={
            "by": draw.choice((["latency", "traffic"], ["traffic", "latency"], ["energy", "latency"])),
            "choices": choices,
        },
    )


def _by_hand(content: dict[str, Any], contexts: Contexts) -> list[tuple[tuple[float, ...], str, dict[str, Any]]]:
    """Every candidate, by what it is worth: each written into the scenario's data, and every loss simulated, one after another."""
    rows = []
    choices = content["search"]["choices"]
    for label, names in (("near", ("device", "messages", "rate")), ("far", ("other", "rate"))):
        for values in product(*(choices[name]["values"] for name in names)):
            chosen = dict(zip(names, values, strict=True))
            strategy = {"type": "single", "device": chosen.get("device", chosen.get("other"))}
            strategy |= {"messages": chosen["messages"]} if label == "near" else {}
            links = [*content["topology"]["links"]]
            links[0] = links[0] | {"bandwidth": chosen["rate"]}
            plain = {key: value for key, value in content.items() if key != "search"}
            plain |= {"strategies": {label: strategy}, "topology": content["topology"] | {"links": links}}
            system = build(es.Scenario.from_data(plain))
            shared = prepare([({}, system)], Silent(), contexts)
            case, k = shared.cases[0], content["failures"]["loss"]["k"]
            targets = [one.device_id for one in system.topology.devices if one.device_id != "hub"]
            records = [
                simulate_outages(shared, case, [Outage(one) for one in lost]) for lost in combinations(targets, k)
            ]
            there = [one for one in records if not isnan(one.latency_s)]
            metrics = {
                "answered": len(there) / len(records),
                "latency": sum(one.latency_s for one in there) / len(there) if there else inf,
                "energy": sum(one.energy_j for one in records) / len(records),
                "traffic": sum(one.input_byte + one.intermediate_byte + one.result_byte for one in records)
                / len(records),
            }
            least, most = (float(content["goals"][name].split()[1]) for name in ("answered", "traffic"))
            beyond = max(0.0, metrics["traffic"] - most) / most
            short = max(0.0, least / 100 - metrics["answered"]) / (least / 100 or 1)
            worth = (beyond + short, *(metrics[name] for name in content["search"]["by"]))
            rows.append((worth, label, chosen))
    return rows


def test_a_search_finds_what_brute_force_finds_in_100_random_cases() -> None:
    """The best by goals, then by the metrics in their order; and the Pareto front of those that meet the goals best."""
    draw, contexts = random.Random(23), Contexts()  # noqa: S311 - no secret
    n_with_front = 0
    for _ in range(100):
        content = _random_case(draw)
        rows = _by_hand(content, contexts)
        result = search(es.Scenario.from_data(content), {}, None, Silent(), contexts)
        assert result.n_candidates == len(rows) == len(result.runners)
        best = min(worth for worth, _, _ in rows)
        assert result.judge.rank(result.runners[0]) == pytest.approx(best, rel=1e-9)
        equal = [(label, chosen) for worth, label, chosen in rows if worth == pytest.approx(best, rel=1e-9)]
        assert (result.runners[0].candidate.strategy, result.runners[0].candidate.values) in equal
        meeting = {_rounded(worth[1:]) for worth, _, _ in rows if worth[0] == pytest.approx(best[0])}
        front = {one for one in meeting if not any(_dominates(other, one) for other in meeting)}
        shown = {_rounded(result.judge.rank(one)[1:]) for one in result.front}
        assert shown == front
        n_with_front += len(front) > 1
    assert n_with_front >= 5


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(f"{value:.9g}") for value in values)


def test_what_is_not_feasible_is_a_row_that_says_why_and_the_others_are_ranked() -> None:
    """A device without memory; options that one another forbid, each valid alone."""
    content = data()
    content["profiles"] = {"tiny": {"extends": "wearable", "memory": "10 kB"}}
    content["topology"]["devices"].append({"id": "small", "profile": "tiny"})
    content["topology"]["links"].append({"between": ["hub", "small"], "bandwidth": "2 Mbit/s", "latency": "2 ms"})
    content["strategies"]["modnn"] = {"owner": "hub", "workers": "w*", "on_missing": "degrade", "step_deadline": "1 s"}
    content["search"]["choices"] = {
        "device": {"path": "strategies.single.device", "values": ["small", "hub"]},
        "partial": {"path": "strategies.modnn.partial", "values": ["discard", "use"]},
        "messages": {"path": "strategies.modnn.messages", "values": [{"dtype": "float32"}, {"dtype": "int8"}]},
    }
    result = found(content)
    assert str(result.runners[0].candidate) == "single: device=hub"
    why = {str(one.candidate): one.why_not for one in result.runners if one.state == "infeasible"}
    assert list(why) == ["single: device=small", "modnn: partial=use, messages=int8"]
    assert "small" in why["single: device=small"]
    assert "int8 are whole tensors" in why["modnn: partial=use, messages=int8"]
    states = [row["state"] for row in document(result)["rows"]]
    assert states == ["finished"] * 4 + ["infeasible"] * 2
    assert "(0 stopped early, 2 not feasible)" in sentence(result)


def _racing(**more: Any) -> dict[str, Any]:
    """Under random requests nothing is exact: the board is three times as slow as the wearables behind their links."""
    content = data(**more)
    content["workload"]["load"] = {"arrivals": {"type": "poisson", "rate": "5 /s"}, "requests": 4}
    content["search"] = {"by": ["latency"], "choices": content["search"]["choices"]}
    return content


def test_a_race_stops_what_is_surely_beaten_and_finds_what_all_trials_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board after the first 50 of 200 replications; of the two alike, none is surely better."""
    raced = found(_racing())
    assert [(one.candidate.values["device"], one.state, one.n) for one in raced.runners] == [
        ("w1", "finished", 200),
        ("w2", "finished", 200),
        ("hub", "stopped", 50),
    ]
    assert raced.runners[2].why_not == "surely beaten by single: device=w1"
    monkeypatch.setattr("edgesim.study.search.race.N_FIRST", 200)
    whole = found(_racing())
    assert [one.n for one in whole.runners] == [200, 200, 200]
    assert whole.runners[0].estimates["latency"] == raced.runners[0].estimates["latency"]


def test_a_search_that_was_killed_goes_on_and_one_with_more_choices_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It simulates what is missing only, and ends with the same file."""
    simulated: list[str] = []
    simulate = sample.simulate_block

    def counted(shared: Any, block: Any) -> Any:
        if len(simulated) == killed_after:
            raise KeyboardInterrupt
        simulated.append(str(block))
        return simulate(shared, block)

    monkeypatch.setattr(sample, "simulate_block", counted)
    killed_after = 10**6
    scenario = es.Scenario.from_data(_racing())
    searched_into(tmp_path / "whole", scenario, {}, Silent())
    n_whole = len(simulated)
    simulated.clear()
    killed_after = 4
    with pytest.raises(KeyboardInterrupt):
        searched_into(tmp_path / "killed", scenario, {}, Silent())
    killed_after = 10**6
    searched_into(tmp_path / "killed", scenario, {}, Silent())
    assert len(simulated) == n_whole
    assert (tmp_path / "killed" / "search.json").read_bytes() == (tmp_path / "whole" / "search.json").read_bytes()
    simulated.clear()
    more = _racing()
    more["search"]["choices"]["device"]["values"] = ["hub", "w1", "w2", "w3"]
    grown = searched_into(tmp_path / "killed", es.Scenario.from_data(more), {}, Silent())
    assert (len(grown.runners), len(simulated)) == (4, 3)  # w3: 50, 50 and 100 replications
    with pytest.raises(ResultError, match="holds the search of 'places'"):
        searched_into(tmp_path / "killed", es.Scenario.from_data(_racing(name="others")), {}, Silent())


def test_the_optimiser_reaches_the_best_of_many_with_few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 candidates of known worth, 30 looked at, the same ones each time, none twice: twice as many as by chance are within 5 % of the best, as 19 of the 200 are."""
    content = data()
    names = [f"w{number}" for number in range(1, 11)]
    content["topology"] = {
        "devices": [{"id": "hub", "profile": "esp32-s3"}, {"id": "w{1..10}", "profile": "wearable"}],
        "links": [
            {"between": ["hub", name], "bandwidth": f"{1 + number} Mbit/s", "latency": f"{20 - number} ms"}
            for number, name in enumerate(names)
        ],
    }
    rates = [f"{number} Mbit/s" for number in range(1, 11)]
    content["search"] = {
        "by": ["latency"],
        "evaluations": 30,
        "choices": {
            "device": {"path": "strategies.single.device", "values": names},
            "rate": {"path": "topology.links.9.bandwidth", "values": rates},
            "dtype": {"path": "strategies.single.messages", "values": [{"dtype": "float32"}, {"dtype": "int8"}]},
        },
    }
    result = found(content)
    assert not result.is_exhaustive
    assert len({one.candidate.key for one in result.runners}) == 30
    assert [one.candidate for one in found(content).runners] == [one.candidate for one in result.runners]
    content["search"]["evaluations"] = 200
    everyone = found(content).runners
    best = everyone[0]
    near, found_near = (
        sum(one.mean("latency") <= best.mean("latency") / 0.95 for one in some) for some in (everyone, result.runners)
    )
    assert near == 19
    assert found_near >= 6  # of 30 drawn at random 2.9 would be
    assert result.runners[0].mean("latency") <= best.mean("latency") / 0.99
    assert best.candidate.values["device"] == "w10"


def test_the_certificate_has_the_worst_of_every_loss_of_up_to_two_devices() -> None:
    """A relay and the device behind it: each alone takes the answer; the source and sink are never lost."""
    content = data()
    content["search"]["choices"]["device"]["values"] = ["w1"]
    (rows,) = found(content).certificates.values()
    assert [(one.n_lost, one.n_sets, one.n_unanswered, one.lost) for one in rows] == [(0, 1, 0, ()), (1, 1, 1, ("w1",))]
    assert (rows[1].metric, rows[1].value) == ("latency", inf)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('["latency"', '["latncy"', "no metric 'latncy'; nearest 'latency'"),
        ('["latency"', '["traffic"', "'traffic' is given twice"),
        ("single.device", "single.devise", "no such path 'strategies.single.devise'"),
        ('["hub", "w1"', '["hub", "w9"', "'w9'"),
    ],
)
def test_mistakes_are_found_where_they_stand(old: str, new: str, line: str) -> None:
    """Before anything is prepared."""
    text = json.dumps(data())
    with pytest.raises(ScenarioError) as caught:
        es.Scenario.from_text(text.replace(old, new))
    assert line in str(caught.value)


def test_without_a_search_or_with_a_metric_of_another_study_it_is_refused() -> None:
    """What would have to be written is said."""
    content = data()
    del content["search"]
    with pytest.raises(PlanError, match="does not say what to look for"):
        found(content)
    content["search"] = {"by": ["throughput"]}
    with pytest.raises(PlanError, match="no metric 'throughput'"):
        found(content)


def test_the_command_shows_and_draws_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scenario of the page."""
    text = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[1]
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["edgesim", "search", "s.yaml", *options])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
    shown, _, rest = capsys.readouterr().out.partition("{\n")
    assert "candidates were looked at" in shown
    assert "devices lost" in shown
    told = json.loads("{" + rest)
    folder = tmp_path / "results" / f"{es.Scenario.load(tmp_path / 's.yaml').name}-search"
    kept = json.loads((folder / "search.json").read_bytes())
    assert {key: kept[key] for key in told} == told
    assert (folder / "pareto.png").stat().st_size > 5000


def test_the_figure_has_a_point_for_each_candidate_that_was_simulated() -> None:
    """And a line along the front."""
    result = found(data())
    ax = pareto(result)
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert len(drawn) == len(result.runners) + 1  # and the ring of the best
    (front,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert len(front.get_xdata()) == len(result.front) == 2
