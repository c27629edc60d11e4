"""A cascade of three networks that find faces, each on a device of its own: what is sent depends on the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.plan import Compute, LayerWork, Plan, Step, TrafficKind, Transfer
from edgesim.domain.system.topology import DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.ends import ANSWER_ID, answers_by_plan, input_transfers, known_device

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.interfaces import Deployment, DeploymentContext, Kernel
    from edgesim.nn.cascade.courses import Course, Stages

Share = Annotated[float, Gt(0), Lt(1)]
CANDIDATES_ID, REFINED_ID, PIECES_ID = "candidates", "refined", "pieces"
"""Messages to the second stage, back from it, and to the third."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """Find faces by MTCNN: three networks, each of which rejects most of what the one before took for a face.

    P-Net looks at every place of a pyramid of images on `proposal`, which has the image. Pieces of 24 x 24 pixels about its candidates go to
    `refinement`, where R-Net rejects and moves them; the boxes it keeps go back, and pieces of 48 x 48 pixels about them go to `output`, where
    O-Net decides. The weights are those of the package facenet-pytorch; nothing is trained, and the model of the workload is not used. An image
    without candidates ends where they end. So every test image has a plan of its own: its work and bytes are measured by running the cascade on it, message by message.

    Parameters
    ----------
    proposal : device of P-Net; the source when it is not given.
    refinement, output : devices of R-Net and O-Net; the sink when they are not given.
    thresholds : how sure P-Net, R-Net and O-Net must be.
    least : side of the smallest face that is looked for, in pixels.
    factor : by which each level of the pyramid is smaller than the one before.

    Formula
    -------
    Messages: 4 byte + n x (16 + 4 x 24 x 24) byte to R-Net, 4 + n x 16 back, 4 + n x (16 + 4 x 48 x 48) to O-Net, 4 + n x 20 to the sink, each only where devices
    differ and n > 0 but for the last. Work: P-Net on each level, R-Net and O-Net x candidates, weights moved once; an addition for each pixel read where images are scaled.

    Validity
    --------
    Grey images: one channel is sent, three equal ones are looked at. Comparing boxes with each other (non-maximum suppression) is taken as no work. A message
    that is lost leaves no answer to the images that send it.

    References
    ----------
    K. Zhang, Z. Zhang, Z. Li, Y. Qiao, Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks, IEEE Signal Processing
    Letters 23(10):1499-1503, 2016, doi 10.1109/LSP.2016.2603342; weights, thresholds and rounding of facenet-pytorch 2.6.0 (MIT).
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset({"images with boxes"})
    proposal: DeviceId | None = None
    refinement: DeviceId | None = None
    output: DeviceId | None = None
    thresholds: tuple[Share, Share, Share] = (0.6, 0.7, 0.7)
    least: Annotated[int, Ge(12)] = 20
    factor: Annotated[float, Gt(0), Le(0.9)] = 0.709

    needs_training: ClassVar[bool] = False
    needs_samples: ClassVar[bool] = True

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment; the cascade runs on every test image here, once.

        Raises
        ------
        PlanError
            When the topology has no such device, or the workload has no test images of one channel to find one class in.
        DataError
            When the package with the weights is not installed.
        """
        from edgesim.nn.cascade.candidates import Thresholds
        from edgesim.nn.cascade.courses import answers_of, courses_of, stages_for

        places = (
            known_device(context, "cascade.proposal", self.proposal or context.source_id),
            known_device(context, "cascade.refinement", self.refinement or context.sink_id),
            known_device(context, "cascade.output", self.output or context.sink_id),
        )
        dataset = context.dataset
        stages = stages_for(dataset, Thresholds(*self.thresholds, self.least, self.factor))
        (name,) = dataset.inputs
        courses = courses_of(stages, dataset.test.inputs[name])
        if not courses:
            raise PlanError(
                "what a cascade sends depends on the image, but the workload has no test images; give it a data set"
            )
        plans: dict[Any, int] = {}
        all_plans: list[Plan] = []
        numbers = []
        for course in courses:
            plan = _plan(context, places, stages, course)
            key = (plan.steps, plan.answer_id)
            if key not in plans:
                plans[key] = len(all_plans)
                all_plans.append(plan)
            numbers.append(plans[key])
        answers = answers_of(stages, courses)
        guess = dataset.task.guess(dataset.train.targets)
        return CascadeDeployment(tuple(all_plans), tuple(numbers), answers, guess, places, tuple(map(_counts, courses)))


def _counts(course: Course) -> tuple[int, int, int]:
    return course.n_proposed, course.n_refined, len(course.faces)


def _plan(context: DeploymentContext, places: tuple[str, str, str], stages: Stages, course: Course) -> Plan:
    """Return the steps for one image."""
    from edgesim.nn.cascade.courses import batch_work, resizing
    from edgesim.nn.cascade.networks import SIDES

    first, second, third = places
    steps: list[Step] = list(input_transfers(context, first, context.graph.input_byte))
    given = tuple(step.step_id for step in steps)
    looked = stages.activation_byte + course.candidates_byte
    cutting = _cutting(resizing, CANDIDATES_ID, course.n_pixels[0], course.n_proposed, SIDES[1])
    steps.append(Compute("propose", first, (*stages.levels, *cutting), given, looked))
    if course.n_proposed:
        came = _carried(steps, CANDIDATES_ID, second, course.candidates_byte, "boxes and pieces")
        work = batch_work(stages.second, course.n_proposed)
        held = course.n_proposed * stages.second.peak_activation_byte
        steps.append(Compute("refine", second, work, (came,), held))
    if course.n_refined:
        came = _carried(steps, REFINED_ID, first, course.refined_byte, "boxes")
        cutting = _cutting(resizing, PIECES_ID, course.n_pixels[1], course.n_refined, SIDES[2])
        steps.append(Compute("cut", first, cutting, (came,), course.pieces_byte))
        came = _carried(steps, PIECES_ID, third, course.pieces_byte, "boxes and pieces")
        work = batch_work(stages.third, course.n_refined)
        steps.append(Compute("judge", third, work, (came,), course.n_refined * stages.third.peak_activation_byte))
    last = steps[-1]
    if isinstance(last, Compute) and last.device_id != context.sink_id:
        came = _carried(steps, ANSWER_ID, context.sink_id, course.answer_byte, "faces", kind="result")
        steps.append(Compute("arrival", context.sink_id, (), (came,), course.answer_byte))
    weight_byte: dict[str, int] = {}
    for device_id, n_byte in zip(places, stages.weight_byte, strict=True):
        weight_byte[device_id] = weight_byte.get(device_id, 0) + n_byte
    return Plan(tuple(steps), steps[-1].step_id, weight_byte)


def _cutting(resizing: Any, name: str, n_pixels: int, n: int, side: int) -> tuple[LayerWork, ...]:
    return (resizing(f"cut {name}", n_pixels, n * side * side),) if n else ()


def _carried(
    steps: list[Step], name: str, device_id: str, size_byte: int, what: str, *, kind: TrafficKind = "intermediate"
) -> str:
    """Add the message of the last step to a device, if it has a way to go, and return what waits there."""
    last = steps[-1]
    if not isinstance(last, Compute) or last.device_id == device_id:
        return last.step_id
    steps.append(Transfer(name, last.device_id, device_id, size_byte, what, kind, (last.step_id,)))
    return name


@dataclass(frozen=True, slots=True)
class CascadeDeployment:
    """A cascade over devices, with a plan for each image.

    Parameters
    ----------
    plans : the distinct plans, each followed by some test image.
    plan_of_sample : which of them each test image follows.
    answers : to the test split, shape (n, *output).
    guess : at an image without an answer, shape (*output).
    places : devices of the three stages.
    counts : by test image, how many candidates the second and the third stage looked at, and how many faces there are.
    """

    plans: tuple[Plan, ...]
    plan_of_sample: tuple[int, ...]
    answers: NDArray[np.float32] = field(repr=False)
    guess: NDArray[np.float32] = field(repr=False)
    places: tuple[str, str, str]
    counts: tuple[tuple[int, int, int], ...] = field(repr=False)

    @property
    def plan(self) -> Plan:
        """The plan of the first test image."""
        return self.plans[0]

    def kernels(self) -> Mapping[str, Kernel]:
        """Raise `PlanError`: every image has a plan of its own, see `edgesim.interfaces.Bundled`."""
        raise PlanError(
            "cascade sends as many candidates on as it finds in an image, but devices execute one plan for all; nothing else executes a cascade"
        )

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split; the guess for images whose own plan lacks a message. Raises `PlanError` where each does."""
        return answers_by_plan(self.plans, self.plan_of_sample, delivery, self.answers, self.guess)

    def describe(self) -> dict[str, Any]:
        """Return the devices, and how many candidates of an image reach each stage."""
        stages = ("refined", "judged", "found")
        by_stage: dict[str, Sequence[int]] = dict(zip(stages, zip(*self.counts, strict=True), strict=True))
        return {
            "devices": dict(zip(("proposal", "refinement", "output"), self.places, strict=True)),
            "plans": len(self.plans),
            "candidates": {
                name: {"least": min(of), "mean": sum(of) / len(of), "most": max(of)} for name, of in by_stage.items()
            },
            "weight_byte": dict(self.plan.weight_byte),
        }
