"""Strips whose heights cost least energy within a deadline (CoEdge)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from edgesim.domain.plan import Compute
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.ends import known_device
from edgesim.strategies.modnn import stage_boxes, stage_speeds
from edgesim.strategies.shares.alone import Cost, alone, computing_j, not_seen, sending_j
from edgesim.strategies.shares.program import Shares, StageCosts, least_shares
from edgesim.units import Seconds, show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.plan import Plan
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext
    from edgesim.nn.cut.schedule import Schedule
    from edgesim.nn.cut.stages import Stage, StagedNetwork
    from edgesim.strategies.layers.partition import CutStage

N_CORRECTIONS = 3
"""How often the linear program is solved anew for the time that its last answer took beyond what it said."""


@dataclass(frozen=True, slots=True)
class CoEdge:
    """Cut every layer into strips whose heights cost least energy while the answer comes by a deadline.

    The layers are cut and computed as by ``modnn`` with halos. How much of each run of layers a device gets, the owner among them, is the
    answer of a linear program, in whole rows. It is asked for all devices, then again and again without the one with the least to do, since what
    a device costs that does little (its halo, its message, its overhead per layer) is not linear. Of all these shares, the fastest ones, equal ones and
    those in proportion to speed, the cheapest in energy is taken that meets the deadline.

    Parameters
    ----------
    owner : id of the device that scatters and gathers; it may compute too.
    workers : pattern of the ids of the others that may compute.
    deadline_s : by when the answer to a request that is alone must be there, from its release, in s; without it energy alone counts.

    Formula
    -------
    Least sum over devices of (busy power x time + transmit and receive power x time on the air, above idle) + idle power of all x latency,
    with latency <= deadline; see `edgesim.strategies.shares.program.least_shares`. Latency and energy of what is chosen are those of the plan, with queues
    for links, media and cores.

    Validity
    --------
    For a request that meets no other, without failures and losses, on links and media of sharing ``fifo`` without contention, transports and
    changing rates, and without host overhead: there latency and energy are what is simulated, and elsewhere a deadline is refused. Energy counts idle power of the devices of the plan until
    the answer. A deadline that no shares meet is refused, with the fastest that was found; it is not proven that there is none faster. With everything
    delivered the answers are those of the whole network; without any of the messages there is none.

    References
    ----------
    L. Zeng, X. Chen, Z. Zhou, L. Yang, J. Zhang, CoEdge: Cooperative DNN Inference with Adaptive Workload Partitioning over Heterogeneous Edge
    Devices, IEEE/ACM Transactions on Networking 29(2), 2021, arXiv:2012.03257 (shares by a linear program, energy under a deadline). Ours: shares for each run of
    layers in place of one for all, what is left out of the program is found from the plan, and devices with little to do are left out one by one in place of those
    with less than the padding.
    """

    owner: DeviceId
    workers: DeviceGlob = "*"
    deadline_s: Seconds | None = None

    needs_training: ClassVar[bool] = False

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when no worker matches, or the deadline is no time."""
        if not self._device_ids(topology)[1:]:
            raise PlanError(
                f"coedge.workers: {self.workers!r} matches no device but the owner; name at least one worker"
            )
        if self.deadline_s is not None and self.deadline_s <= 0:
            raise PlanError(f"coedge.deadline: {self.deadline_s} s is no time to answer in; give more than 0 s")
        if self.deadline_s is not None and (unseen := not_seen(topology)):
            raise PlanError(
                f"coedge.deadline: it cannot be promised on {unseen}; leave out deadline, or take sharing fifo and what is always the same"
            )

    def _device_ids(self, topology: Topology) -> tuple[str, ...]:
        ids = [device.device_id for device in topology.devices]
        return self.owner, *(name for name in ids if is_selected(name, self.workers) and name != self.owner)

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When the owner or the workers are not in the topology, the network has nothing to cut or something that cannot be cut, or no
            shares meet the deadline.
        DataError
            When the network cannot be traced.
        """
        from edgesim.nn.cut.staging import staged_once
        from edgesim.strategies.layers.partition import LayerPartition

        known_device(context, "coedge.owner", self.owner)
        self.check(context.topology)
        device_ids = self._device_ids(context.topology)
        network = staged_once(context.network, context.dataset.inputs, "halo", "strips")
        if network.uncut or not network.stages:
            raise PlanError(
                f"coedge: cannot cut {', '.join(network.uncut) or 'anything of the network'}; use strategy chain or modnn"
            )
        search = Search(context, self.owner, device_ids, network)
        tried = list(search.candidates(self.deadline_s))
        in_time = [one for one in tried if self.deadline_s is None or one.cost.latency_s <= self.deadline_s]
        if not in_time:
            fastest_s = min(one.cost.latency_s for one in tried)
            raise PlanError(
                f"coedge.deadline: no shares answer within {show(self.deadline_s or 0.0, 's')}, the fastest found take {show(fastest_s, 's')}; give "
                "more time, faster links, or more workers"
            )
        fitting = [one for one in in_time if search.fits(one.plan)]
        best = min(fitting or in_time, key=lambda one: (one.cost.energy_j, one.cost.latency_s))
        equal = tried[0]
        notes: dict[str, Any] = {
            "deadline_s": self.deadline_s,
            "alone": {"latency_s": best.cost.latency_s, "energy_j": best.cost.energy_j},
            "equal_shares": {"latency_s": equal.cost.latency_s, "energy_j": equal.cost.energy_j},
        }
        return LayerPartition(
            best.plan, self.owner, device_ids, "wait", "halo", "strips", search.network, best.stages, context.dataset.test, notes,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """Stages cut by some shares, their plan, and what a request costs with it."""

    stages: tuple[CutStage, ...]
    plan: Plan
    cost: Cost


@dataclass(frozen=True, slots=True)
class Search:
    """Tries shares of the stages of a network.

    Parameters
    ----------
    context : where the plan is for.
    owner_id : the device that scatters and gathers.
    device_ids : the devices that may compute, the owner first.
    network : the network in stages.
    """

    context: DeploymentContext
    owner_id: str
    device_ids: Sequence[str]
    network: StagedNetwork

    def candidates(self, deadline_s: float | None) -> Iterator[Candidate]:
        """Yield equal shares, those in proportion to speed, and what linear programs find for fewer and fewer devices."""
        import numpy as np

        n_devices = len(self.device_ids)
        yield self._candidate(np.ones((len(self.network.stages), n_devices)))
        yield self._candidate(
            np.array([stage_speeds(self.context, stage, self.device_ids) for stage in self.network.stages])
        )
        costs, taking_part = self._costs(), list(range(n_devices))
        while True:
            some = costs.of(taking_part)
            fastest = least_shares(some, None, is_fastest=True)
            if fastest is None:
                return
            last, one = fastest, self._candidate(self._spread(fastest, taking_part))
            yield one
            for _ in range(N_CORRECTIONS):
                budget_s = None if deadline_s is None else deadline_s - (one.cost.latency_s - last.latency_s)
                found = least_shares(some, budget_s)
                if found is None:
                    break
                last, one = found, self._candidate(self._spread(found, taking_part))
                yield one
                if deadline_s is None or one.cost.latency_s <= deadline_s:
                    break
            if len(taking_part) == 1:
                return
            del taking_part[int(np.argmin(last.shares.sum(axis=0)))]

    def fits(self, plan: Plan) -> bool:
        """Return whether all devices have the memory for a plan."""
        device_of = self.context.topology.device_of
        return all(size <= device_of[name].profile.memory_byte for name, size in plan.peak_memory_byte().items())

    def _spread(self, found: Shares, taking_part: Sequence[int]) -> NDArray[np.float64]:
        """Return the shares of all devices, 0 for those that take no part."""
        import numpy as np

        shares = np.zeros((len(self.network.stages), len(self.device_ids)))
        shares[:, list(taking_part)] = np.clip(found.shares, 0.0, None)
        return shares

    def _candidate(self, shares: NDArray[np.float64]) -> Candidate:
        """Cut the stages by some shares."""
        from edgesim.domain.networks.messages import AS_COMPUTED
        from edgesim.nn.cut.schedule import schedule
        from edgesim.strategies.layers.partition import CutStage
        from edgesim.strategies.layers.plan import PlanWriter

        stages = tuple(
            CutStage(stage, schedule(stage, stage_boxes(stage, "strips", row.tolist())))
            for stage, row in zip(self.network.stages, shares, strict=True)
        )
        context = self.context
        plan = PlanWriter(context, self.owner_id, self.device_ids, self.network, stages, None, 0.0, AS_COMPUTED).write()
        return Candidate(stages, plan, alone(plan, context.topology, context.compute))

    def _costs(self) -> StageCosts:
        """Return what shares cost, as a line through what half of a stage and the whole of it cost."""
        import numpy as np

        from edgesim.nn.cut.schedule import schedule

        found = np.empty((2, 2, len(self.network.stages), len(self.device_ids)))
        for k, stage in enumerate(self.network.stages):
            for of, speeds in enumerate(((1.0, 1.0), (1.0,))):
                part = schedule(stage, stage_boxes(stage, "strips", speeds))
                for i, device_id in enumerate(self.device_ids):
                    found[of, :, k, i] = self._stage_cost(stage, part, device_id)
        (half_s, half_j), (whole_s, whole_j) = found
        idle_w = sum(self.context.topology.device_of[name].profile.idle_w for name in self.device_ids)
        return StageCosts(
            np.maximum(0.0, 2 * half_s - whole_s), 2 * (whole_s - half_s), 2 * (whole_j - half_j), float(idle_w)
        )

    def _stage_cost(self, stage: Stage, part: Schedule, device_id: str) -> tuple[float, float]:
        """Return time in s and energy above idle in J when a device does what the first of a schedule does: input, work, output."""
        topology = self.context.topology
        profile = topology.device_of[device_id].profile
        names = [layer.name for layer in stage.layers]
        step = Compute("part", device_id, stage.work(part.boxes_of(0, names)))
        time_s = self.context.compute.duration_s(step, profile)
        energy_j = computing_j(profile, time_s)
        if device_id == self.owner_id:
            return time_s, energy_j
        sizes_byte = (
            sum(stage.tensor(name).byte_of(box) for name, box in part.needs[0].items()),
            sum(stage.tensor(name).byte_of(part.boxes[name][0]) for name in stage.outputs),
        )
        ways = ((self.owner_id, device_id), (device_id, self.owner_id))
        for size_byte, (src_id, dst_id) in zip(sizes_byte, ways, strict=True):
            for link in topology.route(src_id, dst_id):
                time_s += link.occupation_s(size_byte) + link.latency_s
                energy_j += sending_j(link, size_byte, topology)
        return time_s, energy_j
