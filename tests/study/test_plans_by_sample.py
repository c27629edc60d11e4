"""Studies of a deployment whose plan depends on the sample, by hand.

Of twelve samples nine are short: the camera sends 10 byte. The other three send 100 byte of details besides. The link carries 1 byte in 1 ms,
so the latencies are 10 and 110 ms. A short sample is answered rightly, a long one if its details came; who hears nothing of `send` fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from toy_study import LABELS, PLAN, ToyDeployment, star

from edgesim.arrivals.periodic import Periodic
from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Delivery
from edgesim.domain.load import Load
from edgesim.domain.networks.task import Score
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.engine.program.compiled import compile_plan, compile_plans
from edgesim.errors import PlanError
from edgesim.failures.bernoulli import Bernoulli
from edgesim.interfaces import Silent
from edgesim.rng import Streams
from edgesim.study.cases.design import Case, Deployments, Prepared
from edgesim.study.cases.shared import Shared
from edgesim.study.folder.parts import Parts
from edgesim.study.preparation.deploy import deployed, plan_of_sample
from edgesim.study.preparation.plans import planned_of, totals, transfers
from edgesim.study.preparation.several import Spread
from edgesim.study.tables.known import known_of
from edgesim.study.trials.batch import why_not
from edgesim.study.trials.trial import perform
from edgesim.study.work.division import plan_work
from edgesim.study.work.evaluation import evaluate
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import local_pool
from edgesim.tasks.classification import Classification

SEED = 3
N_SHORT, N = 9, len(LABELS)
OF_SAMPLE = (0,) * N_SHORT + (1,) * (N - N_SHORT)


def plan(n_byte: int | None) -> Plan:
    """What a sample asks for, with so many bytes of details."""
    details = [] if n_byte is None else [Transfer("details", "w1", "hub", n_byte, "details", "intermediate", ("look",))]
    answer: dict[str, Any] = {} if n_byte is None else {"on_missing": "degrade", "deadline_s": 1.0}
    send = Transfer("send", "w1", "hub", 10, "what it is", "result", ("look",))
    names = ("send", *(one.step_id for one in details))
    return Plan((Compute("look", "w1"), send, *details, Compute("end", "hub", inputs=names, **answer)), "end", {})


@dataclass(frozen=True)
class Sorting:
    """Answers by the rule above."""

    plans: tuple[Plan, ...] = (plan(None), plan(100))
    plan_of_sample: tuple[int, ...] = OF_SAMPLE
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", self.plans[0])

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        logits = np.zeros((N, 2), dtype=np.float32)
        logits[:N_SHORT, 1] = delivery.is_whole("send")
        logits[N_SHORT:, 1] = delivery.are_whole(("send", "details"))
        return logits

    def describe(self) -> dict[str, Any]:
        return {}


def share_right(answers: NDArray[np.float32], targets: NDArray[Any]) -> float:
    """Accuracy under another name, of which nobody says that it is a mean of samples."""
    return float((answers.argmax(axis=1) == targets).mean())


WHOLE = Score("whole", of=share_right, low=0.0, high=1.0)


def study_of(failures: dict[str, Any], made: Any = None, **options: Any) -> Shared:
    """The deployment, and beside it the toy of one plan, which meets the same samples."""
    made = made or Sorting()
    topology, scores = star(), (*Classification(2).scores[:1], WHOLE)
    program = compile_plans(made.plans, topology, Roofline())
    prepared = (
        Prepared(program, LABELS, scores, plan_of_sample=plan_of_sample(made)),
        Prepared(compile_plan(PLAN, topology, Roofline()), LABELS, scores),
    )
    cases = tuple(
        Case({}, name, position, topology, failures, None, SEED, N, **options)
        for position, name in enumerate(("sorting", "toy"))
    )
    return Shared(prepared, cases, Deployments([made, ToyDeployment()]), is_checked=True)


def run(study: Shared, folder: Path, replications: int = 200, workers: int = 1) -> tuple[Any, Parts]:
    work, parts = plan_work(study, replications), Parts(folder, study.cases, scores=["accuracy", "whole"])
    execute(study, work, parts, partial(local_pool, workers, perform), Silent())
    return work, parts


def drawn_samples(n: int) -> NDArray[np.int64]:
    """The samples of so many replications, from the stream of that name."""
    return (Streams(SEED).stream("sample").numbers(0, 0, n) * N).astype(np.int64)


def test_each_request_follows_the_plan_of_its_sample(tmp_path: Path) -> None:
    work, parts = run(study_of({}), tmp_path)
    trials, scores = parts.read(work.of_case(0, is_enumeration=False))
    samples, is_long = drawn_samples(200), drawn_samples(200) >= N_SHORT
    assert 30 < is_long.sum() < 70
    assert trials.sample == tuple(samples)
    assert trials.result_byte.tolist() == [10] * 200
    assert trials.intermediate_byte.tolist() == np.where(is_long, 100, 0).tolist()
    assert trials.latency_s == pytest.approx(np.where(is_long, 0.11, 0.01))
    assert scores["accuracy"].tolist() == [1.0] * 200
    other, _ = parts.read(work.of_case(1, is_enumeration=False))
    assert other.sample == trials.sample


def test_outcomes_are_weighed_by_the_samples_that_follow_a_plan(tmp_path: Path) -> None:
    """3/4 x (1 - p) + 1/4 x (1 - p)^2 with p = 1/4; all bytes are sent, lost or not: 10 + 100 / 4."""
    study = study_of({"loss": Bernoulli(0.25)})
    work, parts = run(study, tmp_path, 2000)
    assert work.n_outcomes[0] == 2 + 4
    rows = {row.metric: row for row in evaluate(study, work, parts).rows[0]}
    assert rows["accuracy"].exact == pytest.approx(0.75 * 0.75 + 0.25 * 0.75**2)
    assert rows["traffic"].exact == pytest.approx(10 + 25)
    assert rows["answered"].exact == pytest.approx(0.75 * 0.75 + 0.25)
    for name in ("accuracy", "traffic"):
        low, high = rows[name].estimate.low, rows[name].estimate.high
        assert low <= rows[name].exact <= high
        assert high - low < 0.15 * rows[name].exact
    trials, _ = parts.read(work.of_case(0, is_enumeration=True))
    assert trials.sample == (0, 0, N_SHORT, N_SHORT, N_SHORT, N_SHORT)


def test_a_score_of_samples_is_that_of_those_who_may_have_asked(tmp_path: Path) -> None:
    """Without the details the three long samples are wrong: accuracy 0 of a long request, 9/12 of the whole split."""
    work, parts = run(study_of({"loss": Bernoulli(0.5)}), tmp_path)
    trials, scores = parts.read(work.of_case(0, is_enumeration=True))
    is_late = (trials.intermediate_byte == 100) & (np.array(trials.lost) == 0b100)  # the third transfer of both plans
    assert is_late.sum() == 1
    assert scores["accuracy"][is_late].tolist() == [0.0]
    assert scores["whole"][is_late].tolist() == [9 / 12]


def test_what_is_intact_is_the_mean_over_the_samples(tmp_path: Path) -> None:
    study = study_of({"loss": Bernoulli(0.25)})
    work, parts = run(study, tmp_path, 20)
    intact, _ = evaluate(study, work, parts).intact
    assert intact["traffic"] == pytest.approx(35)
    assert intact["latency"] == pytest.approx(0.75 * 0.01 + 0.25 * 0.11)
    assert intact["accuracy"] == 1.0


def test_requests_of_different_plans_wait_for_each_other(tmp_path: Path) -> None:
    """Eight requests every 50 ms over one link: times by Lindley's recursion, bytes by the samples of their numbers."""
    study = study_of({}, load=Load(Periodic(0.05), requests=8))
    work, parts = run(study, tmp_path, 3)
    trials, _ = parts.read(work.of_case(0, is_enumeration=False))
    streams = Streams(SEED)
    for number in range(3):
        draws = streams.replication(number)("sample")
        n_byte = [10 if draws.uniform() * N < N_SHORT else 110 for _ in range(8)]
        free_s, latencies_s = 0.0, []
        for k, own in enumerate(n_byte):
            free_s = max(free_s, 0.05 * k) + own / 1000
            latencies_s.append(free_s - 0.05 * k)
        assert trials.latency_s[number] == pytest.approx(np.mean(latencies_s))
        assert trials.input_byte[number] + trials.result_byte[number] == 10
        assert trials.intermediate_byte[number] == round(np.mean(n_byte) - 10)


