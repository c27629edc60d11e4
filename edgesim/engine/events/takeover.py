"""Other plans that take over while devices are taken as down: which one requests follow, and the weights that it needs first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import fsum, nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesim.domain.records import WatchRecord
    from edgesim.engine.events.watch import Watch
    from edgesim.engine.program.weights import TakeoverTable
    from edgesim.engine.state.request import Errand, Task
    from edgesim.engine.state.world import World
    from edgesim.interfaces import Replacing


class Takeover:
    """Which plan the requests of one trial follow.

    It is the first none of whose devices is taken as down; without one, the plan stays. Weights that devices lack are sent by the monitor, again
    after a timeout of the detector where they are lost, and read into memory. When all are there, requests that are released then follow the
    new plan; those under way end with theirs. Another change meanwhile ends the present one.

    Parameters
    ----------
    world : the trial's surroundings; its program has the plans and the messages that bring weights.
    watch : whom the monitor suspects.
    recovery : the options.
    table : what it needs to change.
    send : sends a message.
    """

    def __init__(
        self, world: World, watch: Watch, recovery: Replacing, table: TakeoverTable, send: Callable[[Task], None]
    ) -> None:
        self._world, self._watch, self._recovery, self._table, self._send = world, watch, recovery, table, send
        self.plan = 0
        self._wanted = 0
        self._number = 0  # of the present change
        self._missing: set[str] = set()  # devices that lack weights of the plan that is wanted
        self._decided_s = 0.0
        self._lost: set[str] = set()
        self._times_s: list[float] = []

    def reconsider(self) -> None:
        """Choose a plan, as the monitor has changed its mind about a device."""
        self._lost = set(self._watch.suspects) if self._recovery.back else self._lost | self._watch.suspects
        wanted = next((n for n, devices in enumerate(self._table.devices) if not devices & self._lost), self._wanted)
        if wanted == self._wanted:
            return
        self._wanted, self._decided_s = wanted, self._world.clock.now_s
        self._number += 1
        lacking = {} if wanted == self.plan else self._table.lacking[self.plan, wanted]
        self._missing = set(lacking)
        for device_id in sorted(lacking):
            self._bring(device_id)
        self._change_if_ready()

    def _bring(self, device_id: str) -> None:
        """Send a device the weights that it lacks, or let it read them from its storage."""
        n_byte = self._table.lacking[self.plan, self._wanted][device_id]
        index = self._table.messages.get((device_id, n_byte))
        if index is None:
            self._load(device_id)
        else:
            self._send((self._watch.errand(device_id, self._number), index))

    def came(self, errand: Errand) -> None:
        """Let a device read the weights that came, unless they are of no use any more."""
        if errand.change == self._number:
            self._load(errand.device_id)

    def _load(self, device_id: str) -> None:
        rate = self._recovery.loading_byte_per_s
        n_byte = self._table.lacking[self.plan, self._wanted][device_id]
        self._world.clock.after(0.0 if rate is None else n_byte / rate, self._on_loaded, (self._number, device_id))

    def broke(self, errand: Errand) -> None:
        """Send weights again that were lost, after a while, if they are still wanted."""
        if errand.change == self._number > 0:
            change = (self._number, errand.device_id)
            self._world.clock.after(self._watch.timeout_s, self._bring_again, change)

    def _bring_again(self, change: tuple[int, str]) -> None:
        number, device_id = change
        if number == self._number:
            self._bring(device_id)

    def _on_loaded(self, change: tuple[int, str]) -> None:
        number, device_id = change
        if number == self._number:
            self._missing.discard(device_id)
            self._change_if_ready()

    def _change_if_ready(self) -> None:
        if self._missing or self.plan == self._wanted:
            return
        self.plan = self._wanted
        if self._world.clock.now_s >= self._world.from_s:
            self._times_s.append(self._world.clock.now_s - self._decided_s)

    def record(self, watched: WatchRecord) -> WatchRecord:
        """Add how often another plan took over in the watched time, and how long that took."""
        times_s = self._times_s
        return replace(watched, n_changes=len(times_s), change_s=fsum(times_s) / len(times_s) if times_s else nan)
