"""The plan of one inference: a graph of compute and transfer steps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from edgesim.domain.bounds import all_of, named, not_negative, one_of, whole
from edgesim.errors import PlanError

OnMissing = Literal["wait", "degrade"]
"""What a computation does while inputs are missing: it waits for them, or goes on at its deadline."""
TrafficKind = Literal["input", "intermediate", "result"]
TRAFFIC_KINDS = ("input", "intermediate", "result")
"""Input distribution; tensors between layers; what goes to the merging device."""


@dataclass(frozen=True, slots=True)
class LayerWork:
    """What one layer (or a part of it) asks of a device.

    Parameters
    ----------
    layer_id : the layer.
    operator : operator class, one of `edgesim.domain.system.topology.OPERATORS`.
    work_flop : arithmetic work, in FLOP.
    moved_byte : input, weights and output, each moved once, in byte.
    weight_byte : the weights among them, as float32, in byte.
    kind : what it computes, more closely than its class, e.g. ``"conv2d 3x3"`` or ``"gelu"``; empty where nobody says.
    """

    layer_id: str
    operator: str
    work_flop: float
    moved_byte: float
    weight_byte: float = 0.0
    kind: str = ""

    def __post_init__(self) -> None:
        subject = f"layer {self.layer_id!r}"
        not_negative(subject, work_flop=self.work_flop, moved_byte=self.moved_byte, weight_byte=self.weight_byte)
        if self.weight_byte > self.moved_byte:
            raise PlanError(
                f"{subject} has weight_byte {self.weight_byte:g} above moved_byte {self.moved_byte:g}, which includes it"
            )


@dataclass(frozen=True, slots=True)
class Compute:
    """A computation on one device. It starts when all inputs are there, or at its deadline.

    Parameters
    ----------
    step_id : distinct in the plan.
    device_id : where it runs.
    work : the layers it computes, in order.
    inputs : ids of the steps it needs: transfers to this device and computations on it.
    activation_byte : peak of the activations alive while it runs, in byte.
    on_missing : ``wait`` stalls until every input has come (for ever, if one is lost); ``degrade`` goes on at the deadline
        with what arrived.
    deadline_s : with ``degrade``: how long it waits for missing transfers, counted from the moment its inputs from the same
        device are ready (from the release of the request when it has none), in s.
    fixed_s : time besides the work, e.g. to wake up, in s; the device is busy in it.
    alternatives : groups of inputs of which the first to come are enough, and the others are not waited for: copies of the same, or what
        can be computed from one another. An input is in at most one group, and nothing else needs it.
    n_enough : how many of each group of alternatives are enough, fewer than it has.

    Examples
    --------
    >>> Compute("merge", "hub", inputs=("a", "b"), on_missing="degrade")
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: step 'merge': a deadline goes with on_missing 'degrade', and only with it
    """

    step_id: str
    device_id: str
    work: tuple[LayerWork, ...] = ()
    inputs: tuple[str, ...] = ()
    activation_byte: int = 0
    on_missing: OnMissing = "wait"
    deadline_s: float | None = None
    fixed_s: float = 0.0
    alternatives: tuple[tuple[str, ...], ...] = ()
    n_enough: int = 1

    def __post_init__(self) -> None:
        named("a step", step_id=self.step_id, device_id=self.device_id)
        subject = f"step {self.step_id!r}"
        all_of(subject, LayerWork, work=self.work)
        all_of(subject, str, inputs=self.inputs)
        whole(subject, 0, activation_byte=self.activation_byte)
        not_negative(subject, fixed_s=self.fixed_s, deadline_s=self.deadline_s or 0.0)
        one_of(subject, OnMissing, on_missing=self.on_missing)
        if (self.on_missing == "degrade") != (self.deadline_s is not None):
            raise PlanError(f"step {self.step_id!r}: a deadline goes with on_missing 'degrade', and only with it")
        grouped = [name for group in self.alternatives for name in group]
        if len(set(grouped)) < len(grouped) or not set(grouped) <= set(self.inputs):
            raise PlanError(f"step {self.step_id!r}: alternatives must be inputs of the step, each in one group")
        whole(subject, 1, n_enough=self.n_enough)
        if self.n_enough > 1 and any(len(group) <= self.n_enough for group in self.alternatives):
            raise PlanError(
                f"step {self.step_id!r}: {self.n_enough} of a group of alternatives are enough, so each has more"
            )


@dataclass(frozen=True, slots=True)
class Transfer:
    """A message from one device to another, sent as soon as its inputs are ready.

    Parameters
    ----------
    step_id : distinct in the plan.
    src_id, dst_id : sending and receiving device; they differ.
    size_byte : payload, in byte.
    tensor : what it carries, in words, e.g. ``"conv2 rows 0:3"``.
    kind : ``input``, ``intermediate`` or ``result``; see `TRAFFIC_KINDS`.
    inputs : ids of the computations on the sending device that it waits for; empty: sent at release.
    """

    step_id: str
    src_id: str
    dst_id: str
    size_byte: int
    tensor: str
    kind: TrafficKind
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named("a transfer", step_id=self.step_id, src_id=self.src_id, dst_id=self.dst_id)
        subject = f"transfer {self.step_id!r}"
        whole(subject, 0, size_byte=self.size_byte)
        one_of(subject, TrafficKind, kind=self.kind)
        all_of(subject, str, inputs=self.inputs)


Step = Compute | Transfer


@dataclass(frozen=True, slots=True)
class Pool:
    """Computations of which each is done by whichever worker asks first, or again by another one when it does not come back.

    The plan holds a copy of each task for each worker, and the engine lets one of them begin. Copies and asks are rows of steps, each step
    after the one before and after nothing else, but the first of a row, which may wait for what the holder computes besides being let begin.

    Parameters
    ----------
    tasks : by task and worker: the steps of its copy, e.g. input, computation, result. One is a computation, and with it the worker
        is free again; when the last has come, the task is done. The last ones are alternatives of one step.
    turns : by worker: each time it asks, the steps that do. The first begins at the release of the request, the others when a task is computed. When the last of them
        has come to the holder, the worker is given the first task that nobody has, or waits for one. Empty with `dealt`.
    dealt : by task: the position of the worker that is given it at the release, without asking; empty with `turns`.
    again_s : a task that is not done so long after it was given goes to another worker, in s: to one that waits or asks, or with `dealt` to one
        with fewest tasks under way. None: it goes to nobody else. No worker is given a task twice.
    """

    tasks: tuple[tuple[tuple[str, ...], ...], ...]
    turns: tuple[tuple[tuple[str, ...], ...], ...] = ()
    dealt: tuple[int, ...] = ()
    again_s: float | None = None

    def __post_init__(self) -> None:
        if not self.tasks or not self.tasks[0]:
            raise PlanError("a pool has tasks, and each has a copy for each worker")
        n_workers = len(self.tasks[0])
        if any(len(copies) != n_workers for copies in self.tasks) or len(self.turns) not in {0, n_workers}:
            raise PlanError(
                f"a pool of {n_workers} workers has so many copies of each task, and turns of all or of none"
            )
        if len(self.dealt) != (0 if self.turns else len(self.tasks)) or not set(self.dealt) <= set(range(n_workers)):
            raise PlanError("a pool has either turns of its workers, or for each task the worker that it is dealt to")
        rows = [row for rows in (*self.tasks, *self.turns) for row in rows]
        names = [name for row in rows for name in row]
        if not all(rows) or len(set(names)) < len(names):
            raise PlanError("each row of a pool has steps, and no step is in two of them")
        if self.again_s is not None and not self.again_s > 0:
            raise PlanError(f"a pool gives tasks to others after a time above 0, not after {self.again_s:g} s")

    @property
    def held(self) -> tuple[str, ...]:
        """The steps that begin when the pool lets them: the first of each row."""
        return tuple(row[0] for rows in (*self.tasks, *self.turns) for row in rows)

    @property
    def asks(self) -> tuple[str, ...]:
        """The steps of all turns."""
        return tuple(name for turns in self.turns for turn in turns for name in turn)


@dataclass(frozen=True)
class Plan:
    """The steps of one inference, each after its inputs.

    Parameters
    ----------
    steps : in an order in which every step comes after its inputs.
    answer_id : the computation whose end is the answer.
    weight_byte : weights that stay in each device's memory, by device id, in byte.
    pools : work that is given to whichever device asks first.

    Raises
    ------
    PlanError
        When a step's id is used twice, an input is unknown, later, or on another device, the answer is no computation, or the steps
        of a pool do not follow one another.

    Examples
    --------
    >>> steps = (Compute("half", "w1"), Transfer("send", "w1", "hub", 100, "half", "result", ("half",)))
    >>> plan = Plan((*steps, Compute("merge", "hub", inputs=("send",))), "merge", {"w1": 40})
    >>> plan.device_ids, sorted(plan.transfer_ids), [step.step_id for step in plan.computes]
    (('hub', 'w1'), ['send'], ['half', 'merge'])
    """

    steps: tuple[Step, ...]
    answer_id: str
    weight_byte: dict[str, int]
    pools: tuple[Pool, ...] = ()

    def __post_init__(self) -> None:
        all_of("a plan", (Compute, Transfer), steps=self.steps)
        not_negative("a plan", **{f"weight_byte of {name!r}": n_byte for name, n_byte in self.weight_byte.items()})
        seen: dict[str, Step] = {}
        for step in self.steps:
            if step.step_id in seen:
                raise PlanError(f"step id {step.step_id!r} is used twice")
            here = step.device_id if isinstance(step, Compute) else step.src_id
            if isinstance(step, Transfer) and step.src_id == step.dst_id:
                raise PlanError(f"transfer {step.step_id!r} goes from {step.src_id!r} to itself")
            for name in step.inputs:
                source = seen.get(name)
                if source is None:
                    raise PlanError(f"step {step.step_id!r} needs {name!r}, which is not an earlier step")
                place = source.device_id if isinstance(source, Compute) else source.dst_id
                if place != here:
                    raise PlanError(f"step {step.step_id!r} on {here!r} needs {name!r}, which is on {place!r}")
            seen[step.step_id] = step
        self._check_alternatives()
        for pool in self.pools:
            self._check_pool(pool, seen)
        if not isinstance(seen.get(self.answer_id), Compute):
            raise PlanError(f"the answer {self.answer_id!r} is not a computation of the plan")

    def _check_alternatives(self) -> None:
        """Refuse an alternative that another step needs too."""
        n_users = Counter(name for step in self.steps for name in step.inputs)
        for step in self.steps:
            if isinstance(step, Compute):
                shared = [name for group in step.alternatives for name in group if n_users[name] > 1]
                if shared:
                    raise PlanError(
                        f"{shared[0]!r} is an alternative for step {step.step_id!r}, but others need it too"
                    )

    def _check_pool(self, pool: Pool, steps: dict[str, Step]) -> None:
        """Refuse rows of a pool that are no chains, or end where they should not."""
        held = set(pool.held)
        for row in (row for rows in (*pool.tasks, *pool.turns) for row in rows):
            for before, name in zip((None, *row), row, strict=False):
                step = steps.get(name)
                is_next = step is not None and (name in held or step.inputs == (before,))
                if not is_next or (isinstance(step, Compute) and step.on_missing == "degrade"):
                    raise PlanError(
                        f"step {name!r} of a pool must come after the one before in its row, and wait for it"
                    )
        places = {self._place(steps[turn[-1]]) for turns in pool.turns for turn in turns}
        if len(places) > 1:
            raise PlanError(
                f"the turns of a pool end on {', '.join(sorted(places))}, and not on the one device that hands out"
            )
        for copies in pool.tasks:
            if any(sum(isinstance(steps[name], Compute) for name in row) != 1 for row in copies):
                raise PlanError(f"the copy {copies[0]} of a task, or another, has not one computation")
        self._check_results(pool)

    def _check_results(self, pool: Pool) -> None:
        """Refuse copies that are no alternatives of one step."""
        results = [{row[-1] for row in copies} for copies in pool.tasks]
        for step in self.computes:
            groups = [set(group) for group in step.alternatives] if step.n_enough == 1 else []
            if all(group in groups or (len(group) == 1 and group <= set(step.inputs)) for group in results):
                return
        raise PlanError("the last steps of the copies of each task of a pool must be alternatives of one step")

    @staticmethod
    def _place(step: Step) -> str:
        return step.device_id if isinstance(step, Compute) else step.dst_id

    @cached_property
    def held(self) -> frozenset[str]:
        """The steps that begin when a pool lets them."""
        return frozenset(name for pool in self.pools for name in pool.held)

    @cached_property
    def transfers(self) -> tuple[Transfer, ...]:
        """The transfers, in plan order."""
        return tuple(step for step in self.steps if isinstance(step, Transfer))

    @cached_property
    def computes(self) -> tuple[Compute, ...]:
        """The computations, in plan order."""
        return tuple(step for step in self.steps if isinstance(step, Compute))

    @cached_property
    def transfer_ids(self) -> frozenset[str]:
        """The ids of all transfers."""
        return frozenset(transfer.step_id for transfer in self.transfers)

    @cached_property
    def device_ids(self) -> tuple[str, ...]:
        """The devices that the plan uses, sorted."""
        used = {step.device_id for step in self.computes}
        used |= {end for transfer in self.transfers for end in (transfer.src_id, transfer.dst_id)}
        return tuple(sorted(used | set(self.weight_byte)))

    def peak_memory_byte(self) -> dict[str, int]:
        """Return the peak memory by device, in byte: resident weights plus the largest activations of its steps.

        Examples
        --------
        The larger of 50 byte of activations and the message of 100, and 40 byte of weights.

        >>> steps = (Compute("half", "w1", activation_byte=50), Transfer("send", "w1", "hub", 100, "half", "result", ("half",)))
        >>> Plan((*steps, Compute("merge", "hub", inputs=("send",))), "merge", {"w1": 40}).peak_memory_byte()
        {'hub': 100, 'w1': 140}
        """
        activation = dict.fromkeys(self.device_ids, 0)
        for step in self.computes:
            activation[step.device_id] = max(activation[step.device_id], step.activation_byte)
        for transfer in self.transfers:  # a device holds at least what it sends and what it receives
            for end in (transfer.src_id, transfer.dst_id):
                activation[end] = max(activation[end], transfer.size_byte)
        return {device: activation[device] + self.weight_byte.get(device, 0) for device in activation}