def test_what_is_certain_shares_a_part_with_what_depends_on_the_sample(tmp_path: Path) -> None:
    """Nothing can be lost: the toy has one outcome, which the array engine computes, sorting one for each plan, by events."""
    study = study_of({})
    study = replace(study, cases=study.cases * 20, is_checked=False)
    work = plan_work(study, 5)
    parts = Parts(tmp_path, study.cases, scores=["accuracy", "whole"], together=work.together)
    execute(study, work, parts, partial(local_pool, 1, perform), Silent())
    assert len(list((tmp_path / "outcomes").glob("*.parquet"))) == 20
    for case, probability in ((0, [0.75, 0.25]), (1, [1.0])):
        trials, _ = parts.read(work.of_case(case, is_enumeration=True))
        assert trials.weight.tolist() == probability


def test_any_number_of_workers_and_a_second_run_give_the_same(tmp_path: Path) -> None:
    study = study_of({"loss": Bernoulli(0.25)})
    for name, workers in (("one", 1), ("two", 2)):
        run(study, tmp_path / name, 50, workers)
    work, parts = run(study, tmp_path / "one", 50)
    other = Parts(tmp_path / "two", study.cases, scores=parts.scores)
    assert [parts.path(b).read_bytes() for b in work.blocks] == [other.path(b).read_bytes() for b in work.blocks]
    parts.path(work.blocks[0]).unlink()
    run(study, tmp_path / "one", 50)  # with the answers that are known
    assert parts.path(work.blocks[0]).read_bytes() == other.path(work.blocks[0]).read_bytes()


