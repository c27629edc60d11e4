"""Plans with pools, as they are shown: one copy of each task stands for all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgesim.compute.forecast import Forecast
    from edgesim.domain.plan import Plan


def shown(plan: Plan, times: Mapping[str, Forecast]) -> dict[str, int]:
    """Return how many devices may do each step that is shown: 1, or of the copy of a task that stands for all the number of copies.

    It is of those with most bytes the one that would be done first; the others and asks are left out.
    """
    sizes = {transfer.step_id: transfer.size_byte for transfer in plan.transfers}
    found = {step.step_id: 1 for step in plan.steps}
    for pool in plan.pools:
        for name in (*pool.asks, *(name for rows in pool.tasks for row in rows for name in row)):
            del found[name]
        for rows in pool.tasks:
            one = min(rows, key=lambda row: (-sum(sizes.get(name, 0) for name in row), times[row[-1]].ended_s))
            found.update(dict.fromkeys(one, len(rows)))
    return found


def enough(plan: Plan) -> tuple[tuple[int, int, int], ...]:
    """Return of alternatives that are no copies of a pool's tasks how many are enough, of how many, and how often that is so."""
    copies = {row[-1] for pool in plan.pools for rows in pool.tasks for row in rows}
    found = Counter(
        (step.n_enough, len(group)) for step in plan.computes for group in step.alternatives if copies.isdisjoint(group)
    )
    return tuple((n, n_all, times) for (n, n_all), times in found.items())


def sent(plan: Plan) -> tuple[int, int]:
    """Return how many messages a plan sends, and their bytes; with pools at most so many, where nothing is done again."""
    sizes = {transfer.step_id: transfer.size_byte for transfer in plan.transfers}
    found: list[int] = []
    for pool in plan.pools:
        for rows in pool.tasks:
            found += max(([sizes.pop(name) for name in row if name in sizes] for row in rows), key=sum)
        asks = [[sizes.pop(name) for turn in turns for name in turn if name in sizes] for turns in pool.turns]
        n_most = len(pool.tasks) + sum(map(bool, asks))  # one more of each device for nothing
        found += sorted((size for some in asks for size in some), reverse=True)[:n_most]
    found += sizes.values()
    return len(found), sum(found)
