"""Work that is given to whichever worker asks first: who does what, when it is over, what is done again, and what is lost."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import replace

import pytest

from edgesim.compute.forecast import forecast
from edgesim.domain.plan import Compute, LayerWork, Plan, Pool, Transfer
from edgesim.domain.records import Outage, RequestRecord, Trace
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.arrays.program import obstacle
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan, compile_plans
from edgesim.errors import PlanError
from edgesim.study.preparation.pooled import enough, sent, shown
from edgesim.study.trials.budget import divided
from edgesim.study.trials.deliveries import lost_in, without_effect

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
ASK_S, INPUT_S, RESULT_S = 0.001, 0.004, 0.002  # 1,000 byte take 1 ms


class WorkIsTime:
    """A compute model for tests: one FLOP takes one second on a device whose name ends with x1, half of it with x2."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work) / profile.flop_per_s["conv"]


def topology(speeds: list[float]) -> Topology:
    profiles = [replace(PROFILE, flop_per_s={"conv": speed}) for speed in (1.0, *speeds)]
    ids = ["hub", *[f"w{number}" for number in range(1, len(speeds) + 1)]]
    links = [Link(f"{a}->{b}", a, b, 8e6) for name in ids[1:] for a, b in ((name, "hub"), ("hub", name))]
    return Topology(tuple(Device(name, profile) for name, profile in zip(ids, profiles, strict=True)), tuple(links))


def pooled(
    works: list[float],
    n_workers: int,
    *,
    again_s: float | None = None,
    deadline_s: float | None = None,
    hub_works: bool = False,
    dealt: tuple[int, ...] = (),
) -> Plan:
    """Tasks of so much work on a hub, which workers ask for: 1 ms to ask, 4 ms for the input, 2 ms for the result."""
    steps: list[Compute | Transfer] = [Compute("start", "hub")]
    ids = [*(("hub",) if hub_works else ()), *[f"w{number}" for number in range(1, n_workers + 1)]]
    turns, tasks = [], []
    for name in ids if not dealt else ():
        own = []
        for number in range(len(works)):
            rows: list[Compute | Transfer] = []
            if number == 0 or name == "hub":
                rows.append(Compute(f"free {name} {number}", name))
            if name != "hub":
                rows.append(
                    Transfer(
                        f"ask {name} {number}", name, "hub", 1000, "ask", "input", tuple(row.step_id for row in rows)
                    )
                )
            steps += rows
            own.append(tuple(row.step_id for row in rows))
        turns.append(tuple(own))
    for task, work in enumerate(works):
        copies = []
        for name in ids:
            layer = (LayerWork("x", "conv", work, 0),)
            if name == "hub":
                steps.append(Compute(f"{task} on hub", name, layer, ("start",)))
                copies.append((f"{task} on hub",))
                continue
            sent, done, back = f"{task} to {name}", f"{task} on {name}", f"{task} from {name}"
            steps.append(Transfer(sent, "hub", name, 4000, "x", "input", ("start",)))
            steps.append(Compute(done, name, layer, (sent,)))
            steps.append(Transfer(back, name, "hub", 2000, "x", "intermediate", (done,)))
            copies.append((sent, done, back))
        tasks.append(tuple(copies))
    groups = tuple(tuple(row[-1] for row in copies) for copies in tasks)
    inputs = ("start", *[name for group in groups for name in group])
    steps.append(
        Compute(
            "join", "hub", (), inputs, 0, "wait" if deadline_s is None else "degrade", deadline_s,
            alternatives=tuple(group for group in groups if len(group) > 1),
        )
    )  # fmt: skip
    return Plan(tuple(steps), "join", {}, (Pool(tuple(tasks), tuple(turns), dealt, again_s),))


def run(plan: Plan, speeds: list[float], *outages: Outage) -> RequestRecord:
    program = compile_plan(plan, topology(speeds), WorkIsTime())
    return simulate(program, outages=outages, is_checked=True)[0]


def traced(program: Program, *outages: Outage, **options: object) -> Trace:
    return trace(program, outages=outages, has_stays=True, is_checked=True, **options)  # type: ignore[arg-type]


def done_by(program: Program, found: Trace, request: int = 0) -> dict[int, list[str]]:
    """By task: the devices that computed it."""
    tasks: dict[int, list[str]] = {}
    for course in found.courses:
        step = program.steps.step[course.step]
        if course.request == request and isinstance(step, Compute) and " on " in step.step_id and course.ended_s >= 0:
            tasks.setdefault(int(step.step_id.split(" on ")[0]), []).append(step.device_id)
    return tasks