def test_the_event_engine_simulates_and_says_why() -> None:
    study = study_of({})
    assert why_not(study.cases[0], replace(study, is_checked=False)) == "the plan depends on the sample"
    assert not why_not(study.cases[1], replace(study, is_checked=False))


def test_rare_events_are_those_of_a_mean_request() -> None:
    """One message of three requests in four, two of the others: 3/4 p + 1/4 (1 - (1 - p)^2)."""
    study = study_of({"loss": Bernoulli(0.01)})
    [strike] = known_of(study, study.cases[0]).strikes["loss"]
    assert strike.probability == pytest.approx(0.75 * 0.01 + 0.25 * (1 - 0.99**2))
    assert known_of(study, study.cases[0]).bounds["traffic"] == (0.0, 110.0)


def test_the_plan_that_is_shown_is_the_mean_over_the_samples() -> None:
    """Nine samples take 10 ms and 10 byte, three 100 ms (both messages at once) and 110 byte: 32.5 ms and 35 byte."""
    context: Any = SimpleNamespace(topology=star(), compute=Roofline())
    shown = planned_of("sorting", Sorting(), context)
    assert shown.latency_s == pytest.approx(0.0325)
    short, long = shown.ways
    assert [(way.n_samples, way.n_plans, way.n_messages, way.steps) for way in shown.ways] == [
        (9, 1, 1, ("look", "end")),
        (3, 1, 2, ("look", "end")),
    ]
    assert short.sent_byte == Spread(10, 10, 10)
    assert long.latency_s.mean == pytest.approx(0.1)
    steps = {step.step_id: step for step in shown.steps}
    assert {name: (step.n_samples, step.in_byte, step.out_byte) for name, step in steps.items()} == {
        "look": (12, 0, 35),
        "end": (12, 35, 0),
    }
    assert steps["end"].ended_s == pytest.approx(0.0325)
    sizes = {one["step_id"]: (one["n_samples"], one["size_byte"]) for one in transfers(shown)}
    assert sizes == {"send": (12, 10), "details": (3, 100)}
    assert {row["device"]: (row["sent_byte"], row["received_byte"]) for row in totals(shown)} == {
        "w1": (35, 0),
        "hub": (0, 35),
    }


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Sorting(plan_of_sample=(0, 1)), "says of 2 samples which plan they follow, but the test split has 12"),
        (Sorting(plan_of_sample=(0,) * 12), "has 2 plans, but its samples follow those of numbers [0]"),
        (Sorting(plan_of_sample=(0,) * 11 + (2,)), "follow those of numbers [0, 2]"),
    ],
)
def test_plans_and_samples_must_fit(made: Sorting, text: str) -> None:
    class Strategy:
        def deploy(self, context: Any) -> Sorting:
            return made

    class Context:
        class dataset:  # noqa: N801
            test = LABELS

    with pytest.raises(PlanError) as raised:
        deployed(Strategy(), Context())  # type: ignore[arg-type]
    assert text in str(raised.value)


def test_one_plan_for_all_is_a_plan_as_ever() -> None:
    assert plan_of_sample(Sorting(plans=(plan(None),), plan_of_sample=(0,) * 12)) == ()
