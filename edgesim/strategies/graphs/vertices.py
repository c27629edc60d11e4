"""The vertices of a graph divided over devices, which tell each other the states of neighbours in every iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.ends import known_device
from edgesim.strategies.graphs.reservoirs import reservoir_network
from edgesim.units import Seconds

if TYPE_CHECKING:
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import Deployment, DeploymentContext


@dataclass(frozen=True, slots=True)
class Vertices:
    """Divide the vertices of a graph over devices; neighbours on other devices are told of in messages, in every iteration.

    The owner has the graph and gives each device a run of its vertices in breadth-first order, all runs as long as can be alike, with their features and edges.
    Every device knows the weights of all reservoirs. In every iteration of a layer but the first, where all states are 0, each device sends each other the
    states of its vertices that have a neighbour there, once each; at the end the sum over its vertices goes to the owner, who reads out.

    With `on_missing` ``wait`` every step waits for its messages, for ever when one is lost for good. With ``degrade`` a device goes on at its deadline with
    the last state that came of a neighbour, 0 before any; the sum of a device that does not come is missing. A device that did not get its vertices
    computes nothing.

    Parameters
    ----------
    owner : device that divides the graph and reads out; the sink by default.
    workers : pattern of the devices that have vertices; the owner is none of them.
    on_missing : what a step does when a message does not come.
    step_deadline_s : how long a step waits for messages, counted from when its inputs on the same device are ready; needed with ``degrade``. The n-th
        exchange waits n times as long, and the owner for the sum of them and of the computations, so that a neighbour's waiting is not taken for a loss.

    Formula
    -------
    Message from a to b in an iteration = 4 byte x reservoirs x units x vertices of a with a neighbour on b. Traffic between devices = layers x (iterations - 1) x the sum of
    these. Work of a device in an iteration = its share of the vertices x (sum over neighbours + V x + addition + tanh), dense products of the padded graph as in
    the undistributed network.

    Validity
    --------
    With everything delivered the answers are those of the whole network up to the order of float additions. Graphs differ, and a plan is one for all: messages and shares
    are the means over the graphs that are asked, rounded up to whole bytes, and a message that only some graphs need is sent for all of them.

    References
    ----------
    Our own, after J. Mao et al., MoDNN, DATE 2017, doi 10.23919/DATE.2017.7927211. Iterations with old values: D. Chazan, W. Miranker, Chaotic Relaxation, Linear
    Algebra and its Applications 2(2), 1969, doi 10.1016/0024-3795(69)90028-7.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset({"graphs"})
    owner: DeviceId | None = None
    workers: DeviceGlob = "*"
    on_missing: Literal["wait", "degrade"] = "wait"
    step_deadline_s: Seconds | None = None

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when no worker matches, or ``degrade`` has no deadline."""
        if (self.on_missing == "degrade") != (self.step_deadline_s is not None):
            raise PlanError("vertices: step_deadline goes with on_missing 'degrade', and only with it")
        if not any(is_selected(device.device_id, self.workers) for device in topology.devices):
            raise PlanError(f"vertices.workers: {self.workers!r} matches no device")

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When the network has no reservoirs, no worker is there, or devices that must talk have no route.
        """
        from edgesim.nn.vertices.divided_graphs import DividedGraphs
        from edgesim.strategies.graphs.rounds import Rounds, VertexDivision

        self.check(context.topology)
        network = reservoir_network(context)
        owner_id = known_device(context, "vertices.owner", context.sink_id if self.owner is None else self.owner)
        ids = [name for name in context.topology.device_of if is_selected(name, self.workers) and name != owner_id]
        if not ids:
            raise PlanError(f"vertices.workers: {self.workers!r} matches no device but the owner")
        asked = context.dataset.test.inputs
        graphs = DividedGraphs.divided(asked["vertices"], asked["adjacency"], len(ids))
        plan = Rounds(context, network, graphs, owner_id, tuple(ids), self.step_deadline_s).plan()
        return VertexDivision(plan, owner_id, tuple(ids), self.on_missing, network, graphs)
