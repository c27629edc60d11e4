"""How often 95 % intervals hold the exact value, in 500 small studies each: python benchmarks/coverage.py

Eight devices send a message each to a hub, which waits for them; nothing is trained. Of 36 questions the answers of device i settle
i, so accuracies differ by what is lost. Trials, estimates, intervals and rules are those of studies; the exact values come from all
outcomes, or from formulas. Writes the table of docs/validation.md. It takes some minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import log1p
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Delivery
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.stopping import Stopping, Target
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.program.compiled import compile_plan
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.stragglers import ShiftedExponential
from edgesim.study.cases.design import Case, Deployments, Prepared
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import PART_OF_FEW, Block
from edgesim.study.tables.known import known_of, of_difference
from edgesim.study.tables.statistics import Estimate, exact_mean, mean
from edgesim.study.tables.summary import summarise, values_of
from edgesim.study.trials.trial import n_enumerated, scores_of, simulate_block
from edgesim.study.trials.trials import Question, Trials
from edgesim.tasks.classification import Classification

N_STUDIES = 500
PAGE = Path(__file__).parents[1] / "docs" / "validation.md"
BEGIN, END = "<!-- benchmarks/coverage.py -->\n", "<!-- end -->\n"
DEVICES = tuple(f"w{i}" for i in range(1, 9))
N_QUESTIONS = sum(range(1, 9))
COMPUTE_S, SEND_S = 0.01, 0.1
ALL_SENT_BYTE = 800.0

Found = tuple[Estimate, float]
"""An estimate, and what it should hold."""


@dataclass(frozen=True)
class Answers:
    """A deployment that answers the questions of the devices from which something came."""

    plan: Plan
    n_settled: tuple[int, ...] = tuple(range(1, 9))

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return logits of two classes, the second of which is right."""
        logits = np.zeros((N_QUESTIONS, 2), dtype=np.float32)
        start = 0
        for device, n in zip(DEVICES, self.n_settled, strict=True):
            logits[start : start + n, 1] = delivery.is_whole(f"send {device}")
            start += n
        return logits

    def describe(self) -> dict[str, Any]:
        """Return nothing: nobody reads it."""
        return {}


def system() -> tuple[Topology, Plan]:
    """Return the star and its plan; computing takes 10 ms and a message 100 ms."""
    profile = DeviceProfile(
        "measured",
        dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9),
        1e12,
        0.0,
        1000,
        0.0,
        0.0,
        2.0,
        0.0,
        "assumed",
    )
    links = tuple(Link(f"{name}->hub", name, "hub", 8 * 100 / SEND_S) for name in DEVICES)
    work = (LayerWork("all", "other", 1e9 * COMPUTE_S, 0),)
    steps: tuple[Compute | Transfer, ...] = (
        *(Compute(f"make {name}", name, work) for name in DEVICES),
        *(Transfer(f"send {name}", name, "hub", 100, "answer", "result", (f"make {name}",)) for name in DEVICES),
        Compute("merge", "hub", inputs=tuple(f"send {name}" for name in DEVICES), on_missing="degrade", deadline_s=1.0),
    )
    return Topology(tuple(Device(name, profile) for name in ("hub", *DEVICES)), links), Plan(
        steps, "merge", {"hub": 50}
    )


def study(failures: Mapping[str, Any], *n_settled: tuple[int, ...]) -> Shared:
    """Return a study of one factor point; each strategy settles so many questions with each device."""
    topology, plan = system()
    made = [Answers(plan, n) for n in n_settled] or [Answers(plan)]
    program = compile_plan(plan, topology, Roofline())
    labels = np.ones(N_QUESTIONS, dtype=np.int64)
    cases = tuple(Case({}, str(i), i, topology, failures, None, 0) for i in range(len(made)))
    return Shared(
        tuple(Prepared(program, labels, Classification(2).scores[:1]) for _ in made), cases, Deployments(made)
    )


