"""What a study runs: its cases."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesim.domain.evaluation import EVERYTHING, Evaluation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.evaluation import Engine
    from edgesim.domain.load import Load
    from edgesim.domain.networks.learning import Learnt
    from edgesim.domain.networks.task import Score
    from edgesim.domain.system.people import People
    from edgesim.domain.system.topology import Topology
    from edgesim.engine.program.compiled import Program
    from edgesim.interfaces import Deployment, FailureModel, Recovery


class Deployments:
    """What the strategies made, by position.

    Pickled as one piece of its own, which is unpickled when a deployment is first wanted: most tasks simulate and ask no
    network, and whoever loads networks must load torch.
    """

    def __init__(self, made: Sequence[Deployment]) -> None:
        self._made: Sequence[Deployment] | None = tuple(made)
        self._pickled = b""

    def __getitem__(self, position: int) -> Deployment:
        if self._made is None:
            self._made = pickle.loads(self._pickled)  # noqa: S301 - written by the main process of this study
            self._pickled = b""
        return self._made[position]

    def __getstate__(self) -> bytes:
        return self._pickled or pickle.dumps(self._made, protocol=pickle.HIGHEST_PROTOCOL)

    def __setstate__(self, state: bytes) -> None:
        self._made, self._pickled = None, state


@dataclass(frozen=True, slots=True)
class Prepared:
    """A deployment, ready to be simulated.

    Parameters
    ----------
    program : its plan, compiled for the topology.
    targets : of the test split, what answers are compared with.
    scores : those of the task that are computed, the main one first.
    uses_partial : whether the deployment uses messages of which only some packets arrived.
    learnt : what the networks reached that the strategy trained.
    plan_of_sample : which plan of the program each test sample follows, where there are several.
    """

    program: Program
    targets: NDArray[Any]
    scores: tuple[Score, ...]
    uses_partial: bool = False
    learnt: tuple[Learnt, ...] = ()
    plan_of_sample: tuple[int, ...] = ()

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the test samples that follow each plan."""
        if not self.plan_of_sample:
            return (1.0,)
        n_samples = len(self.plan_of_sample)
        return tuple(self.plan_of_sample.count(number) / n_samples for number in range(len(self.program.plans)))

    def plan_of(self, sample: int) -> int:
        """Return which plan a test sample follows."""
        return self.plan_of_sample[sample] if self.plan_of_sample else 0


@dataclass(frozen=True, slots=True)
class Case:
    """One strategy at one factor point.

    Parameters
    ----------
    point : value of each factor.
    strategy : label of the strategy.
    prepared : position of its `Prepared` in the study; cases that differ only in their failures share it.
    topology, failures, deadline_s, seed : of the scenario at this point.
    n_samples : size of the test split that the networks are asked; 0 when only the cost matters.
    evaluation : bounds on how much of the accuracy is computed.
    load : the requests of a trial; None: a single one.
    engine : which engine simulates: ``auto``, ``event`` or ``array``.
    exact_up_to : most outcomes of the failures that are enumerated; None: `edgesim.study.cases.outcomes.N_MOST`.
    recovery : what is done about what was lost; None: nothing, and nothing is said of it.
    people : who looks at what is escalated; None: nobody, or that takes no time.
    """

    point: Mapping[str, Any]
    strategy: str
    prepared: int
    topology: Topology
    failures: Mapping[str, FailureModel]
    deadline_s: float | None
    seed: int
    n_samples: int = 1
    evaluation: Evaluation = EVERYTHING
    load: Load | None = None
    engine: Engine = "auto"
    exact_up_to: int | None = None
    people: People | None = None
    recovery: Recovery | None = None

    def __str__(self) -> str:
        place = show_point(self.point)
        return f"strategy {self.strategy!r}" + (f" at {place}" if place else "")


@dataclass(frozen=True, slots=True)
class Unfit:
    """One strategy at one factor point at which it does not fit the memory; nothing of it is simulated.

    Parameters
    ----------
    point : value of each factor.
    strategy : label of the strategy.
    before : number of cases that stand before it in the scenario's order.
    device_id : the device that is too small, or a pattern of several.
    needed_byte, available_byte : what the strategy needs there, and what is there, in byte.
    """

    point: Mapping[str, Any]
    strategy: str
    before: int
    device_id: str
    needed_byte: int
    available_byte: int


INFEASIBLE = "infeasible"
"""Outcome of what does not fit."""


def same_point(cases: Sequence[Case]) -> list[tuple[int, ...]]:
    """Return the positions of the cases at each factor point, in order of their first."""
    together: dict[str, list[int]] = {}
    for position, case in enumerate(cases):
        together.setdefault(repr(sorted(case.point.items())), []).append(position)
    return [tuple(positions) for positions in together.values()]


def show_value(value: object) -> str:
    """Return a factor's value as one text that is the same in every run.

    Examples
    --------
    >>> show_value("5 ms"), show_value(3), show_value(True)
    ('5 ms', '3', 'true')
    """
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def show_point(point: Mapping[str, Any]) -> str:
    """Return a factor point as text, e.g. ``"lost_devices = 3, bandwidth = 5 Mbit/s"``.

    Examples
    --------
    >>> show_point({"lost": 3, "bandwidth": "5 Mbit/s"})
    'lost = 3, bandwidth = 5 Mbit/s'
    """
    return ", ".join(f"{name} = {show_value(value)}" for name, value in point.items())
