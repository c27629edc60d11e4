"""Channels that transfers share at once, at max-min fair rates.

Transfers that share a channel, directly or through others, form a component. When a transfer comes or goes, only the
components that its channels touch are recomputed: what they have sent so far is added up, their rates are computed anew by a
pure function, and one timer per component waits for the transfer that ends first. Changes of one moment are taken together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from edgesim.engine.state.world import World
from edgesim.network.sharing import max_min_rates


class Flow:
    """One transfer on fair channels.

    Parameters
    ----------
    owner : what it belongs to, handed back when it ends.
    amount_bit : bits by which its rate is counted.
    usage : channel -> time of the channel per bit, in s/bit.

    Attributes
    ----------
    leaves_s : when its owner will take it out at the latest, in s.
    """

    __slots__ = ("amount_bit", "component", "course", "finish_s", "is_blocked", "is_here", "joined_s", "leaves_s", "left_bit", "owner",
                 "rate", "since_s", "usage")  # fmt: skip

    def __init__(self, owner: Any, amount_bit: float, usage: Mapping[int, float]) -> None:
        self.owner = owner
        self.amount_bit = self.left_bit = amount_bit
        self.usage = usage
        self.rate = 0.0
        self.joined_s = self.since_s = 0.0
        self.finish_s = self.leaves_s = inf
        self.component: _Component | None = None
        self.is_blocked = False  # whether a link on its way has rate 0 now
        self.is_here = False  # whether it takes part
        self.course: Any = None  # what its owner remembers of it while rates change

    @property
    def sent_share(self) -> float:
        """Share of the transfer that has been sent, as of the last change; all of nothing."""
        return 1.0 - self.left_bit / self.amount_bit if self.amount_bit > 0.0 else 1.0


class _Component:
    """Transfers that are connected through channels; dead when anything about them has changed since."""

    __slots__ = ("flows", "is_alive")

    def __init__(self, flows: list[Flow]) -> None:
        self.flows = flows
        self.is_alive = True


class FairChannels:
    """All fair channels of a trial.

    Parameters
    ----------
    world : the trial's surroundings; meters and checks learn the load of each channel.
    on_end : called with each transfer that has sent everything.
    """

    __slots__ = ("_checker", "_clock", "_is_settling", "_on_end", "_stays", "_touched", "_users")

    def __init__(self, world: World, on_end: Callable[[Flow], None]) -> None:
        self._clock = world.clock
        self._on_end = on_end
        self._stays = world.on_channels
        self._checker = world.checker
        self._users: dict[int, dict[Flow, None]] = {}
        self._touched: dict[int, None] = {}
        self._is_settling = False

    def join(self, flow: Flow) -> None:
        """Let a transfer take part; one without channels ends at once."""
        flow.since_s = self._clock.now_s
        flow.rate = 0.0
        flow.is_here = bool(flow.usage)
        for channel in flow.usage:
            self._users.setdefault(channel, {})[flow] = None
        self._touch(flow.usage)
        if not flow.usage:
            flow.left_bit = 0.0
            self._clock.after(0.0, self._on_end, flow)

    def leave(self, flow: Flow) -> None:
        """Take a transfer out; `flow.left_bit` is what it has not sent."""
        self.advance(flow)
        flow.is_here = False
        for channel in flow.usage:
            users = self._users[channel]
            del users[flow]
            if not users:
                del self._users[channel]
        if flow.component is not None:
            flow.component.is_alive = False
            flow.component = None
        self._touch(flow.usage)

    def change(self, flow: Flow, usage: Mapping[int, float] | None) -> None:
        """Let a transfer go on with another usage of the same channels; None: with none, since a link has rate 0."""
        self.advance(flow)
        flow.is_blocked = usage is None
        if usage is not None:
            flow.usage = usage
        self._touch(flow.usage)

    def flows(self) -> list[Flow]:
        """Return the transfers that are under way, brought up to the present."""
        found = dict.fromkeys(flow for users in self._users.values() for flow in users)
        for flow in found:
            self.advance(flow)
        return list(found)

    def _touch(self, channels: Iterable[int]) -> None:
        self._touched.update(dict.fromkeys(channels))
        if not self._is_settling:
            self._is_settling = True
            self._clock.settle(self._settle)

    def advance(self, flow: Flow) -> None:
        """Add up what a transfer has sent since its rate was set."""
        now_s = self._clock.now_s
        if flow.rate > 0.0:
            flow.left_bit = max(0.0, flow.left_bit - flow.rate * (now_s - flow.since_s))
        flow.since_s = now_s

    def _settle(self, _: None) -> None:
        """Recompute every component that something of this moment has touched."""
        self._is_settling = False
        touched, self._touched = self._touched, {}
        seen: set[int] = set()
        for channel in touched:
            if channel in seen:
                continue
            if channel not in self._users:
                self._report({channel: 0.0})
                continue
            self._recompute(self._connected(channel, seen))

    def _connected(self, channel: int, seen: set[int]) -> list[Flow]:
        """Return the transfers that are connected to a channel; their channels are added to `seen`."""
        flows: dict[Flow, None] = {}
        queue = [channel]
        seen.add(channel)
        while queue:
            for flow in self._users[queue.pop()]:
                if flow not in flows:
                    flows[flow] = None
                    for other in flow.usage:
                        if other not in seen:
                            seen.add(other)
                            queue.append(other)
        return list(flows)

    def _recompute(self, flows: list[Flow]) -> None:
        """Set the rates of one component, and its timer."""
        now_s = self._clock.now_s
        component = _Component(flows)
        moving = [flow for flow in flows if not flow.is_blocked]
        rates = dict(zip(moving, max_min_rates([flow.usage for flow in moving]), strict=True))
        first_s = inf
        for flow in flows:
            if flow.component is not None:
                flow.component.is_alive = False
            flow.component = component
            self.advance(flow)
            flow.rate = rate = rates.get(flow, 0.0)
            flow.finish_s = now_s + flow.left_bit / rate if rate > 0.0 else inf
            first_s = min(first_s, flow.finish_s)
        if self._stays is not None or self._checker is not None:
            load: dict[int, float] = {}
            for flow in flows:
                for channel, time_per_bit in flow.usage.items():
                    load[channel] = load.get(channel, 0.0) + flow.rate * time_per_bit
            self._report(load)
        if first_s < inf and first_s <= min(
            flow.leaves_s for flow in flows
        ):  # otherwise there will be another change before
            self._clock.after(first_s - now_s, self._on_timer, component)

    def _report(self, load: Mapping[int, float]) -> None:
        if self._checker is not None:
            self._checker.loaded(load)
        if self._stays is not None:
            for channel, value in load.items():
                self._stays.meter(channel).load(self._clock.now_s, value, len(self._users.get(channel, ())))

    def is_ending(self, flow: Flow) -> bool:
        """Return whether a transfer ends at this moment."""
        now_s = self._clock.now_s
        return flow.finish_s <= now_s + 1e-14 * max(1.0, now_s)

    def _on_timer(self, component: _Component) -> None:
        """End the transfers whose time has come."""
        if not component.is_alive:
            return
        ended = [flow for flow in component.flows if self.is_ending(flow)]
        for flow in ended:
            self.leave(flow)
            flow.left_bit = 0.0
        for flow in ended:
            self._on_end(flow)
