"""Studies of a deployment that uses messages of which only some packets arrived, by hand: ten packets of 10 byte each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet
from toy_study import LABELS, PLAN, SETTLED, ToyDeployment, star

from edgesim.arrivals.periodic import Periodic
from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Arrived, Delivery
from edgesim.domain.evaluation import Evaluation
from edgesim.domain.load import Load
from edgesim.engine.program.compiled import compile_plan
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.interfaces import Silent
from edgesim.study.cases.design import Case, Deployments, Prepared
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import PART_BY_EVENTS
from edgesim.study.folder.parts import Parts
from edgesim.study.trials.batch import why_not
from edgesim.study.trials.deliveries import is_used
from edgesim.study.trials.trial import perform
from edgesim.study.work.division import plan_work
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import local_pool
from edgesim.tasks.classification import Classification

SEED = 1


@dataclass(frozen=True)
class Piecewise(ToyDeployment):
    """A device answers each of its questions with another packet: those that arrived settle theirs."""

    uses_partial: bool = True

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        logits = super().predict(delivery).copy()
        for device, questions in SETTLED.items():
            some = delivery.of(f"send {device}")
            if some is not None:
                packets = some.packets(len(LABELS))
                for number, question in enumerate(questions):
                    logits[question, 1] = packets[question, number]
        return logits


def study_of(*points, deployment: ToyDeployment | None = None, **options) -> Shared:
    """The toy with small packets; further strategies would stand beside it."""
    topology = star()
    topology = replace(topology, links=tuple(replace(link, mtu_byte=10) for link in topology.links))
    made = deployment or Piecewise()
    prepared = Prepared(compile_plan(PLAN, topology, Roofline()), LABELS, Classification(2).scores[:1], is_used(made))
    cases = tuple(
        Case({"level": i}, "toy", 0, topology, failures, None, SEED, **options) for i, failures in enumerate(points)
    )
    return Shared((prepared,), cases, Deployments([made]), is_checked=True)


def run(study: Shared, folder: Path, replications: int = 100, workers: int = 1):
    """Run a study; return its tasks and parts."""
    work, parts = plan_work(study, replications), Parts(folder, study.cases, scores=["accuracy"])
    execute(study, work, parts, partial(local_pool, workers, perform), Silent())
    return work, parts


def test_an_outage_leaves_the_first_packets(tmp_path: Path) -> None:
    """w1 sends 10 ms a packet and its link fails after 55 ms: five packets, five of its six questions; twelve less one in all."""
    study = study_of({"cut": Scripted((ScriptedOutage("w1->hub", 0.055),))})
    work, parts = run(study, tmp_path)
    trials, scores = parts.read(work.blocks[:1])
    assert set(trials.partial) == {"0:1-5"}
    assert set(trials.lost) == {1}
    assert scores["accuracy"] == pytest.approx(np.full(100, 11 / 12))
    [outcomes] = [block for block in work.blocks if block.is_enumeration]
    assert parts.read([outcomes])[1]["accuracy"] == pytest.approx([11 / 12])


def test_only_the_links_of_a_message_say_which_packets_arrived(tmp_path: Path) -> None:
    """Packets are lost at random between w1 and the hub; on the link of w2, which fails, the first ones arrived."""
    cut = Scripted((ScriptedOutage("w2->hub", 0.055),))
    work, parts = run(study_of({"loss": PacketBernoulli(0.9, "w1->hub"), "cut": cut}), tmp_path)
    trials, _ = parts.read(work.blocks)
    words = {word for text in trials.partial for word in text.split()}
    assert {word for word in words if word.startswith("1:")} == {"1:1-5"}
    assert {"0:1", "0:2"} <= words
    assert not any(word.startswith("0:1-") for word in words)


def test_random_losses_leave_any_packets(tmp_path: Path) -> None:
    """Each trial has the accuracy of the packets that are drawn for its numbers; 0.7 of them arrive, 2,000 trials, 5 standard errors."""
    n = 2000
    work, parts = run(study_of({"loss": PacketBernoulli(0.3)}), tmp_path, n)
    trials, scores = parts.read(work.blocks)
    n_arrived = 0
    for lost, text, found in zip(trials.lost, trials.partial, scores["accuracy"], strict=True):
        counts, expected = dict(tuple(map(int, word.split(":"))) for word in text.split()), 0.0
        for index, (device, questions) in enumerate(SETTLED.items()):
            if index in counts:
                arrived = Arrived(f"send {device}", 100, 10, counts[index], is_first=False, seed=SEED).packets(12)
                expected += sum(arrived[question, number] for number, question in enumerate(questions)) / 12
            else:
                expected += 0.0 if lost >> index & 1 else len(questions) / 12
            n_arrived += counts.get(index, 0 if lost >> index & 1 else 10)
        assert found == pytest.approx(expected)
    assert n_arrived / (30 * n) == pytest.approx(0.7, abs=5 * (0.3 * 0.7 / (30 * n)) ** 0.5)


def test_what_is_drawn_for_a_sample_is_fair() -> None:
    """Three of ten packets for 20,000 samples: each packet in 30 % of them, to 5 standard errors; always three."""
    packets = Arrived("send w1", 100, 10, 3, is_first=False, seed=SEED).packets(20_000)
    assert (packets.sum(axis=1) == 3).all()
    assert np.abs(packets.mean(axis=0) - 0.3).max() < 5 * (0.3 * 0.7 / 20_000) ** 0.5


def test_elements_need_all_their_packets() -> None:
    """Elements of 4 byte from byte 2 on in packets of 10: the third one lies across two packets."""
    arrived = Arrived("t", 25, 10, 1, is_first=True, seed=0)
    assert arrived.elements(1, 2, 4).tolist() == [[True, True, False, False]]


def test_only_the_event_engine_knows_parts_and_nothing_is_enumerated() -> None:
    """Whether ten packets of ten came is not whether any came; for others than this deployment all stays as it was."""
    study = study_of({"loss": PacketBernoulli(0.3)})
    assert "only some packets arrived" in why_not(study.cases[0], study)
    assert plan_work(study, 10).n_outcomes == (0,)
    plain = study_of({"loss": PacketBernoulli(0.3)}, deployment=ToyDeployment())
    assert why_not(plain.cases[0], plain) == ""
    assert plan_work(plain, 10).n_outcomes == (8,)


def test_others_have_no_such_column_but_beside_one_that_has(tmp_path: Path) -> None:
    """The parts of a study with a deployment that uses them all have it, so that they are one table."""
    alone = study_of({"loss": PacketBernoulli(0.3)}, deployment=ToyDeployment())
    mixed = study_of({"loss": PacketBernoulli(0.3)})
    other = Prepared(mixed.prepared[0].program, LABELS, Classification(2).scores[:1])
    deployments = Deployments([Piecewise(), ToyDeployment()])
    cases = (mixed.cases[0], replace(mixed.cases[0], strategy="plain", prepared=1))
    mixed = replace(mixed, prepared=(*mixed.prepared, other), cases=cases, deployments=deployments)
    columns = {
        name: [
            "partial_transfers" in parquet.read_schema(path).names for path in sorted((tmp_path / name).rglob("part-*"))
        ]
        for name, study in (("alone", alone), ("mixed", mixed))
        if run(study, tmp_path / name)
    }
    assert set(columns["alone"]) == {False}
    assert set(columns["mixed"]) == {True}


def test_a_study_that_goes_on_has_the_same_bytes(tmp_path: Path) -> None:
    """With two workers too, and with bounds on what is asked."""
    failures = {"loss": PacketBernoulli(0.2), "cut": Scripted((ScriptedOutage("w2->hub", 0.03),))}
    study = study_of(failures, {"loss": PacketBernoulli(0.4)}, evaluation=Evaluation(patterns=150))

    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in tmp_path.rglob("part-*")}

    run(study, tmp_path, 2 * PART_BY_EVENTS)
    whole = content()
    for name in [name for name in whole if name.endswith("000000000.parquet")]:
        (tmp_path / "trials" / name).unlink()
    run(study, tmp_path, 2 * PART_BY_EVENTS, workers=2)
    assert content() == whole


def test_what_parts_know_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trial meets the same five packets: once asked, they are known from the part that is left."""
    asked: list[Delivery] = []
    answer = Piecewise.predict
    monkeypatch.setattr(Piecewise, "predict", lambda *args: asked.append(args[1]) or answer(*args))
    study = study_of({"cut": Scripted((ScriptedOutage("w1->hub", 0.055),))}, exact_up_to=0)
    run(study, tmp_path, 2 * PART_BY_EVENTS)
    assert [some.of("send w1").n_arrived for some in asked if some.partial] == [5]
    (tmp_path / "trials" / "part-00000-000000000.parquet").unlink()
    run(study, tmp_path, 2 * PART_BY_EVENTS)
    assert len([some for some in asked if some.partial]) == 1


def test_requests_under_load_are_asked_for_their_packets(tmp_path: Path) -> None:
    """Two requests per trial, 2 s apart; the link fails while the second sends: the mean of 1 and 11/12."""
    load = Load(Periodic(2.0), requests=2)
    study = study_of({"cut": Scripted((ScriptedOutage("w1->hub", 2.055),))}, load=load)
    work, parts = run(study, tmp_path, 3)
    _, scores = parts.read(work.blocks)
    assert scores["accuracy"] == pytest.approx(np.full(3, (1 + 11 / 12) / 2))
