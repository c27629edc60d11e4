"""Tiles of fused layers after DeepThings: each tile goes through many layers on one device, with the overlap that it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from edgesim.domain.plan import Compute, Plan
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.ends import ANSWER_ID, INPUT_ID, known_device, require_delivered
from edgesim.units import Bytes, Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.samples import Samples
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext, Kernel
    from edgesim.nn.cut.network import CutNetwork, Damage
    from edgesim.nn.cut.schedule import Message, Schedule
    from edgesim.nn.cut.stages import StagedNetwork


@dataclass(frozen=True, slots=True)
class FusedTiles:
    """Cut the first layers of a network into tiles that devices compute from the input to the last of these layers.

    The output of the last fused layer is cut into a grid. Each tile is one task: a device gets the part of the input that the tile reads,
    backwards through all fused layers, computes what lies between, and sends the tile of the output back to the owner, which puts the
    tiles together and computes the other layers. Neighbouring tiles overlap, more with each layer, so that work is done twice; with
    reuse every second tile gets the overlap from those beside it and is computed after them.

    With ``assign: static`` tiles are dealt out before the request comes, one after another to the device that would be done with its tiles
    first. With ``stealing`` each device asks the owner for a tile as soon as it is free, and gets the next one that nobody has, so that fast devices do more,
    and slow, busy or lost ones less. A tile that is not back in time is given to another device ``again``. Tiles that stay lost leave zeros with ``degrade``; with
    ``wait`` there is no answer without all of them.

    Parameters
    ----------
    owner : id of the device that hands out and collects the tiles.
    workers : pattern of the ids of the devices that compute; the owner is no worker.
    owner_computes : whether the owner computes tiles too.
    grid : rows and columns of tiles.
    until : id of the last fused layer; by default the first run of layers that can be cut is fused, as far as it goes.
    reuse : whether tiles get overlaps from those beside them; not with `again_s` or ``stealing``.
    assign : ``static``, or ``stealing``: tiles go to whichever device asks first.
    ask_byte : with ``stealing``, size of the message that asks for a tile, in byte. Assumed: 64.
    again_s : a tile that is not back so long after it was given goes to another device, in s: with ``stealing`` to one that asks, with ``static``
        to one with fewest tiles under way. By default to nobody. No device is given a tile twice.
    on_missing : what happens when a tile does not come: ``wait``, or ``degrade`` and go on with zeros in its place.
    deadline_s : how long the owner waits for tiles, in s, from when it begins to hand them out, or with static tiles from when its own are computed; needed with
        ``degrade``. With reuse a tile that waits for others waits half as long.

    Formula
    -------
    A window of kernel k, stride s and padding p reads the rows s a - p to s (b - 1) - p + k - 1 of its input for the rows a to b - 1 of its
    output, cut off at the border; layer by layer backwards. Traffic = sum over tiles of other devices of (input box + output tile, 4 byte a
    number), and with reuse the overlaps between tiles of different devices. With stealing, requests besides: one for each tile, and one more of
    each device that nothing is left for.

    Validity
    --------
    As ``modnn`` with halo: with every tile done the answer is that of the whole network up to the order of float additions, whoever did it. Static tiles
    are dealt out from times without waiting. With stealing, devices know of the request when it is released, ask for one tile at a time, and what asks where nothing is left
    gets no reply, and a tile when one is to be done again (DeepThings' devices poll every 100 ms). A device of which the request or the tile was lost
    gets no other tile of that inference. Under load devices ask in each request for itself, at first when they have nothing else to do.

    References
    ----------
    Z. Zhao, K. M. Barijough, A. Gerstlauer, DeepThings: Distributed Adaptive Deep Learning Inference on Resource-Constrained IoT Edge
    Clusters, IEEE TCAD 37(11):2348-2359, 2018, doi 10.1109/TCAD.2018.2858384. Ours: who computes which static tile, zeros for lost tiles, tiles done again, overlaps
    sent by those who have them and not through a gateway; the owner is source and gateway in one.
    """

    owner: DeviceId
    workers: DeviceGlob = "*"
    owner_computes: bool = False
    grid: tuple[Annotated[int, Ge(1)], Annotated[int, Ge(1)]] = (2, 2)
    until: str | None = None
    reuse: bool = False
    on_missing: Literal["wait", "degrade"] = "wait"
    deadline_s: Seconds | None = None
    assign: Literal["static", "stealing"] = "static"
    ask_byte: Bytes = 64
    again_s: Seconds | None = None

    needs_training: ClassVar[bool] = False

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when no worker matches, or ``degrade`` has no deadline."""
        if (self.on_missing == "degrade") != (self.deadline_s is not None):
            raise PlanError(
                "fused-tiles: a deadline goes with on_missing 'degrade', and only with it: how long the owner waits for tiles"
            )
        if not self._device_ids(topology):
            raise PlanError(
                f"fused-tiles.workers: {self.workers!r} matches no device but the owner; name at least one worker"
            )
        if self.reuse and self._is_pooled:
            raise PlanError(
                "fused-tiles: reuse goes with static tiles that nobody does again: a tile waits for those beside it; leave out reuse, or assign and again"
            )
        if self.again_s is not None and len(self._device_ids(topology)) < 2:
            raise PlanError("fused-tiles.again: there is no other device that could do a tile again; name more workers")

    @property
    def _is_pooled(self) -> bool:
        return self.assign == "stealing" or self.again_s is not None

    def _device_ids(self, topology: Topology) -> tuple[str, ...]:
        own = (self.owner,) if self.owner_computes else ()
        ids = (device.device_id for device in topology.devices)
        return (*own, *(name for name in ids if is_selected(name, self.workers) and name != self.owner))

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When the owner or the workers are not in the topology, no layers can be fused, or a tile would be empty.
        DataError
            When the network cannot be traced.
        """
        from edgesim.nn.cut.staging import staged
        from edgesim.nn.cut.tiles import is_closed, places_of, tile_schedule
        from edgesim.strategies.layers.tile_plan import HandedOut, TilePlanWriter

        known_device(context, "fused-tiles.owner", self.owner)
        self.check(context.topology)
        network = staged(context.network, context.dataset.inputs, "fused", "tiles", until=self.until)
        names = [layer.layer_id for stage in network.stages for layer in stage.layers]
        if not names or (self.until is not None and names[-1] != self.until):
            fused = f"the layers that can be are {', '.join(names)}" if names else "no layers can be"
            raise PlanError(f"fused-tiles: cannot fuse layers until {self.until!r}; {fused}")
        (stage,) = network.stages
        if not is_closed(stage):
            raise PlanError(
                f"fused-tiles: layers behind {stage.layers[-1].layer_id!r} read more than its output, as with a shortcut past it; "
                f"set until to a layer where all comes together, one of {', '.join(names)}"
            )
        schedule = tile_schedule(stage, self.grid, is_reusing=self.reuse)
        places = tuple(f"{row},{column}" for row, column in places_of(self.grid))
        device_of = self._dealt_out(context, network, schedule)
        ask_byte = self.ask_byte if self.assign == "stealing" else None
        ids = self._device_ids(context.topology)
        handed_out = HandedOut(ids, ask_byte, self.again_s) if self._is_pooled else None
        plan = TilePlanWriter(
            context, self.owner, network, schedule, places, device_of, self.deadline_s, handed_out
        ).write()
        return TiledNetwork(plan, self, places, device_of, network, schedule, context.dataset.test)

    def _dealt_out(self, context: DeploymentContext, network: StagedNetwork, schedule: Schedule) -> tuple[str, ...]:
        """Return the device of each tile: one after another that which would be done first."""
        (stage,) = network.stages
        busy_s = dict.fromkeys(self._device_ids(context.topology), 0.0)
        found = []
        for tile in range(len(schedule.needs)):
            work = stage.work(schedule.boxes_of(tile, schedule.phases[0]))
            done_s = {
                name: before_s
                + context.compute.duration_s(Compute("tile", name, work), context.topology.device_of[name].profile)
                for name, before_s in busy_s.items()
            }
            first = min(done_s, key=done_s.__getitem__)
            busy_s[first] = done_s[first]
            found.append(first)
        return tuple(found)


@dataclass
class TiledNetwork:
    """A network whose first layers are computed in tiles.

    Parameters
    ----------
    plan : the steps of one inference.
    options : of the strategy.
    places : row and column of each tile in words.
    device_of : device of each tile.
    network : the network: one stage, which holds the weights.
    schedule : what each tile computes, reads and gets from others.
    samples : the test split.
    """

    plan: Plan
    options: FusedTiles
    places: tuple[str, ...]
    device_of: tuple[str, ...]
    network: StagedNetwork
    schedule: Schedule
    samples: Samples
    _runner: CutNetwork | None = field(default=None, repr=False)
    _answers: dict[Damage, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`. Raises `PlanError` where tiles are given out while the inference runs."""
        if self.plan.pools:
            raise PlanError(
                "fused-tiles gives tiles to devices while the inference runs, but what devices execute says before who computes what; take assign: static, "
                "and leave out again"
            )
        return _kernels(
            self.plan, self.device_of, self.places,
            network=self.network, schedule=self.schedule, names=list(self.samples.inputs),
        )  # fmt: skip

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split with what arrived, by running the network tile by tile.

        Zeros stand for a tile that did not come, and in a tile for overlaps that did not come.

        Raises
        ------
        PlanError
            When the input did not reach the owner or the answer the sink, and with ``wait`` when any transfer is missing.
        """
        from edgesim.nn.cut.network import CutNetwork

        names = tuple(transfer.step_id for transfer in self.plan.transfers)
        ends = tuple(name for name in names if name in {INPUT_ID, ANSWER_ID})
        is_strict = self.options.on_missing == "wait" and not self.plan.pools
        require_delivered(names if is_strict else ends, delivery)
        damage = self._holes(delivery) if self.plan.pools else self._damage(delivery)
        if damage not in self._answers:
            if self._runner is None:
                self._runner = CutNetwork(self.network, [self.schedule], self.samples)
            if len(self._answers) >= _KEPT:
                del self._answers[next(iter(self._answers))]
            self._answers[damage] = self._runner.answers([damage])
        return self._answers[damage]

    def _holes(self, delivery: Delivery) -> Damage:
        """Return which tiles came from nobody."""
        from edgesim.nn.cut.network import Damage
        from edgesim.strategies.layers.tile_plan import gather_id

        ids = sorted({step.src_id for step in self.plan.transfers if step.kind == "intermediate"})
        holes = [
            tile
            for tile, place in enumerate(self.places)
            if not any(delivery.is_whole(gather_id(place, device_id)) for device_id in ids)
        ]
        if holes and self.options.on_missing == "wait":
            raise PlanError(f"there is no answer without tile {self.places[holes[0]]}: nothing can stand in for it")
        return Damage(results=frozenset(holes))

    def _damage(self, delivery: Delivery) -> Damage:
        """Return what was lost of tiles that each have one device."""
        from edgesim.nn.cut.network import Damage
        from edgesim.strategies.layers.tile_plan import gather_id, overlap_id, scatter_id

        lost = delivery.incomplete
        idle = {tile for tile, place in enumerate(self.places) if scatter_id(place) in lost}
        # a tile waits for ever for one that its own device does not compute
        idle |= {one.dst for one in self.schedule.messages if one.src in idle and self._are_together(one)}
        results = idle | {tile for tile, place in enumerate(self.places) if gather_id(place) in lost}
        messages = frozenset(
            position
            for position, message in enumerate(self.schedule.messages)
            if message.src in idle or overlap_id(self.places[message.dst], self.places[message.src]) in lost
        )
        return Damage(messages=messages, results=frozenset(results))

    def _are_together(self, message: Message) -> bool:
        return self.device_of[message.src] == self.device_of[message.dst]

    def describe(self) -> dict[str, Any]:
        """Return the fused layers, the device of each tile, what is computed more often than once, and bytes of weights by device."""
        from edgesim.nn.cut.tiles import overhead

        (stage,) = self.network.stages
        return {
            "owner": self.options.owner,
            "fused": [layer.layer_id for layer in stage.layers],
            "tiles": dict(zip(self.places, self.device_of, strict=True))
            if self.options.assign == "static"
            else "whoever asks",
            "work_factor": overhead(stage, self.schedule),
            "weight_byte": dict(self.plan.weight_byte),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runner": None, "_answers": {}}


def _kernels(
    plan: Plan,
    device_of: Sequence[str],
    places: Sequence[str],
    *,
    network: StagedNetwork,
    schedule: Schedule,
    names: Sequence[str],
) -> dict[str, Kernel]:
    """Return what each device computes of fused tiles by the ids of the computations.

    Parameters
    ----------
    plan, device_of, places, network, schedule : as of `TiledNetwork`.
    names : of the inputs of the network.
    """
    from edgesim.nn.kernels.cut.made import kernels_of
    from edgesim.nn.kernels.cut.stages import Cut, StageIds
    from edgesim.nn.kernels.whole import arrival
    from edgesim.strategies.layers import tile_plan

    tiles = dict(enumerate(places))
    scatters, gathers = (
        {tile: name(place) for tile, place in tiles.items() if name(place) in plan.transfer_ids}
        for name in (tile_plan.scatter_id, tile_plan.gather_id)
    )
    messages = {
        position: tile_plan.compute_id(tiles[one.src])
        if device_of[one.src] == device_of[one.dst]
        else tile_plan.overlap_id(tiles[one.dst], tiles[one.src])
        for position, one in enumerate(schedule.messages)
    }
    computes = {(tile, 0): tile_plan.compute_id(place) for tile, place in tiles.items()}
    ids = StageIds(scatters, gathers, messages, computes, tile_plan.START_ID, tile_plan.JOIN_ID)
    found: dict[str, Kernel] = {plan.answer_id: arrival}
    return found | kernels_of(Cut(network, [schedule], [ids], {}, {}, names, [ANSWER_ID]))


_KEPT = 64
"""Answers kept by what was lost; a study meets the same again and again."""
