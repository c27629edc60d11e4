"""The columns of the tables that a study writes, each declared once: trials, outcomes, summary, differences and budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from edgesim.domain.metrics import METRICS
from edgesim.domain.records import Outcome

Kind = Literal["float", "int", "name", "bits", "text", "place"]
"""What a column holds: numbers, one of a few names, a number in hexadecimal digits, a text, or a place among others, -1 for none."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
ENGINES = ("event", "array")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table of trials.

    Parameters
    ----------
    name : in the file.
    kind : see `Kind`.
    unit : base unit, ``"1"`` for a share; nothing where there is none.
    summary : what it is, in one line.
    field : of `edgesim.study.trials.trials.Trials`; the name when it is not given.
    names : of which it holds one.
    is_optional : whether it can be missing.
    """

    name: str
    kind: Kind
    unit: str
    summary: str
    field: str = ""
    names: tuple[str, ...] = ()
    is_optional: bool = False

    @property
    def attribute(self) -> str:
        """Name of the field of `Trials`."""
        return self.field or self.name


PROBABILITY = "probability"
"""In the table of outcomes it stands in place of the weight."""
ABOUT = (
    Column(
        "weight", "float", "1",
        "1; with importance sampling the probability of what was drawn over that with which it was drawn",
    ),
    Column(
        "outcome", "name", "",
        "`completed` with everything, `degraded` with something missing of what began before the answer was there, `failed` when no "
        "answer can come, `timed_out`, `rejected`, `unfinished`; under load the most frequent", names=OUTCOMES,
    ),
    Column("engine", "name", "", "`array` or `event`: what simulated it", names=ENGINES),
)  # fmt: skip
"""What stands before the scores."""
MEASURED = (
    Column("latency_s", "float", "s", "from release to answer; empty without one; under load the mean of the trial"),
    Column("input_byte", "int", "byte", "traffic that distributes the input"),
    Column("intermediate_byte", "int", "byte", "traffic of tensors between layers"),
    Column("result_byte", "int", "byte", "traffic towards the device that merges or wants the answer"),
    Column("energy_j", "float", "J", "energy of one inference"),
    Column(
        "lost_transfers", "bits", "",
        "hexadecimal number; bit i is set when transfer i of the plan is not whole in time", "lost",
    ),
    Column(
        "partial_transfers", "text", "",
        "only where a strategy uses messages that lost some packets: `3:2 5:1-4`, any two packets of transfer 3 and the first four of 5 "
        "arrived", "partial", is_optional=True,
    ),
    Column(
        "sample", "place", "",
        "only where the plan of a strategy depends on the sample: position of the test sample that the request asks about; of an "
        "outcome, the first of those that follow the same plan; -1 where it does not matter, and under load", is_optional=True,
    ),
)  # fmt: skip
"""What stands after them."""
TRIAL_COLUMNS = (*ABOUT, *MEASURED)
SUMMARY_NUMBERS = ("mean", "ci_low", "ci_high", "n", "n_effective", "exact")
"""Columns of numbers of the summary; before them stand the factors, strategy, metric and unit."""
DIFFERENCE_NUMBERS = (*SUMMARY_NUMBERS[:4], "correlation")
"""Columns of numbers of the differences; before them stand the factors, strategy, minus, metric and unit."""
SUMMARY_NAMES, DIFFERENCE_NAMES = ("strategy", "metric", "unit"), ("strategy", "minus", "metric", "unit")
BUDGET_NAMES, BUDGET_NUMBERS = ("strategy", "part"), ("mean_s", "share", "n")
"""Columns of the parts of the mean latency, behind the factors."""
BUDGET_PARTS = {
    "compute": "computing",
    "host": "handling messages",
    "sending": "sending messages",
    "propagation": "propagation",
    "queueing": "waiting for devices and channels",
    "slowest": "waiting for the last of several messages",
    "repeated": "what was lost, sent again or acknowledged",
}
"""Parts of the mean latency, in words: computing; handling messages; sending each once, alone; latency of links; waiting for devices and channels; for the last of
several messages; for what was lost, sent again or acknowledged."""
QUEUE_NAMES, QUEUE_NUMBERS = ("strategy", "resource"), ("time_s", "waiting", "present", "utilisation")
"""Columns of what is at every resource over time."""
SENSITIVITY_NAMES = ("assumed", "value", "strategy", "metric", "unit")
SENSITIVITY_NUMBERS = ("factor", "before", "after", "ci_low", "ci_high", "n", "led", "leads")
"""Columns of what assumed numbers change."""
RESERVED = frozenset({
    "accuracy", "replication", PROBABILITY, *(column.name for column in TRIAL_COLUMNS), *SUMMARY_NAMES, *SUMMARY_NUMBERS,
    *DIFFERENCE_NAMES, *DIFFERENCE_NUMBERS, *BUDGET_NAMES, *BUDGET_NUMBERS, *METRICS,
})  # fmt: skip
"""Names of columns, which no factor may take."""
