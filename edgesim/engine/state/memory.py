"""What devices hold in memory over time: weights once, and what every request in the system keeps there.

A request keeps at a device the largest of what is alive of it there: a message from when it is ready until it has arrived, at its receiver from then on
until the computation that needs it begins; the activations of a computation from its beginning to its end, or until the last computation on the same
device that goes on with its result has begun. So one request alone needs what `Plan.peak_memory_byte` says, and requests that overlap add up.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from edgesim.domain.plan import Transfer

if TYPE_CHECKING:
    from edgesim.engine.program.compiled import Program
    from edgesim.engine.state.request import Request, Task

_NO_MORE, _ONE_USER_LESS, _EVERYTHING = -1, -2, -1


class Memory:
    """The memory of the devices in one trial.

    A `fifo` device knows when a computation begins as soon as it is asked, so changes to come are kept by device until their time is
    reached; they are as many as wait for the device.

    Parameters
    ----------
    program : the plan on its topology.
    from_s : when measuring begins, in s.
    """

    __slots__ = (
        "_at",
        "_coming",
        "_ends",
        "_from_s",
        "_held",
        "_inputs",
        "_level",
        "_n_users",
        "_numbers",
        "_peak",
        "_sizes",
    )

    def __init__(self, program: Program, from_s: float) -> None:
        steps = program.steps
        position = {step.step_id: index for index, step in enumerate(steps.step)}
        weights = [program.plan.weight_byte.get(device_id, 0) for device_id in program.devices.device_ids]
        device = {device_id: index for index, device_id in enumerate(program.devices.device_ids)}
        self._from_s = from_s
        self._sizes = [step.size_byte if isinstance(step, Transfer) else step.activation_byte for step in steps.step]
        self._ends = [
            (device[step.src_id], device[step.dst_id]) if isinstance(step, Transfer) else (device[step.device_id],) * 2
            for step in steps.step
        ]
        self._inputs = [tuple(position[name] for name in step.inputs) for step in steps.step]
        self._n_users = [sum(steps.device[user] >= 0 for user in users) for users in steps.users]
        self._numbers = count()
        self._level, self._peak = list(weights), [0] * len(weights)
        self._at: dict[int, set[int]] = {}  # by request: where it was
        self._held: list[dict[int, _Held]] = [{} for _ in weights]  # by device and request
        self._coming: list[list[tuple[float, int, int, int, int]]] = [[] for _ in weights]

    def sends(self, task: Task, now_s: float) -> None:
        """A message is ready: its sender holds it."""
        self._change(self._ends[task[1]][0], now_s, task, self._sizes[task[1]])

    def gone(self, task: Task, now_s: float) -> None:
        """A message has arrived, or is lost: its sender holds it no more."""
        device = self._ends[task[1]][0]
        self._change(device, now_s, task, _NO_MORE)
        self._settle(device, now_s)

    def came(self, task: Task, now_s: float) -> None:
        """A message has arrived in time: its receiver holds it."""
        self._change(self._ends[task[1]][1], now_s, task, self._sizes[task[1]])

    def begins(self, task: Task, start_s: float) -> None:
        """A computation begins, now or later; what it needed is part of its activations from then on. The handling of a message is none."""
        request, index = task
        device, other = self._ends[index]
        if device != other:
            return
        self._change(device, start_s, task, self._sizes[index])
        for one in self._inputs[index]:
            self._change(device, start_s, (request, one), _ONE_USER_LESS)

    def ends(self, task: Task, end_s: float) -> None:
        """A computation ends, now or later."""
        device, other = self._ends[task[1]]
        if device == other and self._n_users[task[1]] == 0:
            self._change(device, end_s, task, _NO_MORE)

    def forget(self, request: Request, now_s: float) -> None:
        """Nothing of a request is under way any more."""
        for device in self._at.pop(request.number, ()):
            heappush(self._coming[device], (now_s, next(self._numbers), request.number, _EVERYTHING, _NO_MORE))
            self._settle(device, now_s)

    def peak_byte(self, device: int, to_s: float) -> int:
        """Return the most that a device held at once until a moment, in byte."""
        self._settle(device, to_s)
        return max(self._peak[device], self._level[device])

    def _change(self, device: int, moment_s: float, task: Task, n_byte: int) -> None:
        request, index = task
        if self._sizes[index] == 0:
            return  # nothing is held, or let go
        number = request.number
        at = self._at.get(number)
        if at is None:
            at = self._at[number] = set()
        at.add(device)
        heappush(self._coming[device], (moment_s, next(self._numbers), number, index, n_byte))

    def _settle(self, device: int, until_s: float) -> None:
        """Take the changes of a device until a moment."""
        coming, from_s = self._coming[device], self._from_s
        level, peak = self._level[device], self._peak[device]
        while coming and coming[0][0] <= until_s:
            moment_s, _, number, index, n_byte = heappop(coming)
            if moment_s > from_s and level > peak:
                peak = level
            level += self._taken(self._held[device], number, index, n_byte)
            if moment_s >= from_s and level > peak:
                peak = level
        self._level[device], self._peak[device] = level, peak

    def _taken(self, held: dict[int, _Held], number: int, index: int, n_byte: int) -> int:
        """Take one change of what a request holds at a device, and return by how much the most of it grows."""
        own = held.get(number)
        if own is None:
            if n_byte < 0:
                return 0
            own = held[number] = _Held()
        before, users = own.most_byte, own.users
        if n_byte >= 0:
            users[index] = self._n_users[index]
            own.most_byte = max(before, n_byte)
        elif index == _EVERYTHING:
            users.clear()
        elif index in users:
            if n_byte == _ONE_USER_LESS and users[index] > 1:
                users[index] -= 1
                return 0
            del users[index]
            if self._sizes[index] == before:
                own.most_byte = max(map(self._sizes.__getitem__, users), default=0)
        if not users:
            del held[number]
            return -before
        return own.most_byte - before


class _Held:
    """What a request holds at a device: the users that each thing still waits for, by step, and the size of the largest of them."""

    __slots__ = ("most_byte", "users")

    def __init__(self) -> None:
        self.most_byte = 0
        self.users: dict[int, int] = {}
