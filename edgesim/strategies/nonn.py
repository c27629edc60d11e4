"""NoNN: one small student network on each device, each distilled from a part of the teacher's filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edgesim.errors import PlanError
from edgesim.nn.parts.filters import ActivationHubs, ActivationHubsCode
from edgesim.nn.parts.partition import Louvain
from edgesim.strategies.students.distilled import DistilledStudents, Replication, deploy_students

if TYPE_CHECKING:
    from edgesim.domain.system.topology import Topology
    from edgesim.interfaces import DeploymentContext
    from edgesim.strategies.students.heads import SurvivorHeads
    from edgesim.strategies.students.networks import StudentDeployment


@dataclass(frozen=True, slots=True)
class NoNN(DistilledStudents):
    """Student networks, one per device, that each know a part of the teacher's filters and never talk to each other.

    The activities of the filters of the teacher's last convolution on the validation split make a graph; a partitioner
    divides it into as many parts as there are students. Student i answers with one number per filter of part i; the merging
    device concatenates these, zeros where nothing arrived, and a linear head makes logits of them. Students and head are
    trained together as one network with the loss of `edgesim.domain.networks.training.Distillation`.

    In one inference the source sends the whole input to every student's device, and each device sends 4 byte per filter of its
    part to the merger. A student counts if its input and its features arrived in time.

    Parameters
    ----------
    students : number of students and of parts; as many devices must match.
    devices : pattern of the devices that run students, one each, in the order of the topology.
    merger : device that runs the head; the sink by default.
    deadline_s : how long the merger waits for students, from the release of the request, or from the end of its own student if
        it has one; without a deadline it waits until everything is there, for ever if something is lost.
    student : architecture of a student.
    graph : which filters belong together.
    partitioner : divides the filters.
    temperature : T of the loss beta L_act + 2 alpha T^2 mean(p_T log(p_T / p_S)) + (1 - alpha) CE, p the softmax of logits / T.
    alpha : weight of the teacher's answer in the loss against that of the label.
    beta : weight of L_act, the mean squared difference between the students' features and the activities of the teacher's filters.
    normalised_over : in L_act, features are scaled to length 1 over the ``whole`` of all students or over each ``part``.
    fitting : whether students and head are trained together (``joint``), or each student on its own and the head on what
        they give (``independent``).
    training : of students and head.
    missing : what stands in for the features of a part of which nothing arrived: ``zeros``; their ``mean`` on the validation split, a
        constant of 4 byte per feature that the merger keeps; or ``learned``: a small network at the merger predicts them from those that came, trained on
        what the students say of the training split. None costs traffic.
    head : one head that learns with the students (``all``), or one for every set of students that may be left (``per-survivors``), solved
        afterwards by least squares on what the students give for the training split: it costs no traffic, but 4 byte x numbers of an
        answer x (2^(S - 1) F + 2^S) at the merger, F the features of all S students.
    objective : what students learn from a batch: ``distillation`` with everything delivered; for losses ``failout``, ``mel``,
        ``expectation``; under attack ``adversarial``, ``ard``, ``rslad``; see `edgesim list objectives`.
    messages : how numbers are written in all messages, `dtype` ``float32``, ``float16`` or ``int8``; see `edgesim.domain.networks.messages.Messages`.
    recipe : how filters are divided: ``paper``: the dense graph of the paper, all communities kept, no filter dropped; ``code``: the thresholded graph of
        the authors' code, its largest community, the pool of weakly linked filters, dropped, communities of equal size merged; ``mixed``: by `graph` and
        `partitioner`, by default the graph of the paper with the dropped community of the code.

    Formula
    -------
    Traffic = students x input + sum over students of 4 byte x filters of its part. Loss: beta L_act + 2 alpha T^2
    mean(p_T log(p_T / p_S)) + (1 - alpha) CE.

    Validity
    --------
    Accuracies are of networks that are trained here with the options of the scenario, not of those of the paper.

    Notes
    -----
    Differs from the authors' code: epochs are selected on validation data instead of test data; AdamW with a falling learning
    rate and few epochs instead of SGD for 200 epochs, which suits small data sets; with `recipe` ``mixed`` the filter graph is the
    paper's and the dropped community the code's. Temperature 4, alpha 0.9 and beta 10,000 are the code's. What
    happens when a student is lost is not in the paper; zeros in its place are the natural reading.

    References
    ----------
    K. Bhardwaj, C.-Y. Lin, A. Sartor, R. Marculescu, Memory- and Communication-Aware Model Compression for Distributed Deep
    Learning Inference on IoT, ACM TECS 18(5s), 2019, arXiv 1907.11804.
    """

    recipe: Literal["mixed", "paper", "code"] = "mixed"

    def check(self, topology: Topology) -> None:
        """Refuse a number of devices that is not that of the students, and a recipe beside what it says itself."""
        DistilledStudents.check(self, topology)
        if self.recipe != "mixed" and (self.graph, self.partitioner) != (ActivationHubs(), Louvain()):
            raise PlanError(
                f"recipe: {self.recipe} says which graph and partitioner there are; leave out recipe, or graph and partitioner"
            )

    def deploy(self, context: DeploymentContext) -> StudentDeployment | SurvivorHeads:
        """Divide the filters, train or load the students, and place them.

        Raises
        ------
        PlanError
            When devices and students do not match, or the teacher has fewer filters than there are students.
        """
        self.check(context.topology)
        return deploy_students(self.followed(), Replication(self.students), context)

    def followed(self) -> NoNN:
        """Return these options with the graph and the partitioner of the recipe."""
        if self.recipe == "paper":
            return replace(self, recipe="mixed", partitioner=Louvain(is_largest_dropped=False))
        if self.recipe == "code":
            return replace(self, recipe="mixed", graph=ActivationHubsCode(), partitioner=Louvain(is_equal_merged=True))
        return self
