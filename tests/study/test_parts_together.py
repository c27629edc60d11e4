"""Small tasks share a part: few files, the same trials and tables, and a killed study loses no more than a part."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from toy_study import OneOrNone, shared

from edgesim.arrivals.poisson import Poisson
from edgesim.domain.load import Load
from edgesim.domain.stopping import Stopping, Target
from edgesim.errors import EdgesimWarning, ResultError
from edgesim.interfaces import Silent
from edgesim.study.cases.tasks import FEWEST_PARTS, MOST_TOGETHER, Block, together
from edgesim.study.folder.parts import Parts
from edgesim.study.trials.trial import perform
from edgesim.study.work.division import plan_work
from edgesim.study.work.evaluation import evaluate
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import local_pool

N_POINTS, N = 48, 20
STUDY = shared([{"loss": OneOrNone(0.3 + i / 100)} for i in range(N_POINTS)])
WORK = plan_work(STUDY, N)
N_TOGETHER = 2 * N_POINTS // FEWEST_PARTS


class Heard(Silent):
    """Counts trials, and is interrupted after some of them."""

    def __init__(self, n_most: int = 10**9) -> None:
        self.n, self.n_most = 0, n_most

    @contextmanager
    def task(self, label: str, n_total: int) -> Any:
        yield self

    def advance(self, n_done: int = 1, note: str = "") -> None:
        self.n += n_done
        if self.n >= self.n_most:
            raise KeyboardInterrupt


def executed(folder: Path, *, workers: int = 1, are_together: bool = True, heard: Heard | None = None) -> Parts:
    """Run the study; return its parts."""
    parts = Parts(folder, STUDY.cases, scores=["accuracy"], together=WORK.together if are_together else ())
    execute(STUDY, WORK, parts, partial(local_pool, workers, perform), heard or Heard())
    return parts


def contents_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all parts by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*/*.parquet")}


def rows_of(folder: Path) -> pa.Table:
    """Return the rows of all files of a folder, in their order."""
    return pa.concat_tables([parquet.read_table(path) for path in sorted(folder.glob("*.parquet"))])


def test_neighbours_share_a_part(tmp_path: Path) -> None:
    """As many that 32 parts are left, in place of 96; rows, their order and all tables are those of one part a task."""
    found = evaluate(STUDY, WORK, executed(tmp_path / "few"))
    alone = evaluate(STUDY, WORK, executed(tmp_path / "many", are_together=False))
    assert [len(contents_of(tmp_path / name)) for name in ("few", "many")] == [FEWEST_PARTS, 2 * N_POINTS]
    for kind in ("trials", "outcomes"):
        assert rows_of(tmp_path / "few" / kind).equals(rows_of(tmp_path / "many" / kind))
    assert repr(found) == repr(alone)
    assert len(found.rows) == N_POINTS


def test_workers_change_no_shared_part(tmp_path: Path) -> None:
    """Whoever is done first, the parts have the same bytes."""
    for workers in (1, 2):
        executed(tmp_path / str(workers), workers=workers)
    assert contents_of(tmp_path / "1") == contents_of(tmp_path / "2")


def test_a_study_that_ends_in_the_middle_of_a_part_goes_on(tmp_path: Path) -> None:
    """In the third part of trials, with as many of outcomes before: these four are kept, and all but their tasks are run again."""
    executed(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        executed(tmp_path / "r", heard=Heard(2 * N_TOGETHER * (N + 2) + N))
    whole, there = contents_of(tmp_path / "whole"), contents_of(tmp_path / "r")
    assert len(there) == 4
    assert there.items() <= whole.items()
    heard = Heard()
    executed(tmp_path / "r", heard=heard)
    assert heard.n == (N_POINTS - 2 * N_TOGETHER) * (N + 2)
    assert contents_of(tmp_path / "r") == whole


def test_a_damaged_part_costs_its_tasks(tmp_path: Path) -> None:
    """It is named once, set aside, and comes back the same; nothing is read from it before."""
    parts = executed(tmp_path / "r")
    whole = contents_of(tmp_path / "r")
    path = parts.path(WORK.of_case(4, is_enumeration=False)[0])
    assert path == parts.path(WORK.of_case(3, is_enumeration=False)[0])
    path.write_bytes(path.read_bytes()[:-40] + b"x" * 40)
    with pytest.raises(ResultError, match=f"{path.name}: it is damaged"):
        parts.read(WORK.of_case(5, is_enumeration=False))
    heard = Heard()
    with pytest.warns(EdgesimWarning, match=f"{path.name}: it is damaged.* made again") as caught:
        executed(tmp_path / "r", heard=heard)
    assert len(caught) == 1
    assert heard.n == N_TOGETHER * N
    assert contents_of(tmp_path / "r") == whole | {
        f"damaged/trials/{path.name}": (tmp_path / "r" / "damaged" / "trials" / path.name).read_bytes()
    }


def test_a_part_of_fewer_tasks_is_none_of_more(tmp_path: Path) -> None:
    """One that is called like a shared part, but holds the first of its tasks only, is set aside."""
    executed(tmp_path / "whole")
    executed(tmp_path / "r", are_together=False)
    with pytest.warns(EdgesimWarning, match="it is of other trials .others behind the first") as caught:
        parts = executed(tmp_path / "r")
    assert len(caught) == FEWEST_PARTS
    for path in parts.stray(WORK.blocks):
        path.unlink()
    assert {name: content for name, content in contents_of(tmp_path / "r").items() if "damaged" not in name} == (
        contents_of(tmp_path / "whole")
    )


def test_a_part_is_read_once_to_sum_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For summary and differences together, however many tasks it has."""
    parts, read, n_read = executed(tmp_path), Path.read_bytes, Counter[Path]()

    def counted(path: Path) -> bytes:
        n_read[path] += 1
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    evaluate(STUDY, WORK, parts)
    assert sorted(n_read) == sorted(tmp_path.rglob("*.parquet"))
    assert set(n_read.values()) == {1}


