"""The failure-resilient variant of NoNN: several students share a part, and parts are equally large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from edgesim.domain.networks.partition import Denominator
from edgesim.errors import PlanError
from edgesim.interfaces import FilterGraph, Partitioner
from edgesim.nn.parts.filters import CoActivation
from edgesim.nn.parts.spectral import Fiedler
from edgesim.plugins import Plugin
from edgesim.strategies.students.distilled import DistilledStudents, Replication, deploy_students
from edgesim.strategies.students.learned import check_missing

if TYPE_CHECKING:
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext
    from edgesim.strategies.students.heads import SurvivorHeads
    from edgesim.strategies.students.networks import StudentDeployment


@dataclass(frozen=True, slots=True)
class Resilient(DistilledStudents):
    """Students that share parts of equal size: what arrives from the students of a part is averaged.

    The filters are divided into M parts; student i of S learns part i mod M, so that each part has S / M students, some one more
    where M does not divide S. The merging device takes the elementwise mean of what arrived for each part (zeros where
    nothing did), concatenates these, and a linear head makes logits of them. Beside NoNN this is the first idea, averaging; the
    second is a partition of equal sizes that keeps correlated filters together, by an eigenvector of their co-activation graph.

    Traffic and plan are those of ``nonn``, with features of the larger parts: 4 byte per filter of a part from each student.

    Parameters
    ----------
    students : number of students, S; as many devices must match.
    devices : pattern of the devices that run students, one each, in the order of the topology.
    merger : device that averages and runs the head; the sink by default.
    deadline_s : how long the merger waits for students, from the release of the request, or from the end of its own student if
        it has one; without a deadline it waits until everything is there, for ever if something is lost.
    student : architecture of a student.
    temperature : T of the loss beta L_act + 2 alpha T^2 mean(p_T log(p_T / p_S)) + (1 - alpha) CE, p the softmax of logits / T.
    alpha : weight of the teacher's answer in the loss against that of the label.
    beta : weight of L_act, the mean squared difference between the students' features and the activities of the teacher's filters.
    normalised_over : in L_act, features are scaled to length 1 over the ``whole`` of all students or over each ``part``.
    fitting : whether students and head are trained together (``joint``), or each student on its own and the head on what
        they give (``independent``).
    training : of students and head.
    missing : what stands in for the features of a part of which nothing arrived: ``zeros``, ``mean`` or ``learned``, as in ``nonn``.
    head : one head that learns with the students (``all``), or one for every set of students that may be left (``per-survivors``), solved
        afterwards by least squares on what the students give for the training split: it costs no traffic, but 4 byte x numbers of an
        answer x (2^(S - 1) F + 2^S) at the merger, F the features of all S students.
    objective : what students learn from a batch: ``distillation`` with everything delivered; for losses ``failout``, ``mel``,
        ``expectation``; under attack ``adversarial``, ``ard``, ``rslad``; see `edgesim list objectives`.
    messages : how numbers are written in all messages, `dtype` ``float32``, ``float16`` or ``int8``; see `edgesim.domain.networks.messages.Messages`.
    parts : number of parts, M, at most the number of students; the paper keeps it to at most half of them.
    graph : which filters belong together.
    partitioner : divides the filters.
    denominator : the sum over the replicas that arrived is divided by their number (``arrived``) or by the number of all
        replicas of the part (``all``).
    replicas : ``averaged``: every student is a network of its own. ``identical``: the students of a part are copies of one
        network; the merger takes the first that arrives of each part and does not wait for the others.

    Formula
    -------
    Feature of part m = mean over the students of m that arrived (0 without any). With k of S students lost at
    random, all S / M students of a given part are lost with probability C(S - S/M, k - S/M) / C(S, k).

    Validity
    --------
    Accuracies are of networks that are trained here with the options of the scenario; our reading of the paper
    stands in docs/students.md.

    Notes
    -----
    From the paper: S students on M <= S / 2 parts, i mod M, elementwise average, concatenation. Not known from what could be
    read, and therefore options: the denominator when a replica is missing, the graph, the matrix and the rule of the partition,
    joint or separate training.

    References
    ----------
    Jeong, Park, Yang, Communication Failure Resilient Distributed Neural Network for Edge Devices, Electronics
    10(14):1614, 2021, doi 10.3390/electronics10141614. Identical replicas: RoCoIn, 2024, arXiv 2406.14185.
    """

    graph: Annotated[FilterGraph, Plugin("filter-graphs")] = CoActivation()  # noqa: RUF009 - frozen
    partitioner: Annotated[Partitioner, Plugin("partitioners")] = Fiedler()  # noqa: RUF009 - frozen
    parts: Annotated[int, Ge(1)] = 4
    denominator: Denominator = "arrived"
    replicas: Literal["averaged", "identical"] = "averaged"

    @property
    def n_parts(self) -> int:
        """Into how many parts the filters are divided."""
        return self.parts

    def check(self, topology: Topology) -> None:
        """Refuse a number of devices that is not that of the students, and more parts than students."""
        DistilledStudents.check(self, topology)
        if self.parts > self.students:
            raise PlanError(
                f"{self.students} students cannot stand for {self.parts} parts; set parts to at most {self.students} "
                f"(the method asks for at most half, {max(1, self.students // 2)})"
            )
        check_missing(self.missing, n_parts=self.parts, denominator=self.denominator)
        if self.replicas == "identical" and self.denominator == "all":
            raise PlanError(
                "of identical replicas the first is taken, none are averaged; leave out denominator: all, or replicas: identical"
            )

    def deploy(self, context: DeploymentContext) -> StudentDeployment | SurvivorHeads:
        """Divide the filters, train or load the students, and place them.

        Raises
        ------
        PlanError
            When devices and students do not match, or there are more parts than students or filters.
        """
        self.check(context.topology)
        return deploy_students(self, Replication(self.parts, self.denominator, self.replicas == "identical"), context)
