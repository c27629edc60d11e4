"""What a search may choose, and what it looks for."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le, Len
from pydantic import Field, ValidationError, field_validator
from pydantic_core import InitErrorDetails

from edgesim.errors import nearest_name
from edgesim.scenario.form.goals import KNOWN
from edgesim.scenario.form.options import mistake
from edgesim.scenario.form.spec import Spec

ChoiceName = Annotated[str, Len(1, 60)]
N_MOST = 100_000
"""Most candidates that a search may evaluate."""


class ChoiceSpec(Spec):
    """A value of the scenario that a search may choose."""

    path: str = Field(
        description="keys and list positions with dots between; below `strategies.LABEL` it is chosen for that strategy only",
        examples=["strategies.resilient.parts"],
    )
    values: Annotated[tuple[Any, ...], Len(1)] = Field(
        description="what may be chosen: numbers, texts, lists, whole plug-ins", examples=[[2, 4, 8]]
    )


class SearchSpec(Spec):
    """What `edgesim search` looks for: the best strategy of the scenario with the best choices."""

    by: Annotated[tuple[str, ...], Len(1, 3)] = Field(
        description="metrics that candidates are compared by: the first ranks those that meet the goals, all make the Pareto front",
        examples=[["accuracy", "traffic"]],
    )
    choices: dict[ChoiceName, ChoiceSpec] = Field(
        default_factory=dict,
        description="values that are chosen, by name",
        examples=[{"parts": {"path": "strategies.resilient.parts", "values": [2, 4, 8]}}],
    )
    evaluations: Annotated[int, Ge(1), Le(N_MOST)] = Field(
        200,
        description="most candidates that are evaluated: where there are no more all are, else an optimiser chooses which",
        examples=[500],
    )

    @field_validator("by")
    @classmethod
    def _are_metrics(cls, by: tuple[str, ...]) -> tuple[str, ...]:
        wrong: list[InitErrorDetails] = []
        for position, metric in enumerate(by):
            near = nearest_name(metric, KNOWN)
            if metric not in KNOWN and (near or not metric.isidentifier()):
                text = f"no metric {metric!r}" + (f"; nearest {near!r}" if near else "")
                wrong.append(InitErrorDetails(type=mistake(text), loc=(position,), input=metric))
            elif metric in by[:position]:
                wrong.append(
                    InitErrorDetails(type=mistake(f"{metric!r} is given twice"), loc=(position,), input=metric)
                )
        if wrong:
            raise ValidationError.from_exception_data("by", wrong)
        return by
