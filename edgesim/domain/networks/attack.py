"""Samples that are changed on purpose so that networks err."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from edgesim.domain.bounds import one_of, positive, share, whole

Start = Literal["random", "sample"]
Against = Literal["transfer", "adaptive"]
"""Whom an attack is made against: the networks with everything delivered (``transfer``: the same samples whatever is lost later), or
those that arrived (``adaptive``: an attacker who knows what was lost)."""


@dataclass(frozen=True, slots=True)
class Attack:
    """Projected gradient: steps up the loss of the task, back into a box around the sample and into 0 to 1 after each.

    x <- clip_[0, 1](clip_[x0 - radius, x0 + radius](x + step sign(grad_x loss))). It needs inputs from 0 to 1.

    Parameters
    ----------
    radius : largest change of a value; 0 changes nothing.
    step : change of a value in one step.
    steps : how many.
    start : from a ``random`` point of the box, or from the ``sample`` itself.

    References
    ----------
    A. Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018, arXiv 1706.06083. The defaults are those of
    M. Goldblum et al., Adversarially Robust Distillation, AAAI 2020, arXiv 1905.09747.

    Examples
    --------
    >>> Attack(0.15, 0.04, 20).title
    'PGD-20, radius 0.15, step 0.04'
    """

    radius: Annotated[float, Ge(0), Le(1)] = 8 / 255
    step: Annotated[float, Gt(0), Le(1)] = 2 / 255
    steps: Annotated[int, Ge(1)] = 10
    start: Start = "random"

    def __post_init__(self) -> None:
        share("an attack", radius=self.radius, step=self.step)
        positive("an attack", step=self.step)
        whole("an attack", 1, steps=self.steps)
        one_of("an attack", Start, start=self.start)

    @property
    def title(self) -> str:
        """What figures and tables call it."""
        return f"PGD-{self.steps}, radius {self.radius:.4g}, step {self.step:.4g}"
