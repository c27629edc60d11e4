"""What a cascade does with each of some images: what it finds, the messages between its stages, and the work of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from edgesim.domain.plan import LayerWork
from edgesim.errors import DataError, PlanError
from edgesim.nn.cascade.candidates import cut, judged, level_sizes, packed, proposed, refined, unpacked
from edgesim.nn.cascade.networks import SIDES, trained_networks
from edgesim.nn.cost.layers import graph_work, measure
from edgesim.tasks.detection import NOT_FOUND, Detection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgesim.domain.networks.costs import ModelGraph
    from edgesim.domain.networks.samples import Dataset
    from edgesim.nn.cascade.candidates import Thresholds
    from edgesim.nn.cascade.networks import Networks

_FLOAT_BYTE = 4
_GREY = 255
_SUREST = 1 - 1e-7


@dataclass(frozen=True, slots=True)
class Course:
    """What became of one image.

    Parameters
    ----------
    faces : box and score of each, in pixels, shape (n, 5).
    n_proposed, n_refined : candidates that the second and the third stage looked at.
    candidates_byte : message of boxes and pieces for the second stage; 0 for none.
    refined_byte, pieces_byte : what the second stage kept, as boxes; and with the pieces for the third; 0 for none.
    answer_byte : message of the faces.
    n_pixels : that were read for the pieces of the second and of the third stage.
    """

    faces: NDArray[np.float32]
    n_proposed: int
    n_refined: int
    candidates_byte: int
    refined_byte: int
    pieces_byte: int
    answer_byte: int
    n_pixels: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stages:
    """The networks of a cascade and what they cost.

    Parameters
    ----------
    networks : of the three stages.
    levels : of the pyramid: scaled images and the first network on each.
    second, third : the other networks, for one candidate.
    activation_byte : most that the first stage holds at once, with the image, in byte.
    limits : how sure each stage must be.
    task : of the data set.
    height, width : of its images, in pixels.
    """

    networks: Networks
    levels: tuple[LayerWork, ...]
    second: ModelGraph
    third: ModelGraph
    activation_byte: int
    limits: Thresholds
    task: Detection
    height: int
    width: int

    @property
    def weight_byte(self) -> tuple[int, int, int]:
        """Weights of each stage, in byte."""
        first, second, third = (
            _FLOAT_BYTE * sum(one.numel() for one in network.parameters()) for network in self.networks
        )
        return first, second, third


def stages_for(dataset: Dataset, limits: Thresholds) -> Stages:
    """Return the stages for the images of a data set.

    Raises
    ------
    PlanError
        When its samples are no grey images, or its task is not detection of one class.
    DataError
        When the package with the weights is not installed.
    """
    task, shapes = dataset.task, [spec.shape for spec in dataset.inputs.values()]
    if (
        not isinstance(task, Detection)
        or task.classes != 1
        or len(shapes) != 1
        or len(shapes[0]) != 3
        or shapes[0][0] != 1
    ):
        raise PlanError("the cascade finds faces in grey images of shape (1, height, width); take the data set faces")
    _, height, width = shapes[0]
    networks = trained_networks()
    work: list[LayerWork] = []
    peak_byte = 0
    for number, (_, rows, columns) in enumerate(level_sizes(height, width, limits)):
        graph = measure(networks.proposal, (3, rows, columns))
        work.append(resizing(f"level {number}", height * width, 3 * rows * columns))
        for one in graph_work(graph):
            weights = one.weight_byte if number == 0 else 0.0  # they are there after the first level
            moved_byte = one.moved_byte - one.weight_byte + weights
            name = f"level {number} {one.layer_id}"
            work.append(replace(one, layer_id=name, moved_byte=moved_byte, weight_byte=weights))
        peak_byte = max(peak_byte, graph.peak_activation_byte)
    second, third = (measure(network, (3, side, side)) for network, side in zip(networks[1:], SIDES[1:], strict=True))
    return Stages(
        networks, tuple(work), second, third, peak_byte + _FLOAT_BYTE * height * width, limits, task, height, width
    )


def resizing(layer_id: str, n_read: int, n_written: int) -> LayerWork:
    """Return the work of making an image another size: an addition for each pixel read, each pixel moved once."""
    return LayerWork(layer_id, "other", float(n_read), float(_FLOAT_BYTE * (n_read + n_written)), kind="resize")


def batch_work(graph: ModelGraph, n: int) -> tuple[LayerWork, ...]:
    """Return the work of a network for n samples at once: weights are moved once."""
    return tuple(
        replace(one, work_flop=n * one.work_flop, moved_byte=one.weight_byte + n * (one.moved_byte - one.weight_byte))
        for one in graph_work(graph)
    )


def course_of(stages: Stages, image: NDArray[np.float32]) -> Course:
    """Return what becomes of an image of shape (height, width), 0 to 255: each stage knows what came in its message and nothing else."""
    networks, limits = stages.networks, stages.limits
    nothing = np.empty((0, 5), np.float32)
    n_proposed = n_refined = candidates_byte = refined_byte = pieces_byte = first_pixels = second_pixels = 0
    with torch.inference_mode():
        boxes, pieces, first_pixels = cut(image, proposed(networks.proposal, image, limits), SIDES[1])
        n_proposed, faces = len(boxes), nothing
        if n_proposed:
            message = packed(boxes, pieces)
            candidates_byte = len(message)
            kept = refined(networks.refinement, *unpacked(message, 4, SIDES[1]), limits)
            back = packed(kept)
            refined_byte = len(back) if len(kept) else 0
            boxes, pieces, second_pixels = cut(image, unpacked(back, 4)[0], SIDES[2])
            n_refined = len(boxes)
        if n_refined:
            message = packed(boxes, pieces)
            pieces_byte = len(message)
            faces = judged(networks.output, *unpacked(message, 4, SIDES[2]), limits)
    answer = packed(faces)
    return Course(
        unpacked(answer, 5)[0], n_proposed, n_refined, candidates_byte, refined_byte, pieces_byte, len(answer),
        (first_pixels, second_pixels),
    )  # fmt: skip


def courses_of(stages: Stages, inputs: NDArray[np.float32]) -> list[Course]:
    """Return what becomes of each sample, shape (n, 1, height, width), 0 to 1."""
    return [course_of(stages, np.ascontiguousarray(sample[0]) * np.float32(_GREY)) for sample in inputs]


def answers_of(stages: Stages, courses: Sequence[Course]) -> NDArray[np.float32]:
    """Return the faces in the form of the task, the surest first, shape (n, *task.output.shape).

    Raises
    ------
    DataError
        When an image has more faces than the task has rows.
    """
    answers = np.zeros((len(courses), *stages.task.output.shape), np.float32)
    answers[:, :, 0] = NOT_FOUND
    sides = np.array([stages.width, stages.height, stages.width, stages.height], np.float32)
    for answer, course in zip(answers, courses, strict=True):
        n = len(course.faces)
        if n > len(answer):
            raise DataError(f"the cascade found {n} faces in an image, but the task has {len(answer)} rows")
        scores = np.clip(course.faces[:, 4].astype(np.float64), 1 - _SUREST, _SUREST)
        answer[:n, 0] = np.log(scores / (1 - scores))
        answer[:n, 1:5] = course.faces[:, :4] / sides
    return answers
