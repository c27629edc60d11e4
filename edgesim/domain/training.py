"""How a network is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt


@dataclass(frozen=True, slots=True)
class Training:
    """Options of one training; the learning rate falls to zero along a half cosine.

    Parameters
    ----------
    epochs : passes over the training split.
    batch_size : samples per step.
    optimizer : ``sgd`` (with Nesterov momentum) or ``adamw``.
    learning_rate, momentum, weight_decay : of the optimizer; momentum is not used by ``adamw``.
    """

    epochs: Annotated[int, Ge(1)] = 20
    batch_size: Annotated[int, Ge(1)] = 64
    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: Annotated[float, Gt(0)] = 3e-3
    momentum: Annotated[float, Ge(0)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 5e-4
