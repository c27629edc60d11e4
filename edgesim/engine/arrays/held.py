"""What devices hold in memory in many trials of several requests each; `edgesim.engine.state.memory` has the rules.

A request holds the largest of what is alive of it. So of each size that is met the spans in which something as large is alive are
joined, for each request, and the most that all requests hold at once is the largest sum over them. Where one request holds nothing any more
when the next one begins, it is the largest of all sizes.

What begins and what ends at the same moment may have happened in either order. The largest sums for both orders are computed; a trial in which they
differ is not certain. Known is that a computation ends before the next one begins that waited for it, which is before any message comes or goes at
that moment, and that the request of a client begins behind the end of its last one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import inf, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgesim.domain.plan import Transfer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.engine.program.compiled import Program


# Phases of a moment, from which the latest is known for each that ends, and the earliest for each that begins.
END_OF_COMPUTATION, BEGIN_OF_WAITING, END_BY_WAITING, BEGIN, END_OF_LETTING, BEGIN_OF_LET, END = range(7)


class Holder(NamedTuple):
    """Something that a device holds for a request.

    Parameters
    ----------
    step : index of the computation or message.
    size_byte : its size.
    is_received : whether it is a message that has come.
    users : the computations that must have begun before it goes; without any it goes when the computation has ended, the message that
        is sent is gone, or nothing of the request is under way.
    """

    step: int
    size_byte: int
    is_received: bool
    users: tuple[int, ...] = ()


def held_by(program: Program) -> tuple[tuple[Holder, ...], ...]:
    """Return what each device holds for a request."""
    steps = program.steps
    position = {device_id: index for index, device_id in enumerate(program.devices.device_ids)}
    found: list[list[Holder]] = [[] for _ in position]
    for index, step in enumerate(steps.step):
        users = tuple(user for user in steps.users[index] if steps.device[user] >= 0)
        if isinstance(step, Transfer):
            found[position[step.src_id]].append(Holder(index, step.size_byte, is_received=False))
            found[position[step.dst_id]].append(Holder(index, step.size_byte, is_received=True, users=users))
        else:
            found[position[step.device_id]].append(Holder(index, step.activation_byte, is_received=False, users=users))
    return tuple(tuple(one for one in some if one.size_byte > 0) for some in found)


@dataclass(frozen=True, slots=True)
class Spans:
    """What one device holds in n trials, and when, in s.

    Parameters
    ----------
    begin_s, end_s : in each trial, of each request and each of its holders, shape (n, requests, holders); inf where it is never held, or to the end.
    size_byte : of each holder, shape (holders,).
    begin_phase, end_phase : in which phase of its moment each begins at the earliest and ends at the latest, of the same shape.
    """

    begin_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    size_byte: NDArray[np.int64]
    begin_phase: NDArray[np.int8]
    end_phase: NDArray[np.int8]


def peaks(
    spans: Spans,
    released_s: NDArray[np.float64],
    forgotten_s: NDArray[np.float64],
    window_s: tuple[float, float],
    n_clients: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the most that a device holds at once, shape (n,), and in which trials that is certain.

    Parameters
    ----------
    spans : when it holds what.
    released_s, forgotten_s : when each request is released, and when nothing of it is under way any more, shape (n, requests).
    window_s : from when until when it counts, in s.
    n_clients : how many requests before each is the one that had to end before; 0: none.

    Examples
    --------
    The second request comes when the first has left 2 of its 3 byte.

    >>> begin_s, end_s = np.array([[[0.0, 1.0], [4.0, 5.0]]]), np.array([[[2.0, 6.0], [5.0, 9.0]]])
    >>> phases = [np.full((1, 2, 2), phase, np.int8) for phase in (BEGIN, END)]
    >>> spans = Spans(begin_s, end_s, np.array([3, 2]), *phases)
    >>> released_s, forgotten_s = np.array([[0.0, 4.0]]), np.array([[6.0, 9.0]])
    >>> [found.tolist() for found in peaks(spans, released_s, forgotten_s, (0.0, 9.0), 0)]
    [[5], [True]]
    """
    from_s, to_s = window_s
    begin_s, end_s = spans.begin_s, spans.end_s
    is_held = (begin_s <= min(to_s, sys.float_info.max)) & ((begin_s >= from_s) | (end_s > from_s))
    is_certain = ~((end_s == from_s) & (begin_s < from_s)).any(axis=(1, 2))  # it may end before it counts, or behind
    end_s = np.where(is_held, end_s, inf)
    begin_s = np.where(is_held, np.maximum(begin_s, from_s), inf)
    most_byte: NDArray[np.int64] = np.where(is_held, spans.size_byte, 0).max(axis=(1, 2))
    is_let = np.zeros(released_s.shape, np.bool_)
    if (
        0 < n_clients < released_s.shape[1]
    ):  # whether it is released when nothing is under way any more of the one before
        is_let[:, n_clients:] = released_s[:, n_clients:] == forgotten_s[:, :-n_clients]
    first_s = begin_s.min(axis=2)[:, 1:]
    last_s = np.maximum.accumulate(np.where(is_held, end_s, -inf).max(axis=2), axis=1)[:, :-1]
    is_next = is_let[:, 1:] & (first_s == released_s[:, 1:]) if n_clients == 1 else np.False_
    is_apart = (first_s > last_s) | (is_next & (first_s == last_s)) | (first_s == inf)
    trials = np.flatnonzero(~is_apart.all(axis=1))
    if len(trials):
        own = Spans(begin_s[trials], end_s[trials], spans.size_byte, spans.begin_phase[trials], spans.end_phase[trials])
        let = _Let(released_s[trials], forgotten_s[trials], is_let[trials], n_clients)
        most_byte[trials], is_sure = _Changes(own, let).most_byte()
        is_certain[trials] &= is_sure
    return most_byte, is_certain