@pytest.mark.parametrize(("n_workers", "rounds"), [(1, 3), (2, 2), (4, 3)])
def test_equal_workers_take_equal_shares(n_workers: int, rounds: int) -> None:
    """Each round is an ask, an input and a computation; behind the last one the result follows the next ask, where one more is left to ask for."""
    n_tasks = n_workers * rounds
    record = run(pooled([0.05] * n_tasks, n_workers), [1.0] * n_workers)
    asks_on = n_tasks > rounds
    expected_s = rounds * (ASK_S + INPUT_S + 0.05) + (ASK_S if asks_on else 0.0) + RESULT_S
    assert record.latency_s == pytest.approx(expected_s)
    assert record.outcome == "completed"
    assert record.lost == 0
    assert record.input_byte == 4000 * n_tasks + 1000 * (n_tasks + (n_workers if asks_on else 0))
    assert record.intermediate_byte == 2000 * n_tasks


def by_hand(works: list[float], speeds: list[float]) -> tuple[float, list[int]]:
    """Greedy list schedule: the worker that is first done with its task has the next one, messages besides."""
    free = [(ASK_S, worker) for worker in range(len(speeds))]  # when it has asked
    heapq.heapify(free)
    ends, shares, n_left = [], [0] * len(speeds), len(works)
    for work in works:
        asked_s, worker = heapq.heappop(free)
        done_s = asked_s + INPUT_S + work / speeds[worker]
        shares[worker] += 1
        n_left -= 1
        ends.append(done_s + (ASK_S if shares[worker] < len(works) else 0.0) + RESULT_S)
        heapq.heappush(free, (done_s + ASK_S, worker))
    return max(ends), shares


@pytest.mark.parametrize("seed", range(20))
def test_workers_that_differ_are_scheduled_as_by_hand(seed: int) -> None:
    """Tasks of any work on devices of any speed; computing takes longer than sending a result, so that none waits for another."""
    rng = random.Random(seed)  # noqa: S311 - cases
    works = [rng.uniform(0.01, 0.1) for _ in range(rng.randint(1, 12))]
    speeds = [rng.uniform(0.3, 3.0) for _ in range(rng.randint(1, 5))]
    expected_s, shares = by_hand(works, speeds)
    program = compile_plan(pooled(works, len(speeds)), topology(speeds), WorkIsTime())
    found = traced(program)
    assert found.records[0].latency_s == pytest.approx(expected_s)
    computed = Counter(name for names in done_by(program, found).values() for name in names)
    assert [computed[f"w{number}"] for number in range(1, len(speeds) + 1)] == shares


def test_the_fast_one_does_more() -> None:
    """A device of four times the speed, with work that dwarfs the messages, does four of five tasks."""
    program = compile_plan(pooled([1.0] * 10, 2), topology([4.0, 1.0]), WorkIsTime())
    names = [name for names in done_by(program, traced(program)).values() for name in names]
    assert Counter(names) == {"w1": 8, "w2": 2}


def test_the_hub_takes_tasks_without_messages() -> None:
    """The hub has the first task at once and the others as it is free: 3 tasks of 10 ms, of which the worker has the second at 5 ms."""
    record = run(pooled([0.010] * 3, 1, hub_works=True), [1.0])
    assert record.latency_s == pytest.approx(
        0.020
    )  # hub: 0 to 10 and 10 to 20; the worker's result comes at 5 + 10 + 1 + 2 = 18 ms
    assert record.intermediate_byte == 2000


def test_a_lost_task_leaves_a_hole_or_no_answer() -> None:
    """w1 is lost while it computes the first task: its task is missing, the others are done by w2."""
    outage = Outage("w1", 0.020)
    plan = pooled([0.05] * 4, 2, deadline_s=1.0)
    record = run(plan, [1.0, 1.0], outage)
    assert record.outcome == "degraded"
    assert record.latency_s == pytest.approx(1.0)
    lost = lost_in(plan, without_effect(plan, [record.lost])[0])
    assert {name for name in lost if " from " in name} == {"0 from w1", "0 from w2"}
    assert run(pooled([0.05] * 4, 2), [1.0, 1.0], outage).outcome == "failed"


def test_a_lost_task_is_done_again() -> None:
    """The second device finds the task again after 100 ms, when it waits since 166 ms, or as soon as it asks."""
    plan = pooled([0.05] * 4, 2, again_s=0.2)
    program = compile_plan(plan, topology([1.0, 1.0]), WorkIsTime())
    found = traced(program, Outage("w1", 0.020))
    (record,) = found.records
    assert (record.outcome, record.lost) == ("completed", 0)
    assert done_by(program, found)[0] == ["w2"]
    # w2 computes tasks 1, 2 and 3 until 165 ms and asks; task 0, given to w1 at 1 ms, is given again at 201 ms
    assert record.latency_s == pytest.approx(0.201 + INPUT_S + 0.05 + RESULT_S)
    early = run(pooled([0.05] * 4, 2, again_s=0.05), [1.0, 1.0], Outage("w1", 0.020))
    assert early.latency_s == pytest.approx(
        4 * (ASK_S + INPUT_S + 0.05) + RESULT_S
    )  # as soon as w2 asks; it has no more to ask for


