"""What is written down about a study, so that it can be judged and repeated."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from edgesim.study.design import Case, Shared
from edgesim.study.executor import n_cpus
from edgesim.study.worker import THREAD_VARIABLES

if TYPE_CHECKING:
    from edgesim.scenario.schema import Scenario

FORMAT = 1
"""Raised when the layout of the result folder changes."""
PACKAGES = ("edgesim", "torch", "numpy", "scipy", "simpy", "pandas", "pyarrow", "matplotlib")


def manifest(
    scenario: Scenario,
    shared: Shared,
    intact: Sequence[dict[str, Any]],
    *,
    command: str,
    workers: int,
    started: datetime,
) -> dict[str, Any]:
    """Return the manifest as plain JSON values, without the list of files."""
    return {
        "format": FORMAT,
        "name": scenario.name,
        "question": scenario.question,
        "hash": scenario.hash(),
        "seed": scenario.seed,
        "replications": scenario.replications,
        "factors": list(shared.cases[0].point),
        "command": command,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "platform": {"system": platform.platform(), "machine": platform.machine(), "processors": n_cpus()},
        "workers": workers,
        "threads_per_worker": dict.fromkeys(THREAD_VARIABLES, 1),
        "deployments": [_deployment(shared, case) for case in _first_of_each(shared.cases)],
        "intact": list(intact),
        "scenario": scenario.resolved(),
    }


def _first_of_each(cases: Sequence[Case]) -> list[Case]:
    """Return one case of each label and deployment; those that only differ in their failures are the same."""
    seen: dict[tuple[str, int], Case] = {}
    for case in cases:
        seen.setdefault((case.strategy, case.prepared), case)
    return list(seen.values())


def _deployment(shared: Shared, case: Case) -> dict[str, Any]:
    prepared = shared.prepared[case.prepared]
    return {
        "strategy": case.strategy,
        "first_point": dict(case.point),
        "peak_memory_byte": prepared.program.peak_memory_byte,
        "description": prepared.deployment.describe(),
    }
