"""What a message costs the devices at its ends: each is busy with it, as with a computation, before it leaves and when it has come."""

from __future__ import annotations

from collections.abc import Callable

from edgesim.engine.servers.devices import Devices
from edgesim.engine.servers.losses import GivenLosses, Losses
from edgesim.engine.servers.messages import Carrier
from edgesim.engine.state.request import Task
from edgesim.engine.state.world import World


class Hosts:
    """The handling of messages by devices with a `host_overhead`, in a trial.

    Parameters
    ----------
    devices : what is busy.
    world, losses, on_whole, on_part : as of `edgesim.engine.servers.messages.Carrier`, which carries the messages; what has come is
        told when the receiver has read it.
    """

    __slots__ = ("_costs", "_devices", "_handled", "_on_part", "_on_whole", "carrier")

    def __init__(
        self,
        devices: Devices,
        world: World,
        losses: Losses | GivenLosses,
        on_whole: Callable[[Task], None],
        on_part: Callable[[Task, float], None],
    ) -> None:
        self._costs = world.program.steps.host_costs
        self._devices = devices
        self._on_whole, self._on_part = on_whole, on_part
        self.carrier = (
            Carrier(world, losses, self._read_whole, self._read)
            if self._costs
            else Carrier(world, losses, on_whole, on_part)
        )

    def begin(self) -> None:
        """Go on to the trial that the world has begun."""
        self._handled: dict[
            Task, float
        ] = {}  # what devices are busy with: the share that came; -1 when it is to be sent
        self.carrier.begin()

    def __bool__(self) -> bool:
        return bool(self._costs)

    def send(self, task: Task) -> None:
        """Send a message, behind the time that this takes the sender."""
        cost = self._costs.get(task[1])
        if cost is None or cost.sending_s == 0.0:
            self.carrier.send(task)
            return
        self._handled[task] = -1.0
        self._devices.submit(task, cost.src, cost.sending_s)

    def _read_whole(self, task: Task) -> None:
        self._read(task, 1.0)

    def _read(self, task: Task, share: float) -> None:
        """Deliver what came of a message, behind the time that this takes the receiver."""
        cost = self._costs.get(task[1])
        time_s = 0.0 if cost is None else cost.receiving_s(share)
        if cost is None or time_s == 0.0 or share == 0.0:
            self._deliver(task, share)
            return
        self._handled[task] = share
        self._devices.submit(task, cost.dst, time_s)

    def done(self, task: Task) -> None:
        """Go on with a message that a device has handled."""
        share = self._handled.pop(task)
        if share < 0.0:
            self.carrier.send(task)
        else:
            self._deliver(task, share)

    def _deliver(self, task: Task, share: float) -> None:
        if share == 1.0:
            self._on_whole(task)
        else:
            self._on_part(task, share)

    def lost(self, task: Task) -> None:
        """Forget a message that an outage of a device took."""
        self._handled.pop(task)
