"""How a network is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from edgesim.domain.bounds import not_negative, one_of, positive, share, whole
from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.interpolation import Interpolation
from edgesim.errors import ScenarioError

Optimizer = Literal["sgd", "adamw"]
NormalisedOver = Literal["whole", "part"]
Processor = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Training:
    """Options of one training; the learning rate falls to zero along a half cosine.

    Parameters
    ----------
    epochs : passes over the training split.
    batch_size : samples per step.
    optimizer : ``sgd`` (with Nesterov momentum) or ``adamw``.
    learning_rate, momentum, weight_decay : of the optimizer; momentum is not used by ``adamw``.
    augmentation : how samples vary from epoch to epoch, by a name that the data set knows, or ``none``. Data sets of images know
        ``flip``, which mirrors half of them left to right, ``shift``, which moves each by up to an eighth of its height and width and
        fills with zeros, and ``flip-and-shift``.
    views : number of variants of each sample that are seen in turn, one per epoch; what a teacher says about them is computed
        once for each. Without augmentation there is one.
    attack : what samples of the network of the workload are attacked by before each step (adversarial training), and those by which its
        epoch is selected; none by default. Students are attacked by their `objective`.
    device : what trains: the ``cpu``, one thread of it, or the ``gpu`` that torch finds. Weights differ in their last digits, so that the device is part of
        what a network is found by; it stands on its card.
    interpolation : trains the network of the workload with few labels; by default all are known. Students then see what it answers in place of the labels that are not known.
    """

    epochs: Annotated[int, Ge(1)] = 20
    batch_size: Annotated[int, Ge(1)] = 64
    optimizer: Optimizer = "adamw"
    learning_rate: Annotated[float, Gt(0)] = 3e-3
    momentum: Annotated[float, Ge(0)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    augmentation: str = "none"
    views: Annotated[int, Ge(1)] = 8
    attack: Attack | None = None
    device: Processor = "cpu"
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        whole("a training", 1, epochs=self.epochs, batch_size=self.batch_size, views=self.views)
        positive("a training", learning_rate=self.learning_rate)
        not_negative("a training", momentum=self.momentum, weight_decay=self.weight_decay)
        one_of("a training", Optimizer, optimizer=self.optimizer)
        one_of("a training", Processor, device=self.device)
        if self.attack is not None and self.interpolation is not None:
            raise ScenarioError("a training has an attack and an interpolation; leave one of both out")


@dataclass(frozen=True, slots=True)
class Distillation:
    """The loss by which students learn from a teacher: beta L_act + L_KD, or what the objective makes of it.

    L_KD = 2 alpha T^2 I_T + (1 - alpha) L, L the loss of the task and I_T its imitation at temperature T; in a classification
    2 alpha T^2 mean(p_T log(p_T / p_S)) + (1 - alpha) CE(z_S, y), p the softmax of logits / T, the mean over samples and
    classes. L_act = mean((f_S / |f_S| - f_T / |f_T|)^2), f the students' features and the activities of the teacher's filters
    that they stand for, the mean over samples and features.

    Parameters
    ----------
    temperature : T.
    alpha : weight of the teacher's answer against the label, 0 to 1.
    beta : weight of the activation transfer.
    normalised_over : whether features are scaled to length 1 over the ``whole`` of all students (NoNN's code) or over each
        ``part``.

    References
    ----------
    K. Bhardwaj et al., ACM TECS 18(5s), 2019, arXiv 1907.11804, and its published code.
    """

    temperature: Annotated[float, Gt(0)] = 4.0
    alpha: Annotated[float, Ge(0), Le(1)] = 0.9
    beta: Annotated[float, Ge(0)] = 10000.0
    normalised_over: NormalisedOver = "whole"

    def __post_init__(self) -> None:
        positive("a distillation", temperature=self.temperature)
        share("a distillation", alpha=self.alpha)
        not_negative("a distillation", beta=self.beta)
        one_of("a distillation", NormalisedOver, normalised_over=self.normalised_over)