def test_what_is_overdue_comes_before_what_nobody_has() -> None:
    """w1 is lost with task 0; w2, which then computes task 1, does task 0 next, before the four that are left."""
    program = compile_plan(pooled([0.05] * 6, 2, again_s=0.03), topology([1.0, 1.0]), WorkIsTime())
    found = traced(program, Outage("w1", 0.020))
    began = sorted((course.began_s, program.steps.step[course.step].step_id) for course in found.courses)
    assert [name for _, name in began if name.endswith("on w2")][:3] == ["1 on w2", "0 on w2", "2 on w2"]


def test_a_trial_does_not_wait_for_what_is_done() -> None:
    """A minute after which tasks would be given again is not waited for: the trial ends with the answer."""
    program = compile_plan(pooled([0.05] * 2, 2, again_s=60.0), topology([1.0, 1.0]), WorkIsTime())
    found = traced(program)
    assert found.to_s == pytest.approx(found.records[0].latency_s)


def test_an_overdue_task_may_be_done_by_both() -> None:
    """A slow device is overtaken: the first result counts, and the other is no loss."""
    program = compile_plan(pooled([0.05, 0.05], 2, again_s=0.1), topology([0.1, 1.0]), WorkIsTime())
    found = traced(program)
    assert done_by(program, found)[0] == ["w1", "w2"]
    assert found.records[0].latency_s == pytest.approx(0.101 + INPUT_S + 0.05 + RESULT_S)
    assert (found.records[0].outcome, found.records[0].lost) == ("completed", 0)


def test_dealt_tasks_are_done_again_by_who_has_least_to_do() -> None:
    """Six tasks dealt to three devices; those of the lost one go to the two others, one each."""
    plan = pooled([0.05] * 6, 3, dealt=(0, 1, 2, 0, 1, 2), again_s=0.15)
    program = compile_plan(plan, topology([1.0] * 3), WorkIsTime())
    found = traced(program, Outage("w1", 0.0))
    computed = Counter(name for names in done_by(program, found).values() for name in names)
    assert computed == {"w2": 3, "w3": 3}
    assert (found.records[0].outcome, found.records[0].lost) == ("completed", 0)
    assert found.records[0].latency_s == pytest.approx(0.15 + INPUT_S + 0.05 + RESULT_S)


def test_who_is_busy_with_another_request_asks_later() -> None:
    """Two requests at once: the device asks in the second when it has computed what it has of the first."""
    program = compile_plan(pooled([0.05], 1), topology([1.0]), WorkIsTime())
    records = simulate(program, releases_s=(0.0, 0.010), is_checked=True)
    assert records[0].latency_s == pytest.approx(ASK_S + INPUT_S + 0.05 + RESULT_S)
    second_s = ASK_S + INPUT_S + 0.05 + 0.0 + (RESULT_S + ASK_S) + INPUT_S + 0.05 + RESULT_S - 0.010
    assert records[1].latency_s == pytest.approx(second_s)  # the ask follows the result on the link


def test_the_forecast_is_a_lower_bound() -> None:
    """Of one task it is exact; of more it knows no queue."""
    one, four = pooled([0.05], 1), pooled([0.05] * 4, 1)
    place = topology([1.0])
    assert forecast(one, place, WorkIsTime())["join"].ended_s == pytest.approx(run(one, [1.0]).latency_s)
    assert forecast(four, place, WorkIsTime())["join"].ended_s < run(four, [1.0]).latency_s


def test_what_is_shown_of_a_plan_counts_one_copy_of_each_task() -> None:
    """Four tasks for two workers and the hub: an input and a result each, and an ask for each task and one more of each worker."""
    plan = pooled([0.05] * 4, 2, hub_works=True)
    assert sent(plan) == (4 * 2 + 4 + 2, 4 * 6000 + 6 * 1000)
    times = forecast(plan, topology([1.0, 2.0]), WorkIsTime())
    assert [name for name in shown(plan, times) if " on " in name] == [f"{task} on w2" for task in range(4)]
    assert set(shown(plan, times).values()) == {1, 3}
    assert enough(plan) == ()
    (record,) = traced(compile_plan(plan, topology([1.0, 2.0]), WorkIsTime())).records
    assert record.input_byte + record.intermediate_byte <= sent(plan)[1]


def test_several_plans_have_their_pools() -> None:
    short, long = pooled([0.05], 2), pooled([0.05] * 3, 2, again_s=0.5)
    program = compile_plans((short, long), topology([1.0, 1.0]), WorkIsTime())
    records = simulate(program, releases_s=(0.0, 1.0), plan_of=lambda number: number, is_checked=True)
    alone = [run(plan, [1.0, 1.0]) for plan in (short, long)]
    assert [one.latency_s for one in records] == pytest.approx([one.latency_s for one in alone])


