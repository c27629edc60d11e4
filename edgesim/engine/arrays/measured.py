"""What is measured of many trials of several requests each: how busy resources are, how much waits for them, and what devices hold."""

from __future__ import annotations

import sys
from math import inf
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgesim.domain.records import ResourceRecord
from edgesim.engine.arrays.held import (
    BEGIN,
    BEGIN_OF_WAITING,
    END,
    END_BY_WAITING,
    END_OF_COMPUTATION,
    Holder,
    Spans,
    held_by,
    peaks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edgesim.engine.arrays.moments import Flags, Moments, Number
    from edgesim.engine.program.compiled import Program
    from edgesim.engine.program.ways import Hop


_COMPUTES, _SENDS, _RECEIVES = range(3)  # in the order of their powers
_Span = tuple["Number", "Number", "NDArray[np.int_] | int", "NDArray[np.int_] | int"]
"""When something is held and not any more, shape (n,), inf where never; and in which phases of these moments."""


class Measured:
    """Measures n trials, as `edgesim.engine.state.meters.Stays` and `edgesim.engine.state.memory.Memory` do one.

    Parameters
    ----------
    program : the plan on its topology.
    n : number of trials.
    from_s, horizon_s : when measuring begins, and when trials end at the latest, in s.
    """

    def __init__(self, program: Program, n: int, from_s: float, horizon_s: float) -> None:
        self.horizon_s = horizon_s
        self._program, self._n, self._from_s = program, n, from_s
        self._n_devices, self._n_channels = len(program.devices.device_ids), len(program.channels.channel)
        n_resources = self._n_devices + self._n_channels + len(program.channels.medium_links)
        self._waiting_s, self._busy_s = np.zeros((n_resources, n)), np.zeros((n_resources, n))
        self._n_arrived = np.zeros((n_resources, n), np.int64)
        self._holders = held_by(program)
        self._held: list[list[tuple[_Span, ...]]] = [[] for _ in self._holders]
        self._began: dict[int, Number] = {}  # when a computation begins, or a message is ready
        self._ended: dict[int, Number] = {}  # when a computation has ended, or a message is gone
        self._came: dict[int, Number] = {}  # when a message has arrived, in time or not
        self._waited: dict[int, NDArray[np.bool_]] = {}  # where a computation waited for its device
        self._times_s: dict[tuple[int, int], Number] = {}  # of the request, by device and what it does

    # ---- what a request does

    def computes(
        self, index: int, device: int, moments_s: tuple[Number, Number, Number], came: Flags, is_up: Flags
    ) -> None:
        """Note that a computation comes to its device, begins and ends there where that is up."""
        self._stay(device, moments_s, came, is_up)
        self._use(device, _COMPUTES, moments_s, is_up)
        arrived_s, start_s, end_s = moments_s
        self._waited[index] = np.greater(start_s, arrived_s)
        self._began[index], self._ended[index] = _where(is_up, start_s), _where(is_up, end_s)

    def crosses(
        self, hop: Hop, moments_s: tuple[Number, Number, Number], came: Flags, becomes: tuple[Flags, Flags]
    ) -> None:
        """Note that a message comes to a link, begins and ends to leave where it can, and in which of these trials it is heard."""
        is_used, is_heard = becomes
        self._use(hop.src, _SENDS, moments_s, is_used)
        self._use(hop.dst, _RECEIVES, moments_s, is_heard)
        self._stay(self._n_devices + hop.channel, moments_s, came, is_used)
        if hop.medium_link >= 0:
            self._stay(self._n_devices + self._n_channels + hop.medium_link, moments_s, came, is_used)

    def sends(self, index: int, ready: Moments, arrival: Moments) -> None:
        """Note that a message that is ready for a link has crossed it, in part or as a whole, or is lost before."""
        gone_s = np.array(np.broadcast_to(arrival.s, self._n))
        if arrival.happens is not None:
            np.copyto(gone_s, ready.s, where=~arrival.happens)
        if index in self._began and ready.happens is not None:  # behind another link, which others did not cross
            np.copyto(gone_s, self._ended[index], where=~ready.happens)
        self._began.setdefault(index, ready.s)
        self._ended[index] = self._came[index] = gone_s

    def _use(self, device: int, how: int, moments_s: tuple[Number, Number, Number], happens: Flags) -> None:
        """Add the time for which a device computes, sends or receives for the request, until the horizon."""
        _, start_s, end_s = moments_s
        time_s = end_s - start_s
        if self.horizon_s < inf:
            time_s = np.where(np.less_equal(end_s, self.horizon_s), time_s, np.maximum(self.horizon_s - start_s, 0.0))
        if happens is not None:
            time_s = np.where(happens, time_s, 0.0)
        self._times_s[device, how] = self._times_s.get((device, how), 0.0) + time_s

    @property
    def work_j(self) -> NDArray[np.float64]:
        """What the request has added to the idle power so far, shape (n,); in the order of `edgesim.engine.state.energy.work_of`."""
        total_j = np.zeros(self._n)
        for device, (_, *powers_w) in enumerate(self._program.devices.power_w):
            computing_j, sending_j, hearing_j = (
                power_w * self._times_s.get((device, how), 0.0) for how, power_w in enumerate(powers_w)
            )
            total_j += computing_j + sending_j + hearing_j
        return total_j

    def _stay(self, number: int, moments_s: tuple[Number, Number, Number], came: Flags, is_served: Flags) -> None:
        """Add a stay at a resource: it comes, is served from then on, and leaves; at once where it is not served."""
        self._n_arrived[number] += 1 if came is None else came
        arrived_s, start_s, end_s = moments_s
        if self._from_s > 0.0 or self.horizon_s < inf:
            self._n_arrived[number] -= np.less(arrived_s, self._from_s)
            arrived_s, start_s, end_s = (np.clip(one_s, self._from_s, self.horizon_s) for one_s in moments_s)
        where = True if is_served is None else is_served
        if start_s is not arrived_s:
            np.add(self._waiting_s[number], start_s - arrived_s, out=self._waiting_s[number], where=where)
        np.add(self._busy_s[number], end_s - start_s, out=self._busy_s[number], where=where)

    def close(self, is_lost: NDArray[np.bool_], forgotten_s: NDArray[np.float64]) -> None:
        """Note what a request held at devices, and go on to the next.

        Parameters
        ----------
        is_lost : as of `edgesim.engine.arrays.results.ArrayTrials`.
        forgotten_s : when nothing of it was under way any more, shape (n,).
        """
        for holders, held in zip(self._holders, self._held, strict=True):
            if holders:
                held.append(tuple(self._span(holder, is_lost, forgotten_s) for holder in holders))
        self._began, self._ended, self._came, self._waited, self._times_s = {}, {}, {}, {}, {}

    def _span(self, holder: Holder, is_lost: NDArray[np.bool_], forgotten_s: NDArray[np.float64]) -> _Span:
        """Return from when until when a device holds something, and in which phases that begins and ends."""
        index = holder.step
        end_s: Number = inf
        begin_s = self._began.get(index, inf)
        begin_phase = np.where(self._waited.get(index, False), BEGIN_OF_WAITING, BEGIN)
        end_phase: int | NDArray[np.int_] = END
        if holder.users:
            end_s = self._began.get(holder.users[0], inf)
            have_waited = self._waited.get(holder.users[0], False)
            for user in holder.users[1:]:
                end_s = np.maximum(end_s, self._began.get(user, inf))
                have_waited = have_waited & self._waited.get(user, False)
            end_phase = np.where(have_waited, END_BY_WAITING, END)
        elif not holder.is_received:
            end_s = self._ended.get(index, inf)
            end_phase = END_OF_COMPUTATION if self._program.steps.device[index] >= 0 else END
        if holder.is_received:
            row = self._program.steps.transfer_index[index]
            begin_s = np.where(is_lost[row], inf, self._came.get(index, inf))
        return begin_s, np.minimum(end_s, forgotten_s), begin_phase, end_phase

    # ---- what all of them did

    def resources(
        self,
        released_s: NDArray[np.float64],
        forgotten_s: NDArray[np.float64],
        to_s: NDArray[np.float64],
        n_clients: int,
    ) -> tuple[list[list[ResourceRecord]], NDArray[np.bool_]]:
        """Return what was measured of each trial, and where that is certain.

        Parameters
        ----------
        released_s, forgotten_s : when each request was released, and when nothing of it was under way any more, shape (requests, n).
        to_s : when the trials end, shape (n,).
        n_clients : as of `edgesim.engine.arrays.held.peaks`.
        """
        peak_byte, is_certain = self._peak_byte(released_s, forgotten_s, n_clients)
        return [list(self._records(trial, float(to_s[trial]), peak_byte)) for trial in range(self._n)], is_certain

    def _peak_byte(
        self, released_s: NDArray[np.float64], forgotten_s: NDArray[np.float64], n_clients: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the most that each device held at once, shape (devices, n), and in which trials that is certain."""
        devices = self._program.devices
        peak_byte, is_certain = np.zeros((self._n_devices, self._n), np.int64), np.ones(self._n, np.bool_)
        for device, (holders, held) in enumerate(zip(self._holders, self._held, strict=True)):
            peak_byte[device] = self._program.plan.weight_byte.get(devices.device_ids[device], 0)
            if held:
                shape = (self._n, len(held), len(holders))
                moments_s, phases = np.empty((2, *shape)), np.empty((2, *shape), np.int8)
                for request, spans_of_request in enumerate(held):
                    for place, (begin_s, end_s, begin_phase, end_phase) in enumerate(spans_of_request):
                        moments_s[0, :, request, place], moments_s[1, :, request, place] = begin_s, end_s
                        phases[0, :, request, place], phases[1, :, request, place] = begin_phase, end_phase
                size_byte = np.array([holder.size_byte for holder in holders])
                spans = Spans(moments_s[0], moments_s[1], size_byte, phases[0], phases[1])
                window_s = self._from_s, self.horizon_s
                most_byte, is_sure = peaks(spans, released_s.T, forgotten_s.T, window_s, n_clients)
                peak_byte[device] += most_byte
                is_certain &= is_sure
        return peak_byte, is_certain

    def _records(self, trial: int, to_s: float, peak_byte: NDArray[np.int64]) -> Iterator[ResourceRecord]:
        """Yield what was measured of a trial, as `edgesim.engine.state.world.World.resources`."""
        devices, channels = self._program.devices, self._program.channels
        span_s = to_s - self._from_s
        share = 1 / span_s if span_s >= sys.float_info.min else 0.0
        ids = (*devices.device_ids, *(channel.channel_id for channel in channels.channel), *channels.medium_links)
        for number, resource_id in enumerate(ids):
            kind: Literal["device", "link", "medium"] = "link"
            capacity, most_byte = 1, 0
            if number < self._n_devices:
                kind, capacity = "device", devices.device[number].n_cores
                most_byte = int(peak_byte[number, trial])
            elif number < self._n_devices + self._n_channels:
                kind = "medium" if channels.channel[number - self._n_devices].is_medium else "link"
            busy_s, waiting_s = float(self._busy_s[number, trial]), float(self._waiting_s[number, trial])
            yield ResourceRecord(
                resource_id, kind, busy_s * share / capacity, waiting_s * share, (busy_s + waiting_s) * share,
                int(self._n_arrived[number, trial]), most_byte,
            )  # fmt: skip


def _where(happens: Flags, moment_s: Number) -> Number:
    """Return when something happens, inf where it does not; a new array."""
    if happens is None:
        return np.array(moment_s)
    return np.where(happens, moment_s, inf)