class Measured:
    """A study that is repeated with other seeds."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.known = [known_of(shared, case) for case in shared.cases]
        self._answers: dict[tuple[int, Delivery], float] = {}

    def trials(self, seed: int, start: int, stop: int, position: int = 0) -> tuple[Trials, NDArray[np.float64]]:
        """Return some trials of one seed, and their accuracies."""
        cases = tuple(replace(case, seed=seed) for case in self.shared.cases)
        trials = simulate_block(replace(self.shared, cases=cases), Block(position, start, stop, False, "study"))
        return trials, self.accuracy(trials, position)

    def accuracy(self, trials: Trials, position: int = 0) -> NDArray[np.float64]:
        """Return what the networks answer, asked once for each pattern."""
        new = tuple({asked for asked in trials.asked if (position, asked) not in self._answers})
        if new:
            self._answers.update(
                zip(
                    ((position, asked) for asked in new),
                    (score for (score,) in scores_of(self.shared, Question(position, new, ""))),
                    strict=True,
                )
            )
        return np.array([self._answers[position, asked] for asked in trials.asked])

    @cache  # noqa: B019 - lives as long as the program
    def exact(self, metric: str, position: int = 0) -> float:
        """Return the exact expectation over all outcomes."""
        n = n_enumerated(self.shared, self.shared.cases[position])
        outcomes = simulate_block(self.shared, Block(position, 0, n, True, "outcomes"))
        return exact_mean(values_of(outcomes, {"accuracy": self.accuracy(outcomes, position)})[metric], outcomes.weight)

    def estimate(self, metric: str, trials: Trials, accuracy: NDArray[np.float64], position: int = 0) -> Estimate:
        """Return the estimate as a study makes it that cannot enumerate its outcomes."""
        values = values_of(trials, {"accuracy": accuracy})
        nothing = {name: np.array([]) for name in values}
        rows = summarise(
            values, trials.weight, nothing, np.array([]), 0, known=self.known[position], scores=["accuracy"]
        )
        return next(row.estimate for row in rows if row.metric == metric)


def of_metric(shared: Shared, metric: str, n: int, truth: float | None = None) -> Callable[[int], Found]:
    """Return what estimates a metric from n replications of a seed."""
    measured = Measured(shared)

    def one(seed: int) -> Found:
        return measured.estimate(metric, *measured.trials(seed, 0, n)), measured.exact(
            metric
        ) if truth is None else truth

    return one


def of_pair(shared: Shared, n: int) -> Callable[[int], Found]:
    """Return what estimates the difference of the accuracies of two strategies, replication by replication."""
    measured = Measured(shared)
    prior = of_difference("accuracy", measured.known[1], measured.known[0], n)
    truth = measured.exact("accuracy", 1) - measured.exact("accuracy", 0)

    def one(seed: int) -> Found:
        (_, first), (_, second) = (measured.trials(seed, 0, n, position) for position in (0, 1))
        return mean(second - first, prior), truth

    return one


def of_rule(shared: Shared, rule: Stopping) -> Callable[[int], Found]:
    """Return what estimates the accuracy when a rule stops, by the checkpoints and conditions of a study."""
    measured, [target] = Measured(shared), rule.targets

    def one(seed: int) -> Found:
        estimate = Estimate(0.0, 0.0, 0.0, 0)
        for n in rule.checkpoints(PART_OF_FEW):
            if measured.known[0].rare(n) and n < rule.ceiling:
                continue
            estimate = measured.estimate(target.metric, *measured.trials(seed, 0, n))
            if target.is_met(estimate.value, estimate.low, estimate.high):
                break
        return estimate, measured.exact(target.metric)

    return one


def slowest_s(probability: float) -> float:
    """Return the quantile of the latency when each computation takes 1 + E as long, E exponential with mean 1."""
    return COMPUTE_S * (1 - log1p(-(probability ** (1 / len(DEVICES))))) + SEND_S


def losses(p: float, q: float | None = None) -> dict[str, Any]:
    """Return independent losses with probability p, drawn at q."""
    return {"loss": Bernoulli(p, sampled_at=q)}


def alone(p: float) -> dict[str, Any]:
    """Return devices that fail each for itself."""
    return {"group": CommonCause(p, 0.0, "w*")}


def group(q: float | None = None) -> dict[str, Any]:
    """Return devices that fail each for itself with probability 0.008, and all together with 0.002, drawn at q."""
    return {"group": CommonCause(0.01, 0.2, "w*", sampled_at=q)}


def until(width: float, least: int, most: int) -> Stopping:
    """Return a rule on the accuracy, in shares of it."""
    return Stopping(least, most, (Target("accuracy", width, is_relative=True),))


def cases() -> dict[str, tuple[str, Callable[[int], Found]]]:
    """Return what is measured: by name, what is remarkable about it, and what makes one study."""
    settled = (tuple(range(1, 9)), tuple(reversed(range(1, 9))))
    few = "few events: holds whatever was not met"
    some, order = "some studies meet fewer than 25 events", "order statistics: at least 95 %"
    return {
        "accuracy, 1 of 8 devices lost, n = 60": ("", of_metric(study({"k": ExactlyK(1, "w*")}), "accuracy", 60)),
        "accuracy, p = 0.1, n = 100": ("", of_metric(study(losses(0.1)), "accuracy", 100)),
        "accuracy, p = 0.02, n = 200": (some, of_metric(study(losses(0.02)), "accuracy", 200)),
        "accuracy, p = 0.005, n = 200": (few, of_metric(study(losses(0.005)), "accuracy", 200)),
        "accuracy, p = 0.002, n = 200": (few, of_metric(study(losses(0.002)), "accuracy", 200)),
        "accuracy, p = 0.002, n = 50": (few, of_metric(study(losses(0.002)), "accuracy", 50)),
        "traffic, 1 of 8 devices lost with p = 0.1, n = 100": ("", of_metric(study(alone(0.1)), "traffic", 100)),
        "traffic, p = 0.002, n = 50": (few, of_metric(study(alone(0.002)), "traffic", 50)),
        "traffic, p = 0.002, n = 200": (few, of_metric(study(alone(0.002)), "traffic", 200)),
        "latency_p95, stragglers, n = 100": (order, of_metric(study({"slow": ShiftedExponential(1.0)}), "latency_p95", 100, slowest_s(0.95))),
        "latency_p95, stragglers, n = 1000": (order, of_metric(study({"slow": ShiftedExponential(1.0)}), "latency_p95", 1000, slowest_s(0.95))),
        "difference of accuracies, p = 0.1, n = 100": ("", of_pair(study(losses(0.1), *settled), 100)),
        "difference of accuracies, p = 0.002, n = 200": (few, of_pair(study(losses(0.002), *settled), 200)),
        "importance sampling, p = 0.001 at 0.1, n = 200": ("", of_metric(study(losses(0.001, 0.1)), "accuracy", 200)),
        "importance sampling, p = 1e-6 at 0.1, n = 500": ("", of_metric(study(losses(1e-6, 0.1)), "accuracy", 500)),
        "importance sampling, common cause 0.002 at 0.3, n = 600": ("", of_metric(study(group(0.3)), "accuracy", 600)),
        "common cause 0.002 beside losses, n = 400": (few, of_metric(study(group()), "accuracy", 400)),
        "rule, p = 0.1, 2 %, from 100 on": ("", of_rule(study(losses(0.1)), until(0.02, 100, 5000))),
        "rule, p = 0.02, 1 %, from 100 on": (some, of_rule(study(losses(0.02)), until(0.01, 100, 5000))),
        "rule, common cause 0.002, 0.5 %, from 400 on": ("", of_rule(study(group()), until(0.005, 400, 20000))),
        "rule, common cause 0.002 at 0.3, 0.5 %, from 400 on": ("", of_rule(study(group(0.3)), until(0.005, 400, 20000))),
    }  # fmt: skip


def main() -> None:
    """Measure everything, and write the table."""
    lines = ["| what | covered | no width | median width / 2 | remark |", "|---|---|---|---|---|"]
    for name, (remark, one) in cases().items():
        found = [one(seed) for seed in range(1, N_STUDIES + 1)]
        n_held = sum(not (estimate.low > truth or estimate.high < truth) for estimate, truth in found)
        n_flat = sum(estimate.low == estimate.high for estimate, _ in found)
        half = float(np.nanmedian([(estimate.high - estimate.low) / 2 for estimate, _ in found]))
        lines.append(f"| {name} | {100 * n_held / N_STUDIES:.1f} % | {n_flat} | {half:.2g} | {remark} |")
        print(lines[-1], flush=True)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END, 1)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
