"""What all tasks of a study need, and what a process that does them remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgesim.domain.networks.learning import Learnt
    from edgesim.domain.networks.task import Score
    from edgesim.domain.records import RequestRecord
    from edgesim.engine.arrays.program import ArrayProgram
    from edgesim.study.cases.design import Case, Deployments, Prepared, Unfit
    from edgesim.study.cases.outcomes import OutcomesOfPlans

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process remembers to do nothing twice; it changes no result.

    Parameters
    ----------
    records : of single requests, by case and outages.
    array_programs : by position of the `Prepared`, and whether several requests follow each other.
    outcomes : of the case that was enumerated last, by its position.
    """

    records: dict[Any, RequestRecord] = field(default_factory=dict)
    array_programs: dict[tuple[int, bool], ArrayProgram] = field(default_factory=dict)
    outcomes: dict[int, OutcomesOfPlans] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tasks of a study need; sent to each worker once.

    Parameters
    ----------
    prepared, cases : see there.
    deployments : of each of `prepared`.
    learnt : what the networks reached that were trained, those of the workload first.
    is_checked : whether the event engine checks the invariants; see `edgesim.study.trials.batch.checked`.
    unfit : strategies that do not fit the memory, which are no cases.
    memory : of the process that has it.
    """

    prepared: tuple[Prepared, ...]
    cases: tuple[Case, ...]
    deployments: Deployments
    learnt: tuple[Learnt, ...] = ()
    is_checked: bool = False
    unfit: tuple[Unfit, ...] = ()
    memory: Memory = field(default_factory=Memory)

    @property
    def scores(self) -> tuple[Score, ...]:
        """The scores of all cases, the main one first."""
        return self.prepared[0].scores

    def with_unfit(
        self, of_cases: Sequence[Said], of_unfit: Callable[[Unfit], Said]
    ) -> tuple[list[Case | Unfit], list[Said]]:
        """Return the cases with those that do not fit among them, in the scenario's order, and what is said of each."""
        said: list[tuple[int, int, Case | Unfit, Said]] = [(one.before, 1, one, of_unfit(one)) for one in self.unfit]
        for position, (case, one) in enumerate(zip(self.cases, of_cases, strict=True), start=1):
            said.append((position, 0, case, one))
        said.sort(key=lambda entry: entry[:2])
        return [entry[2] for entry in said], [entry[3] for entry in said]
