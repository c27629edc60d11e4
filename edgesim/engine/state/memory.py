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


class Memory:
    """The memory of the devices in one trial.

    A `fifo` device knows when a computation begins and ends as soon as it is asked, so what is to come is kept by device until its time is
    reached; it is as much as waits for the device.

    Parameters
    ----------
    program : the plan on its topology.
    from_s : when measuring begins, in s.
    """

    __slots__ = (
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
        "_where",
    )

    def __init__(self, program: Program, from_s: float) -> None:
        steps = program.steps
        position = {step.step_id: index for index, step in enumerate(steps.step)}
        weights = [program.plan.weight_byte.get(device_id, 0) for device_id in program.devices.device_ids]
        device = {device_id: index for index, device_id in enumerate(program.devices.device_ids)}
        self._from_s = from_s
        sizes = [step.size_byte if isinstance(step, Transfer) else step.activation_byte for step in steps.step]
        self._sizes = sizes
        self._ends = [
            (device[step.src_id], device[step.dst_id]) if isinstance(step, Transfer) else (device[step.device_id],) * 2
            for step in steps.step
        ]
        inputs = [[position[name] for name in step.inputs] for step in steps.step]
        self._inputs = [sorted((one for one in some if sizes[one] > 0), key=sizes.__getitem__) for some in inputs]
        self._n_users = [sum(steps.device[user] >= 0 for user in users) for users in steps.users]
        self._numbers = count()
        self._level, self._peak = list(weights), [0] * len(weights)
        self._held: list[dict[int, _Held]] = [{} for _ in weights]  # by device and request
        self._where: dict[int, list[int]] = {}  # by request: the devices at which it was
        self._coming: list[list[tuple[float, int, int, int, bool]]] = [[] for _ in weights]  # by device

    def sends(self, task: Task, now_s: float) -> None:
        """A message is ready: its sender holds it."""
        request, index = task
        if self._sizes[index] > 0:
            device = self._ends[index][0]
            if self._coming[device]:
                self._settle(device, now_s)
            self._hold(device, now_s, request.number, index)

    def gone(self, task: Task, now_s: float) -> None:
        """A message has arrived, or is lost: its sender holds it no more."""
        request, index = task
        if self._sizes[index] > 0:
            device = self._ends[index][0]
            if self._coming[device]:
                self._settle(device, now_s)
            self._let_go(device, now_s, request.number, index)

    def came(self, task: Task, now_s: float) -> None:
        """A message has arrived in time: its receiver holds it."""
        request, index = task
        if self._sizes[index] > 0:
            device = self._ends[index][1]
            if self._coming[device]:
                self._settle(device, now_s)
            self._hold(device, now_s, request.number, index)

    def begins(self, task: Task, start_s: float, now_s: float) -> None:
        """A computation begins, now or later; what it needed is part of its activations from then on. The handling of a message is none."""
        request, index = task
        device, other = self._ends[index]
        if device == other and (self._sizes[index] > 0 or self._inputs[index]):
            if start_s > now_s:
                self._plan(device, start_s, task, begins=True)
            else:
                self._settle(device, now_s)
                self._begin(device, now_s, request.number, index)

    def ends(self, task: Task, end_s: float) -> None:
        """A computation ends, now or later."""
        device, other = self._ends[task[1]]
        if device == other and self._n_users[task[1]] == 0 and self._sizes[task[1]] > 0:
            self._plan(device, end_s, task, begins=False)

    def forget(self, request: Request, now_s: float) -> None:
        """Nothing of a request is under way any more."""
        for device in self._where.pop(request.number, ()):
            self._settle(device, now_s)
            own = self._held[device].pop(request.number)
            if own.most_byte > 0:
                self._change(device, now_s, -own.most_byte)

    def peak_byte(self, device: int, to_s: float) -> int:
        """Return the most that a device held at once until a moment, in byte."""
        self._settle(device, to_s)
        return max(self._peak[device], self._level[device])

    def _plan(self, device: int, moment_s: float, task: Task, *, begins: bool) -> None:
        """Note that a computation will begin or end."""
        request, index = task
        self._own(device, request.number)  # so that it is known where it was
        heappush(self._coming[device], (moment_s, next(self._numbers), request.number, index, begins))

    def _settle(self, device: int, until_s: float) -> None:
        """Let the computations of a device begin and end that were to do so until a moment."""
        coming = self._coming[device]
        while coming and coming[0][0] <= until_s:
            moment_s, _, number, index, begins = heappop(coming)
            if number not in self._held[device]:
                continue  # nothing of the request is under way any more
            if begins:
                self._begin(device, moment_s, number, index)
            else:
                self._let_go(device, moment_s, number, index)

    def _own(self, device: int, number: int) -> _Held:
        """Return what a request holds at a device."""
        own = self._held[device].get(number)
        if own is None:
            own = self._held[device][number] = _Held()
            where = self._where.get(number)
            if where is None:
                self._where[number] = [device]
            else:
                where.append(device)
        return own

    def _hold(self, device: int, moment_s: float, number: int, index: int) -> None:
        """Let a request hold the result of a step at a device, until those who need it there have begun."""
        own = self._held[device].get(number) or self._own(device, number)
        users, size = own.users, self._sizes[index]
        if size >= own.most_byte and index not in users:
            if size == own.most_byte:
                own.n_most += 1
            else:
                self._change(device, moment_s, size - own.most_byte)
                own.most_byte, own.n_most = size, 1
        users[index] = self._n_users[index]

    def _begin(self, device: int, moment_s: float, number: int, index: int) -> None:
        """Let a computation begin: it holds its activations, and needs its inputs no more."""
        if self._sizes[index] > 0:
            self._hold(device, moment_s, number, index)
        users = self._own(device, number).users
        for one in self._inputs[index]:
            n_users = users.get(one, 0)
            if n_users > 1:
                users[one] = n_users - 1
            elif one in users:
                self._let_go(device, moment_s, number, one)

    def _let_go(self, device: int, moment_s: float, number: int, index: int) -> None:
        """Let a request hold the result of a step at a device no more, if it does."""
        own = self._held[device].get(number)
        if own is None or own.users.pop(index, None) is None or self._sizes[index] < own.most_byte:
            return
        own.n_most -= 1
        if own.n_most == 0:
            before, own.most_byte = own.most_byte, 0
            if own.users:
                sizes = [self._sizes[one] for one in own.users]
                own.most_byte = max(sizes)
                own.n_most = sizes.count(own.most_byte)
            self._change(device, moment_s, own.most_byte - before)

    def _change(self, device: int, moment_s: float, n_byte: int) -> None:
        """Let a device hold more or less from a moment on."""
        level, peak = self._level[device], self._peak[device]
        if moment_s > self._from_s and level > peak:
            peak = level
        level += n_byte
        if moment_s >= self._from_s and level > peak:
            peak = level
        self._level[device], self._peak[device] = level, peak


class _Held:
    """What a request holds at a device: by step, how many still wait for it there; the size of the largest, and how many are as large."""

    __slots__ = ("most_byte", "n_most", "users")

    def __init__(self) -> None:
        self.users: dict[int, int] = {}
        self.most_byte = 0
        self.n_most = 0
