"""Bytes and accuracy with messages of two bytes or one for a number: `python benchmarks/messages.py` writes docs/results/messages.md.

Devices, networks and students are those of `scenarios/resilience-digits.yaml` and `resilience-fashion.yaml`, seed 1; nothing is trained when they have been taken in
(`edgesim models import models/digits/*.json models/fashion-mnist/*.json`). Takes four minutes of one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from resilience import Log

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.messages import Messages
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.modnn import MoDNN
from edgesim.study.preparation.prepare import context_of, load_teacher

if TYPE_CHECKING:
    from edgesim.interfaces import DeploymentContext

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = {"digits": "resilience-digits", "Fashion-MNIST": "resilience-fashion"}
DTYPES = ("float32", "float16", "int8")
N_DEVICES = 8
"""Students of the scenarios; as many workers cut layers."""


def strategies(system: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is compared."""
    for execution in ("mapreduce", "halo"):
        yield f"`modnn`, {execution}", MoDNN(system.source_id, "w*", execution=execution)
    for label in ("nonn", "resilient-4", "ensemble"):
        yield f"`{label}`", system.strategies[label]


def scored(context: DeploymentContext, strategy: Any) -> tuple[int, np.ndarray, float | None]:
    """Return the bytes of one inference, the answers with everything delivered, and of students the accuracy over all sets of four lost."""
    deployment = strategy.deploy(context)
    labels = context.dataset.test.targets
    n_byte = sum(step.size_byte for step in deployment.plan.transfers)
    lost = None
    if not isinstance(strategy, MoDNN):
        results = [step.step_id for step in deployment.plan.transfers if step.kind == "result"]
        sets = [frozenset(some) for some in combinations(results, N_DEVICES // 2)]
        lost = float(np.mean([(deployment.predict(Delivery(some)).argmax(1) == labels).mean() for some in sets]))
    return n_byte, deployment.predict(Delivery()).argmax(1), lost


def rows(name: str) -> list[str]:
    """Return the rows of one data set."""
    system = build(Scenario.load(ROOT / "scenarios" / f"{SCENARIOS[name]}.yaml"))
    context = context_of(system, load_teacher(system, Log()), Log())
    labels = context.dataset.test.targets
    found = []
    for label, strategy in strategies(system):
        whole_byte, as_computed = 0, np.empty(0)
        for dtype in DTYPES:
            n_byte, answers, lost = scored(context, replace(strategy, messages=Messages(dtype)))
            if dtype == "float32":
                whole_byte, as_computed = n_byte, answers
            cells = [
                name, label, dtype, f"{n_byte:,}", f"{n_byte / whole_byte:.3f}", f"{100 * (answers == labels).mean():.2f}",
                str(int((answers != as_computed).sum())), "" if lost is None else f"{100 * lost:.2f}",
            ]  # fmt: skip
            found.append("| " + " | ".join(cells) + " |")
            print(found[-1], flush=True)
    return found


_PAGE = """# Messages of fewer bytes

Made by `python benchmarks/messages.py` with the networks of [scenarios/resilience-digits.yaml and resilience-fashion.yaml](../students.md), seed 1: `modnn` cuts the
teacher over eight workers, students are eight on the same devices. Bytes are those of one inference, all messages together, the image sent to every student
included. Accuracy is of the whole test split ({n_test}), with everything delivered, and of students also as the mean over all 70 sets of
four lost devices. `changed` counts test samples of another class than with float32.

| data set | strategy | messages | byte | of float32 | accuracy, % | changed | accuracy, four lost, % |
|---|---|---|---|---|---|---|---|
{rows}

`int8` is a quarter of the bytes and 8 for each tensor, its range. Those 8 weigh where tensors are small: the features of a student, an image of 8x8 pixels, and
single rows that neighbours exchange. Networks are as they were trained, with float32.
"""


def main() -> None:
    """Write the page."""
    found = [row for name in SCENARIOS for row in rows(name)]
    text = _PAGE.format(n_test="360 digits, 10,000 images of clothes", rows="\n".join(found))
    (ROOT / "docs" / "results" / "messages.md").write_text(text)


if __name__ == "__main__":
    main()