def test_the_array_engine_leaves_them() -> None:
    program = compile_plan(pooled([0.05], 2), topology([1.0, 1.0]), WorkIsTime())
    assert obstacle(program) == "work is given to whichever device asks first"


def test_the_latency_is_divided() -> None:
    """What lets a tile begin is the ask before: nothing is left over that would look lost or sent again."""
    program = compile_plan(pooled([0.05] * 4, 2), topology([1.0, 2.0]), WorkIsTime())
    (split,) = divided(program, traced(program))
    parts = dict(
        zip(("compute", "host", "sending", "propagation", "queueing", "slowest", "repeated"), split, strict=True)
    )
    assert parts["repeated"] == pytest.approx(0.0, abs=1e-12)
    assert parts["compute"] > 0.04
    assert parts["sending"] > ASK_S + INPUT_S + RESULT_S


@pytest.mark.parametrize("seed", range(10))
def test_every_task_is_done_once_or_a_hole(seed: int) -> None:
    """50 random cases each: any work, speeds, lost messages and outages, tasks dealt or asked for, given again or not."""
    rng = random.Random(1000 + seed)  # noqa: S311 - cases
    n_given_again = 0
    for _ in range(50):
        works = [rng.uniform(0.001, 0.05) for _ in range(rng.randint(1, 8))]
        speeds = [rng.uniform(0.3, 3.0) for _ in range(rng.randint(1, 4))]
        hub_works = rng.random() < 0.3
        n_ids = len(speeds) + hub_works
        dealt = tuple(rng.randrange(n_ids) for _ in works) if rng.random() < 0.3 else ()
        plan = pooled(
            works, len(speeds), again_s=rng.choice([None, 0.03, 0.2]), deadline_s=rng.choice([None, 0.15, 2.0]),
            hub_works=hub_works, dealt=dealt,
        )  # fmt: skip
        program = compile_plan(plan, topology(speeds), WorkIsTime())
        outages = [
            Outage(f"w{number}", start := rng.uniform(0, 0.2), rng.choice([start + 0.02, float("inf")]))
            for number in range(1, len(speeds) + 1)
            if rng.random() < 0.3
        ]
        outages += [Outage(f"w{rng.randint(1, len(speeds))}->hub", start := rng.uniform(0, 0.1), start + 0.01)]
        found = traced(program, *outages, releases_s=tuple(0.02 * number for number in range(rng.choice([1, 3]))))
        for number, record in enumerate(found.records):
            computed = done_by(program, found, number)
            lost = lost_in(plan, without_effect(plan, [record.lost])[0])
            came = {course.step for course in found.courses if course.request == number and course.ended_s >= 0.0}
            for task, copies in enumerate(plan.pools[0].tasks):
                names = computed.get(task, [])
                assert len(set(names)) == len(names)
                assert len(names) <= (1 if plan.pools[0].again_s is None else n_ids)
                n_given_again += len(names) > 1
                messages = {name for row in copies for name in row if name in plan.transfer_ids}
                is_hole = bool(messages) and messages <= lost
                assert is_hole or not messages & lost  # all of its copies are missed, or nobody's
                results = [row[-1] for row in copies if program.plan.steps.index(step_of(plan, row[-1])) in came]
                assert is_hole or results
                if record.outcome == "completed":
                    assert not is_hole
            if record.outcome == "degraded":
                assert lost & {row[-1] for copies in plan.pools[0].tasks for row in copies}
    assert n_given_again > 0


def step_of(plan: Plan, step_id: str) -> Compute | Transfer:
    return next(step for step in plan.steps if step.step_id == step_id)


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ({"tasks": ()}, "a pool has tasks"),
        (
            {"tasks": ((("0 to w1", "0 on w1", "0 from w1"),),), "turns": ()},
            "either turns of its workers, or for each task",
        ),
        ({"tasks": ((("0 to w1", "0 from w1"),),)}, "'0 from w1' of a pool must come after the one before"),
        ({"tasks": ((("0 to w1", "0 on w1"),),)}, "must be alternatives of one step"),
        ({"tasks": ((("0 to w1",),),)}, "has not one computation"),
        ({"turns": ((("free w1 0", "0 to w1"),),)}, "no step is in two of them"),
        ({"again_s": 0.0}, "after a time above 0"),
        ({"turns": ((("free w1 0", "ask w1 0"), ("ask w1 0",)),)}, "no step is in two of them"),
    ],
)
def test_wrong_pools_are_refused(pool: dict[str, object], message: str) -> None:
    plan = pooled([0.05], 1)
    with pytest.raises(PlanError, match=message):
        replace(plan, pools=(replace(plan.pools[0], **pool),))  # type: ignore[arg-type]