class _Let:
    """Which requests let others be released, and which are released so; parameters as of `peaks`."""

    def __init__(
        self,
        released_s: NDArray[np.float64],
        forgotten_s: NDArray[np.float64],
        is_let: NDArray[np.bool_],
        n_clients: int,
    ) -> None:
        lets = np.zeros(is_let.shape, np.bool_)
        if 0 < n_clients < is_let.shape[1]:
            lets[:, :-n_clients] = is_let[:, n_clients:]
        self.begun_s = np.where(is_let, released_s, nan)
        self.ended_s = np.where(lets, forgotten_s, nan)


class _Changes:
    """When a device holds more or less in each of n trials.

    Of each size that is met, what is held changes by what it is larger than the next smaller one, while anything as large is alive of a request.
    The changes of a trial sum to 0; those at inf never come.

    Parameters
    ----------
    spans, let : what it holds and when, of several requests.
    """

    def __init__(self, spans: Spans, let: _Let) -> None:
        sizes = sorted(set(spans.size_byte.tolist()), reverse=True)
        found: list[tuple[NDArray[Any], ...]] = []
        for size, smaller in zip(sizes, [*sizes[1:], 0], strict=True):
            found += _changes(spans, spans.size_byte >= size, let, size - smaller)
        n = len(spans.begin_s)
        counts = np.array([np.bincount(trial, minlength=n) for trial, *_ in found])
        starts = np.cumsum(counts, axis=0) - counts
        shape = (n, int(counts.sum(axis=0).max()))
        self._moment_s, self._change_byte = np.full(shape, inf), np.zeros(shape, np.int64)
        self._early, self._late = np.zeros(shape, np.int32), np.zeros(shape, np.int8)
        for (trial, moment_s, change_byte, early, late), count, start in zip(found, counts, starts, strict=True):
            place = np.arange(len(trial)) - np.repeat(
                np.cumsum(count) - count - start, count
            )  # those of a trial follow each other
            self._moment_s[trial, place], self._change_byte[trial, place] = moment_s, change_byte
            self._early[trial, place], self._late[trial, place] = early, late

    def most_byte(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the most of each trial with changes as early as they may be, and whether it is the same with changes as late."""
        order = np.argsort(self._moment_s, axis=1)
        moment_s = np.take_along_axis(self._moment_s, order, axis=1)
        most_byte = np.take_along_axis(self._change_byte, order, axis=1).cumsum(axis=1).max(axis=1)
        is_met = ((moment_s[:, 1:] == moment_s[:, :-1]) & (moment_s[:, 1:] < inf)).any(axis=1)
        is_sure = np.ones(len(is_met), np.bool_)
        if is_met.any():
            most_byte[is_met] = self._most_byte(is_met, self._early)
            is_sure[is_met] = most_byte[is_met] == self._most_byte(is_met, self._late)
        return most_byte, is_sure

    def _most_byte(self, some: NDArray[np.bool_], phase: NDArray[Any]) -> NDArray[np.int64]:
        """Return the most of some trials with the changes of a moment in the order of their phases."""
        order = np.argsort(phase[some], axis=1, kind="stable")
        moment_s = np.take_along_axis(self._moment_s[some], order, axis=1)
        change_byte = np.take_along_axis(self._change_byte[some], order, axis=1)
        order = np.argsort(moment_s, axis=1, kind="stable")
        most_byte: NDArray[np.int64] = np.take_along_axis(change_byte, order, axis=1).cumsum(axis=1).max(axis=1)
        return most_byte


def _changes(
    spans: Spans, own: NDArray[np.bool_], let: _Let, change_byte: int
) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
    """Return what some holders add and what they take away: trials, in order; moments; changes; and phases.

    The phases are for changes as early as they may be, so that things end before others begin, and what comes and goes in one moment
    does so alone; and for changes as late as they may be.
    """
    begin_s, begin_phase = _sorted(spans.begin_s[..., own], spans.begin_phase[..., own])
    end_s, end_phase = _sorted(spans.end_s[..., own], spans.end_phase[..., own])
    is_begin, is_end = _joined(begin_s, end_s)
    trial, request, _ = is_begin.nonzero()
    begins_s, ends_s = begin_s[is_begin], end_s[is_end]  # as many, in the same order
    is_short = begins_s == ends_s
    begin_late = begin_phase[is_begin]
    begin_late[begins_s == let.begun_s[trial, request]] = BEGIN_OF_LET
    end_late = end_phase[is_end]
    is_letting = ends_s == let.ended_s[trial, request]
    end_late[is_letting] = np.minimum(end_late[is_letting], END_OF_LETTING)
    end_late[is_short] = END
    begin_early = np.where(is_short, 2 * request + 1, 2 * spans.begin_s.shape[1] + 1)
    end_early = np.where(is_short, 2 * request + 2, 0)
    more = np.full(len(trial), change_byte)
    return (trial, begins_s, more, begin_early, begin_late), (trial, ends_s, -more, end_early, end_late)


def _sorted(moment_s: NDArray[np.float64], phase: NDArray[np.int8]) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Return moments in order with their phases, those of a moment in order, too; sorted along the last axis."""
    if moment_s.shape[-1] == 1:
        return moment_s, phase
    order = np.lexsort((phase, moment_s))
    return np.take_along_axis(moment_s, order, axis=-1), np.take_along_axis(phase, order, axis=-1)


def _joined(begin_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which moments begin and end the spans in which anything is alive of a request, given them in order; as many do the one as the other.

    Examples
    --------
    >>> begin_s, end_s = np.array([0.0, 1.0, 4.0]), np.array([2.0, 3.0, 5.0])
    >>> is_begin, is_end = _joined(begin_s, end_s)
    >>> begin_s[is_begin].tolist(), end_s[is_end].tolist()
    ([0.0, 4.0], [3.0, 5.0])
    """
    is_held = begin_s < inf
    is_begin, is_end = is_held.copy(), is_held.copy()
    is_begin[..., 1:] &= end_s[..., :-1] < begin_s[..., 1:]
    is_end[..., :-1] &= is_begin[..., 1:] | ~is_held[..., 1:]
    return is_begin, is_end
