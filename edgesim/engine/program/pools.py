"""Pools of a program by indices: what each step is to its pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesim.domain.plan import Compute, Plan, Pool, Transfer
from edgesim.engine.program.spans import Span
from edgesim.engine.program.steps import StepTable


@dataclass(frozen=True, slots=True)
class PoolTable:
    """One pool; workers and tasks by their positions.

    Parameters
    ----------
    begins : by task and worker: the step that begins when the worker is given the task.
    turns : by worker: the step with which each of its turns begins.
    asks : by step that ends a turn: the worker.
    computed : by computation of a copy: the worker.
    results : by last step of a copy: the task.
    messages : by task: the messages of its copies.
    user : the step that needs the results.
    dealt, again_s : as of `edgesim.domain.plan.Pool`.
    """

    begins: tuple[tuple[int, ...], ...]
    turns: tuple[tuple[int, ...], ...]
    asks: dict[int, int]
    computed: dict[int, int]
    results: dict[int, int]
    messages: tuple[tuple[int, ...], ...]
    user: int
    dealt: tuple[int, ...]
    again_s: float | None

    @property
    def n_workers(self) -> int:
        """Number of workers."""
        return len(self.begins[0])

    def lets_begin(self, index: int) -> tuple[int, ...]:
        """Return the steps whose end may have let one begin; none for a step that the pool does not hold."""
        for worker in range(self.n_workers):
            if any(index == row[worker] for row in self.begins):
                return tuple(ask for ask, asking in self.asks.items() if asking == worker)
            if self.turns and index in self.turns[worker]:
                return tuple(step for step, computing in self.computed.items() if computing == worker)
        return ()


def pool_tables(plan: Plan, steps: StepTable, spans: Sequence[Span]) -> tuple[tuple[PoolTable, ...], ...]:
    """Return the pools of each plan of a program, given all its steps as one plan."""
    position = {step.step_id: index for index, step in enumerate(plan.steps)}
    tables = [_table(pool, position, steps) for pool in plan.pools]
    return tuple(tuple(table for table in tables if table.user in span.steps) for span in spans)


def _table(pool: Pool, position: dict[str, int], steps: StepTable) -> PoolTable:
    copies = [(task, worker, row) for task, rows in enumerate(pool.tasks) for worker, row in enumerate(rows)]
    results = {position[row[-1]]: task for task, _, row in copies}
    return PoolTable(
        begins=tuple(tuple(position[row[0]] for row in rows) for rows in pool.tasks),
        turns=tuple(tuple(position[turn[0]] for turn in turns) for turns in pool.turns),
        asks={position[turn[-1]]: worker for worker, turns in enumerate(pool.turns) for turn in turns},
        computed={
            position[name]: worker
            for _, worker, row in copies
            for name in row
            if isinstance(steps.step[position[name]], Compute)
        },
        results=results,
        messages=tuple(
            tuple(position[name] for row in rows for name in row if isinstance(steps.step[position[name]], Transfer))
            for rows in pool.tasks
        ),
        user=steps.users[next(iter(results))][0],
        dealt=pool.dealt,
        again_s=pool.again_s,
    )
