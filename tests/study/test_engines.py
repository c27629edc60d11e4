"""Which engine simulates a study, and that the choice changes no number; which outcomes are enumerated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_study import shared

from edgesim.domain.columns import ENGINES
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.gilbert_elliott import GilbertElliott
from edgesim.failures.jitter import Jitter
from edgesim.failures.on_off import OnOff
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.failures.stragglers import ShiftedExponential
from edgesim.study.cases.outcomes import outcomes_of
from edgesim.study.cases.tasks import Block
from edgesim.study.trials.batch import why_not
from edgesim.study.trials.trial import simulate_block
from edgesim.study.work.division import _part_sizes

FAILURES = {
    "nothing": {},
    "devices": {"lost": ExactlyK(1, "w*"), "all": CommonCause(0.3, 0.5, "w*")},
    "messages": {"loss": Bernoulli(0.3), "slow": ShiftedExponential(2.0)},
    "later": {"script": Scripted((ScriptedOutage("w1", 0.05),)), "loss": Bernoulli(0.3)},
    "again": {"off": OnOff(1.0, 0.2, "w*"), "loss": Bernoulli(0.3)},
}


@pytest.mark.parametrize("failures", FAILURES.values(), ids=FAILURES)
def test_engines_agree(failures) -> None:
    """In a whole part; trials in which something fails or is repaired are simulated by events, and told so."""
    study, other = (shared([failures], engine=engine) for engine in ("array", "event"))
    fast, slow = (simulate_block(one, Block(0, 0, 1000, False, "toy")) for one in (study, other))
    assert fast.lost == slow.lost
    for name in ("latency_s", "energy_j", "weight"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-9)
    for name in ("input_byte", "intermediate_byte", "result_byte", "outcome"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))
    expected = {"event"} if "script" in failures else {"array", "event"} if "off" in failures else {"array"}
    assert {ENGINES[one] for one in fast.engine} == expected


def test_a_part_has_the_trials_of_the_whole() -> None:
    study = shared([FAILURES["messages"]])
    whole, some = (simulate_block(study, Block(0, *ends, False, "toy")) for ends in ((0, 1000), (300, 350)))
    assert some.lost == whole.lost[300:350]
    np.testing.assert_array_equal(some.latency_s, whole.latency_s[300:350])


@pytest.mark.parametrize(
    ("model", "reason"),
    [(GilbertElliott(0.1, 0.5), "no array form"), (Jitter(0.1), "no array form")],
)
def test_why_the_array_engine_is_not_used(model, reason: str) -> None:
    study = shared([{"name": model}])
    assert reason in why_not(study.cases[0], study)
    assert "'name'" in why_not(study.cases[0], study)


def test_the_event_engine_can_be_asked_for() -> None:
    study = shared([{}], engine="event")
    assert "checks the invariants" in why_not(study.cases[0], study)
    assert "asks for" in why_not(study.cases[0], replace(study, is_checked=False))


def test_outcomes_are_combinations_of_outages_and_lost_messages() -> None:
    """Three messages, and one of three devices down: 3 x 2^3 outcomes whose probabilities sum to 1."""
    study = shared([{"loss": Bernoulli(0.25), "down": ExactlyK(1, "w*")}])
    outcomes = outcomes_of(study.cases[0], study.prepared[0].program)
    assert outcomes is not None
    assert len(outcomes) == 24
    probability = outcomes.probability(0, 24)
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    assert probability[0] == pytest.approx(0.75**3 / 3)
    assert probability[7] == pytest.approx(0.25**3 / 3)
    assert len(outcomes.lost_in(7)) == 3
    trials = simulate_block(study, Block(0, 0, 24, True, "toy"))
    assert trials.weight == pytest.approx(probability)
    events = shared([{"loss": Bernoulli(0.25), "down": ExactlyK(1, "w*")}])
    assert trials.lost[0] in {1, 2, 4}  # of the device that is down
    assert trials.lost[7] == 7
    assert len(outcomes_of(events.cases[0], events.prepared[0].program) or ()) == 24


@pytest.mark.parametrize("failures", [{"loss": GilbertElliott(0.1, 0.5)}, {"slow": ShiftedExponential(1.0)}], ids=str)
def test_what_is_not_independent_is_not_enumerated(failures) -> None:
    study = shared([failures])
    assert outcomes_of(study.cases[0], study.prepared[0].program) is None


@pytest.mark.parametrize(("most", "n"), [(0, None), (7, None), (8, 8), (None, 8)])
def test_the_number_of_outcomes_is_bounded(most, n) -> None:
    study = shared([{"loss": Bernoulli(0.5)}], exact_up_to=most)
    outcomes = outcomes_of(study.cases[0], study.prepared[0].program)
    assert (None if outcomes is None else len(outcomes)) == n


@pytest.mark.parametrize(
    ("engine", "size", "expected"),
    [
        ("auto", 400, (60_000, 2**14)),
        ("auto", 28_000, (5_000, 7142)),
        ("auto", 10**9, (1, 1)),
        ("event", 10, (1000, 2**14)),
        ("event", 10**7, (1, 1)),
    ],
)
def test_tasks_of_large_plans_are_small(
    monkeypatch: pytest.MonkeyPatch, engine: str, size: int, expected: tuple[int, int]
) -> None:
    """So that what the array engine holds of all trials of a task, by byte, fits the memory; the event engine has so many steps."""
    study = shared([{}], engine=engine)
    if engine == "event":
        steps = study.prepared[0].program.steps
        program = replace(study.prepared[0].program, steps=replace(steps, step=(steps.step[0],) * size))
        study = replace(study, prepared=(replace(study.prepared[0], program=program),))
    division = "edgesim.study.work.division"
    monkeypatch.setattr(f"{division}.held_byte", lambda _, may_be_down: size if not may_be_down else 0)
    monkeypatch.setattr(f"{division}.why_not", lambda case, _: "asked" if case.engine == "event" else "")
    assert _part_sizes(study, study.cases[0], is_stopping=False) == expected


@pytest.mark.parametrize(("model", "may_be_down"), [(Bernoulli(0.5), False), (ExactlyK(1, "w*"), True)])
def test_what_is_down_takes_memory_in_a_task(
    monkeypatch: pytest.MonkeyPatch, model: object, *, may_be_down: bool
) -> None:
    """Where something may be down, that is drawn for every trial."""
    study = shared([{"model": model}])
    held = {False: 400, True: 28_000}
    monkeypatch.setattr("edgesim.study.work.division.held_byte", lambda _, may_be_down: held[may_be_down])
    assert _part_sizes(study, study.cases[0], is_stopping=False)[0] == (5_000 if may_be_down else 60_000)
