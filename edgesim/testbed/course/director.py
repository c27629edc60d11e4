"""Releases requests one by one, and brings about what meets them: stops devices, and lets them go on."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, nan
from typing import TYPE_CHECKING, Any, Protocol

from edgesim.errors import ExecutionError
from edgesim.testbed.course.fate import Fate
from edgesim.testbed.pacing import sleep_until

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.testbed.course.simulated import Simulated

PAUSE_S = 0.05
"""Between the end of a request and the next release."""
GIVE_UP_S = 0.5
"""How much longer than in the simulation is waited for an answer that does not come there."""
_PATIENCE_S = 30.0
_STEP_S = 0.25
_Action = tuple[float, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: when it was released and answered, in s of one clock, and what the answer is; NaN and nothing without one."""

    number: int
    released_s: float
    answered_s: float
    values: list[float]


class Switched(Protocol):
    """A link of the kernel."""

    def switch(self, *, is_up: bool) -> None:
        """Let packets through, or none."""


class Nodes(Protocol):
    """The processes of the devices."""

    @property
    def processes(self) -> Mapping[str, subprocess.Popen[str]]:
        """By device."""

    def tell(self, device_id: str, **document: Any) -> None:
        """Write a line to a node."""

    def listen(self, until_s: float) -> tuple[str, dict[str, Any]] | None:
        """Return what a node says next; None when none does until then."""


def undisturbed(course: Simulated) -> Simulated:
    """Return a request that nothing fails in, for the warm-up: it may take as long."""
    return replace(course, latency_s=course.over_s, fate=Fate())


@dataclass(frozen=True, slots=True)
class Director:
    """Asks, one request after another.

    Parameters
    ----------
    plan : what is executed.
    hops_of : for each hop of each message, whose outages interrupt it: the link, and what passes it on.
    nodes : the processes.
    links : by id, those that the kernel takes down; None where nodes pace what they send.
    """

    plan: Plan
    hops_of: Mapping[str, Sequence[Collection[str]]]
    nodes: Nodes
    links: Mapping[str, Switched] | None = None

    def ask(self, number: int, course: Simulated) -> Answered:
        """Release a request, let it meet its fate, and wait until nothing of it is under way.

        Raises
        ------
        ExecutionError
            When a node fails, or no answer comes though one does in the simulation.
        """
        released_s = time.monotonic() + PAUSE_S
        for device_id in self.nodes.processes:
            fate = course.fate.of(device_id, self.plan, self.hops_of, released_s, is_kernel=self.links is not None)
            self.nodes.tell(device_id, release=number, at_s=released_s, fate=fate)
        over_s = released_s + course.over_s
        patience_s = 10 * course.latency_s + _PATIENCE_S if course.is_answered else course.over_s + GIVE_UP_S
        found = Answered(number, released_s, nan, [])
        untold = set(self.nodes.processes)
        while untold and (heard := self._heard(_PATIENCE_S)) is not None:
            untold -= {heard[0]} if heard[1].get("told") == number else set()
            found = _answered(found, heard[1])
        with self._disturbed(course, released_s):
            while not found.values and (heard := self._heard(patience_s)) is not None:
                found = _answered(found, heard[1])
            if course.is_answered and not found.values:
                raise ExecutionError(
                    f"the answer to request {number} did not come in time; the machine may be too busy"
                )
            sleep_until(over_s + PAUSE_S)
        return found

    def _heard(self, patience_s: float) -> tuple[str, dict[str, Any]] | None:
        """Return what a node says next; None when none does for so long, without the time in which this process itself was stopped, or got no core."""
        for _ in range(ceil(patience_s / _STEP_S)):
            heard = self.nodes.listen(time.monotonic() + _STEP_S)
            if heard is not None:
                return heard
        return None

    @contextmanager
    def _disturbed(self, course: Simulated, released_s: float) -> Iterator[None]:
        """Stop devices when they are down; at the end all go on."""
        actions = sorted(
            (action for action in self._actions(course, released_s) if action[0] < inf), key=lambda action: action[0]
        )
        stop = threading.Event()

        def act() -> None:
            for at_s, do in actions:
                if stop.wait(max(0.0, at_s - time.monotonic())):
                    return
                do()

        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            links = self.links or {}
            for target_id in dict.fromkeys(one.target_id for one in course.fate.outages):
                if target_id in self.nodes.processes:
                    self._signal(target_id, signal.SIGCONT)
                elif target_id in links:
                    links[target_id].switch(is_up=True)

    def _actions(self, course: Simulated, released_s: float) -> Iterator[_Action]:
        links = self.links or {}
        for one in course.fate.outages:
            begun_s = released_s + one.start_s - (PAUSE_S / 4 if one.start_s == 0 else 0.0)
            if one.target_id in self.nodes.processes:
                yield begun_s, partial(self._signal, one.target_id, signal.SIGSTOP)
                yield released_s + one.end_s, partial(self._signal, one.target_id, signal.SIGCONT)
            elif one.target_id in links:
                yield begun_s, partial(links[one.target_id].switch, is_up=False)
                yield released_s + one.end_s, partial(links[one.target_id].switch, is_up=True)

    def _signal(self, device_id: str, number: signal.Signals) -> None:
        self.nodes.processes[device_id].send_signal(number)


def _answered(found: Answered, said: Mapping[str, Any]) -> Answered:
    return (
        replace(found, answered_s=said["at_s"], values=said["values"]) if said.get("answer") == found.number else found
    )
