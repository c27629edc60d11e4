"""How much waits at every resource over time, in one trial under load of each strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.study.trials.trial import streams_of, trace_under_load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.domain.records import Sample
    from edgesim.study.cases.design import Case
    from edgesim.study.cases.shared import Shared


def queues(shared: Shared, known: Mapping[str, Sequence[Sample]]) -> list[tuple[str, Sample]] | None:
    """Return the rows of what waits over time, strategy and sample, or None when no trial has many requests.

    They are of the first replication of every strategy at its first factor point, with its failures.

    Parameters
    ----------
    shared : the study.
    known : by strategy, what was sampled while the study ran; what was simulated before, and kept, is simulated once more.
    """
    first: dict[str, Case] = {}
    for case in shared.cases:
        first.setdefault(case.strategy, case)
    if any(case.load is None for case in first.values()):
        return None
    return [(name, one) for name, case in first.items() for one in known.get(name) or _sampled(shared, case)]


def _sampled(shared: Shared, case: Case) -> Sequence[Sample]:
    streams = streams_of(case.seed).replication(0)
    return trace_under_load(shared, case, streams, case.load, has_samples=True).samples
