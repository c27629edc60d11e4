"""How often a trial is repeated: a number, or until the intervals are narrow enough."""

from __future__ import annotations

import re
from typing import Annotated

from annotated_types import Ge, Le, Len
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails

from edgesim.domain.metrics import METRICS
from edgesim.domain.stopping import Stopping, Target
from edgesim.errors import nearest_name
from edgesim.scenario.form.options import mistake
from edgesim.scenario.form.spec import Spec
from edgesim.tasks.scores import SCORES
from edgesim.units import EXAMPLES, parse

_SHARE = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*%\s*")
WITH_INTERVAL = (*SCORES, *(name for name in METRICS if name != "peak_memory"))
"""Metrics that targets may name, besides the scores of tasks that plug-ins bring."""

N_MOST = 1_000_000_000
"""More replications than anybody waits for."""


class ReplicationsSpec(Spec):
    """Repeat until the 95 % intervals of some metrics are narrow enough, within bounds."""

    min: Annotated[int, Ge(2), Le(N_MOST)] = Field(200, description="least number of replications", examples=[200])
    max: Annotated[int, Ge(2), Le(N_MOST)] = Field(description="most replications", examples=[20000])
    until: Annotated[dict[str, float | str], Len(1)] = Field(
        description="half of the interval's width that each metric must come down to: in its unit, or in % of its value",
        examples=[{"accuracy": 0.01, "latency": "5 %"}],
    )

    @field_validator("until")
    @classmethod
    def _are_targets(cls, until: dict[str, float | str]) -> dict[str, float | str]:
        wrong: list[InitErrorDetails] = []
        for metric, width in until.items():
            try:
                read_target(metric, width)
            except ValueError as error:
                wrong.append(InitErrorDetails(type=mistake(str(error)), loc=(metric,), input=width))
        if wrong:
            raise ValidationError.from_exception_data("until", wrong)
        return until

    @field_validator("max")
    @classmethod
    def _is_above_min(cls, most: int, info: ValidationInfo) -> int:
        least = info.data.get("min", most)
        if least > most:
            raise mistake(f"max is {most}, below min, which is {least}")
        return most

    def rule(self) -> Stopping:
        """Return the rule."""
        return Stopping(self.min, self.max, tuple(read_target(metric, width) for metric, width in self.until.items()))


def read_target(metric: str, width: float | str) -> Target:
    """Read one target. Raises `ValueError` when the metric has no interval, or the width is none."""
    near = nearest_name(metric, WITH_INTERVAL)
    if metric not in WITH_INTERVAL and (near or not metric.isidentifier() or metric in METRICS):
        raise ValueError(f"no metric {metric!r} with an interval" + (f"; nearest {near!r}" if near else ""))
    unit = METRICS[metric].unit if metric in METRICS else SCORES[metric].unit if metric in SCORES else "1"
    share = _SHARE.fullmatch(width) if isinstance(width, str) else None
    if share:
        value = float(share[1]) / 100
    elif unit == "1" and isinstance(width, str):
        raise ValueError(f"{width!r} is no width of {metric}; write a number such as 0.01, or '5 %' of its value")
    elif isinstance(width, str) or unit != "1":
        try:
            value = parse(width, unit)
        except ValueError:
            example = EXAMPLES[unit]
            raise ValueError(f"{width!r} is no width of {metric}; write {example!r}, or '5 %' of its value") from None
    else:
        value = float(width)
    if value <= 0:
        raise ValueError(f"a width of {width!r} is never reached; it must be positive")
    return Target(metric, value, is_relative=share is not None)
