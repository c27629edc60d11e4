"""What all tasks of a study need, and what a process that does them remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesim.domain.networks.learning import Learnt
    from edgesim.domain.networks.task import Score
    from edgesim.domain.records import RequestRecord
    from edgesim.engine.arrays.program import ArrayProgram
    from edgesim.study.cases.design import Case, Deployments, Prepared
    from edgesim.study.cases.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process remembers to do nothing twice; it changes no result.

    Parameters
    ----------
    records : of single requests, by case and outages.
    array_programs : by position of the `Prepared`.
    outcomes : of the case that was enumerated last, by its position.
    """

    records: dict[Any, RequestRecord] = field(default_factory=dict)
    array_programs: dict[int, ArrayProgram] = field(default_factory=dict)
    outcomes: dict[int, Outcomes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tasks of a study need; sent to each worker once.

    Parameters
    ----------
    prepared, cases : see there.
    deployments : of each of `prepared`.
    learnt : what the networks reached that were trained, those of the workload first.
    is_checked : whether the event engine checks the invariants; see `edgesim.study.trials.batch.checked`.
    memory : of the process that has it.
    """

    prepared: tuple[Prepared, ...]
    cases: tuple[Case, ...]
    deployments: Deployments
    learnt: tuple[Learnt, ...] = ()
    is_checked: bool = False
    memory: Memory = field(default_factory=Memory)

    @property
    def scores(self) -> tuple[Score, ...]:
        """The scores of all cases, the main one first."""
        return self.prepared[0].scores
