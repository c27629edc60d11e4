"""How a study is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.errors import Finding, ScenarioError
from edgesim.interfaces import Progress, Silent
from edgesim.processes import n_cpus
from edgesim.study.folder.names import SCENARIO

if TYPE_CHECKING:
    from edgesim.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a study is run; nothing of it but `replications` and `seed` changes a number, beyond rounding.

    Parameters
    ----------
    workers : processes that simulate; one worker runs in this process. By default one worker at first, and when the study takes
        longer than some seconds, a process for each processor.
    output : the result folder; by default ``results/<name>``. A study that is there and not finished goes on.
    replications, seed : in place of the scenario's.
    scheduler : address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, whose workers simulate in place of local processes.
    fresh : whether to begin again when the study is there already.
    check_invariants : whether every trial is checked while it runs (`edgesim.engine.state.invariants`), which only the event engine
        can; the numbers are those of a study without checks, to rounding.
    progress : where training and trials report; by default nowhere.
    command : what repeats this study, for the manifest; by default the command that runs the scenario stored in the folder.

    Raises
    ------
    ScenarioError
        When there is no worker.
    """

    workers: int | None = None
    output: Path | str | None = None
    replications: int | None = None
    seed: int | None = None
    scheduler: str | None = None
    fresh: bool = False
    check_invariants: bool = False
    progress: Progress = Silent()  # noqa: RUF009 - it holds nothing
    command: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ScenarioError((Finding(f"workers: {self.workers} is out of range", expected="at least 1"),))

    @property
    def n_workers(self) -> int:
        """Most processes that simulate."""
        return n_cpus() if self.workers is None else self.workers

    def applied_to(self, scenario: Scenario) -> Scenario:
        """Return the scenario with these replications and this seed."""
        if self.replications is None and self.seed is None:
            return scenario
        return scenario.with_(replications=self.replications, seed=self.seed)

    def folder_of(self, scenario: Scenario) -> Path:
        """Return the result folder."""
        return Path("results") / scenario.name if self.output is None else Path(self.output)

    def command_for(self, folder: Path) -> str:
        """Return what repeats the study."""
        return self.command or f"edgesim run {folder / SCENARIO}" + " --check-invariants" * self.check_invariants