def tasks(*n_rows: int) -> list[Block]:
    """Return tasks of so many replications each, and two outcomes each."""
    return [Block(case, 0, 2 if kind else n, bool(kind), f"{case}") for case, n in enumerate(n_rows) for kind in (0, 1)]


@pytest.mark.parametrize(("n_tasks", "n_most"), [(31, 1), (40, 2), (320, 20), (100 * MOST_TOGETHER, MOST_TOGETHER)])
def test_a_part_holds_so_few_tasks_that_little_is_lost(n_tasks: int, n_most: int) -> None:
    """A 32nd of a study, and not more than a hundred tasks."""
    found = together(tasks(*[3] * n_tasks), [(1000, 1000)] * n_tasks)
    assert max(map(len, found)) == n_most
    assert all(len({block.is_enumeration for block in part}) == 1 for part in found)


def test_a_part_holds_no_more_rows_than_a_task_may() -> None:
    """Of any case in it; full tasks, and those of cases that share nothing, stay alone."""
    most = [(10, 0)] * 400
    most[5], most[9] = (4, 0), (0, 0)
    found = together(tasks(*[10, 4, 4, 2, 1, 1, 1, 1, 1, 1, *[10] * 390]), most)
    drawn = [[block.case for block in part] for part in found if not part[0].is_enumeration]
    assert drawn[:6] == [[0], [1, 2, 3], [4, 5, 6, 7], [8], [9], [10]]
    assert all(len(part) == 1 for part in found if part[0].is_enumeration)


def test_trials_whose_number_or_columns_may_differ_stay_alone() -> None:
    """With a rule when to stop, and under load, where every device has columns."""
    points = [case.failures for case in STUDY.cases]
    with_rule = plan_work(STUDY, Stopping(20, 60, (Target("accuracy", 0.5, is_relative=False),)))
    alone = {part[0].is_enumeration for part in with_rule.together if len(part) == 1}
    assert alone == {False}
    under_load = plan_work(shared(points, load=Load(Poisson(1.0), requests=2)), N)
    assert all(len(part) == 1 for part in under_load.together)
