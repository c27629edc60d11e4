"""Pools in a trial: which worker is given which task, as the workers ask, and what is given again."""

from __future__ import annotations

from collections.abc import Callable

from edgesim.engine.program.pools import PoolTable
from edgesim.engine.state.request import Request
from edgesim.engine.state.world import World


class _Open:
    """A pool of one request: what of it is given and done.

    ``left``: tasks to be given, in order. ``waiting``: workers that asked and were given nothing, in order. ``given``: by task, the workers
    that were given it. ``done``: the tasks whose result came. ``n_turns``: by worker, how many of its turns have begun. ``n_timed``: by task,
    how many moments are to come at which it goes to another. ``under_way``: by worker, the tasks that it was given and has not computed, or
    with tasks that are dealt, that are not done.
    """

    __slots__ = ("done", "given", "left", "n_timed", "n_turns", "under_way", "waiting")

    def __init__(self, table: PoolTable) -> None:
        n_tasks = len(table.begins)
        self.left = [] if table.dealt else list(range(n_tasks))
        self.waiting: list[int] = []
        self.given: list[list[int]] = [[] for _ in range(n_tasks)]
        self.done: set[int] = set()
        self.n_turns = [0] * table.n_workers
        self.n_timed = [0] * n_tasks
        self.under_way: list[set[int]] = [set() for _ in range(table.n_workers)]


class Pools:
    """All pools of a trial.

    Parameters
    ----------
    world : the trial's surroundings.
    begin : lets a step of a request begin.
    close : ends a request of which nothing is under way any more.
    """

    def __init__(self, world: World, begin: Callable[[Request, int], None], close: Callable[[Request], None]) -> None:
        self._tables = world.program.pools
        self._clock, self._checker = world.clock, world.checker
        self._begin, self._close = begin, close
        self._open: dict[tuple[int, int], _Open] = {}

    def open(self, request: Request) -> None:
        """Let the first turns of a request begin, or deal its tasks out."""
        for number, table in enumerate(self._tables[request.plan]):
            pool = self._open[request.number, number] = _Open(table)
            for task, worker in enumerate(table.dealt):
                self._give(request, number, pool, task, worker)
            for worker in range(len(table.turns)):
                self._take_turn(request, table, pool, worker)

    def forget(self, request: Request) -> None:
        """Nothing of a request is under way any more."""
        for number in range(len(self._tables[request.plan])):
            self._open.pop((request.number, number), None)

    def ended(self, request: Request, index: int) -> None:
        """Take note that a computation has ended, or that a message has come in time."""
        for number, table in enumerate(self._tables[request.plan]):
            pool = self._open[request.number, number]
            if index in table.results and request.missing[table.user] >= 0:
                self._done(request, table, pool, table.results[index])
            if index in table.computed and table.turns:
                worker = table.computed[index]
                pool.under_way[worker].clear()
                self._take_turn(request, table, pool, worker)
            if index in table.asks and not self._hand_out(request, number, pool, table.asks[index]):
                pool.waiting.append(table.asks[index])

    def _take_turn(self, request: Request, table: PoolTable, pool: _Open, worker: int) -> None:
        """Let a worker ask, if it may have another task."""
        turns = table.turns[worker]
        if pool.n_turns[worker] < len(turns):
            pool.n_turns[worker] += 1
            self._let(request, turns[pool.n_turns[worker] - 1])

    def _let(self, request: Request, index: int) -> None:
        """Let a step begin as soon as its inputs are there."""
        request.missing[index] -= 1
        if request.missing[index] == 0:
            self._begin(request, index)

    def _hand_out(self, request: Request, number: int, pool: _Open, worker: int) -> bool:
        """Give a worker the first task that it may have; False when there is none."""
        if request.missing[self._tables[request.plan][number].user] < 0:
            return True  # nobody needs the tasks any more
        task = next((one for one in pool.left if worker not in pool.given[one]), None)
        if task is None:
            return False
        pool.left.remove(task)
        self._give(request, number, pool, task, worker)
        return True

    def _give(self, request: Request, number: int, pool: _Open, task: int, worker: int) -> None:
        table = self._tables[request.plan][number]
        if self._checker is not None:
            is_free = bool(table.dealt) or not pool.under_way[worker]
            self._checker.gives(
                task, worker, is_new=worker not in pool.given[task], is_open=task not in pool.done, is_free=is_free
            )
        pool.given[task].append(worker)
        pool.under_way[worker].add(task)
        if table.again_s is not None and len(pool.given[task]) < table.n_workers:
            pool.n_timed[task] += 1
            request.n_open += 1
            self._clock.after(table.again_s, self._on_overdue, (request, number, task))
        self._let(request, table.begins[task][worker])

    def _on_overdue(self, overdue: tuple[Request, int, int]) -> None:
        """Give a task that is not done to another worker, unless nobody needs it."""
        request, number, task = overdue
        pool = self._open.get((request.number, number))
        if pool is None or task in pool.done:
            return
        table = self._tables[request.plan][number]
        if request.missing[table.user] >= 0:
            self._give_again(request, number, table, pool, task)
        pool.n_timed[task] -= 1
        request.n_open -= 1
        if request.n_open == 0:
            self._close(request)

    def _give_again(self, request: Request, number: int, table: PoolTable, pool: _Open, task: int) -> None:
        others = [worker for worker in range(table.n_workers) if worker not in pool.given[task]]
        if table.dealt:
            self._give(request, number, pool, task, min(others, key=lambda worker: len(pool.under_way[worker])))
            return
        pool.left.insert(0, task)
        worker = next((one for one in pool.waiting if one in others), None)
        if worker is not None:
            pool.waiting.remove(worker)
            self._hand_out(request, number, pool, worker)

    def _done(self, request: Request, table: PoolTable, pool: _Open, task: int) -> None:
        """Take note that a task is done: nobody misses the messages of its other copies, nor waits for them."""
        if task in pool.done:
            return
        pool.done.add(task)
        if task in pool.left:
            pool.left.remove(task)
        if table.dealt:
            for worker in pool.given[task]:
                pool.under_way[worker].discard(task)
        for index in table.messages[task]:
            request.delivered[index] = True
        request.n_open -= pool.n_timed[task]
        pool.n_timed[task] = 0
