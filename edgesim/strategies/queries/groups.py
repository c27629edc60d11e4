"""The plan of a request that is a group of queries, and its answers for the results that arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgesim.domain.plan import Compute, LayerWork, Plan, Step, Transfer
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import answer_steps, require_delivered
from edgesim.strategies.queries.kernels import DECODE_ID, ENCODE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.strategies.queries.codes import Code
    from edgesim.strategies.students.networks import Workload

VALUE_BYTE = 4
"""Size of a number."""


def check_queries(context: DeploymentContext) -> None:
    """Refuse inputs that cannot be added. Raises `PlanError` for whole numbers, such as tokens."""
    whole = [name for name, spec in context.dataset.inputs.items() if not spec.dtype.startswith("float")]
    if whole:
        raise PlanError(
            f"queries are added up, but the input {whole[0]!r} holds whole numbers; take a strategy that codes no inputs"
        )


def group_plan(
    context: DeploymentContext,
    code: Code,
    placed: Sequence[tuple[str, Workload]],
    merger_id: str,
    deadline_s: float | None,
) -> tuple[Plan, tuple[frozenset[str], ...]]:
    """Return the plan of one group, and for each device the transfers without which its result does not count.

    The source adds up what is not a query itself, and sends each device one input; each sends one answer to the merger, which decodes as soon as
    enough are there, and sends all answers to the sink.

    Parameters
    ----------
    context : says where the queries are, how large they are, and where the answers are wanted.
    code : of the queries.
    placed : the device and the workload of each result, in the order of the code.
    merger_id : who decodes.
    deadline_s : how long the merger waits, see `edgesim.domain.plan.Compute`; None: until enough is there.
    """
    import numpy as np

    weights = code.encoding()
    n_results, n_queries = weights.shape
    coded = [int(np.count_nonzero(row)) > 1 for row in weights]
    n_numbers = sum(spec.size for spec in context.dataset.inputs.values())
    input_byte, output = context.graph.input_byte, context.dataset.task.output.size
    n_terms = sum(int(np.count_nonzero(row)) for row, is_coded in zip(weights, coded, strict=True) if is_coded)
    encoding = LayerWork("encode", "other", 2.0 * n_terms * n_numbers, float((n_terms + sum(coded)) * input_byte))
    steps: list[Step] = [Compute(ENCODE_ID, context.source_id, (encoding,), (), (n_queries + sum(coded)) * input_byte)]
    needs, gathered, weight_byte = [], [], {merger_id: 0}
    for number, (device_id, cost) in enumerate(placed):
        inputs: tuple[str, ...] = (ENCODE_ID,) if coded[number] else ()
        chain: list[Step] = []
        if device_id != context.source_id:
            what = "sum of queries" if coded[number] else f"query {number}"
            chain.append(
                Transfer(
                    f"input {number}->{device_id}", context.source_id, device_id, input_byte, what, "input", inputs
                )
            )
            inputs = (chain[0].step_id,)
        chain.append(Compute(f"result {number} on {device_id}", device_id, cost.work, inputs, cost.activation_byte))
        if device_id != merger_id:
            chain.append(
                Transfer(
                    f"result {number} {device_id}->{merger_id}", device_id, merger_id, cost.output_byte, f"result {number}",
                    "result", (chain[-1].step_id,),
                )
            )  # fmt: skip
        steps += chain
        needs.append(frozenset(step.step_id for step in chain if isinstance(step, Transfer)))
        gathered.append(chain[-1].step_id)
        weight_byte[device_id] = weight_byte.get(device_id, 0) + cost.weight_byte
    n_terms = n_queries * n_results
    merge = Compute(
        DECODE_ID,
        merger_id,
        (LayerWork("decode", "other", 2.0 * n_terms * output, float(VALUE_BYTE * (n_results + n_queries) * output)),),
        tuple(gathered),
        VALUE_BYTE * (n_results + n_queries) * output,
        "wait" if deadline_s is None else "degrade",
        deadline_s,
        alternatives=(tuple(gathered),),
        n_enough=n_queries,
    )
    steps += [merge, *answer_steps(context, merge, VALUE_BYTE * n_queries * output)]
    return Plan(tuple(steps), steps[-1].step_id, weight_byte), tuple(needs)


def in_groups(n_samples: int, n_queries: int) -> NDArray[np.int64]:
    """Return the samples of each group, in order; the last is filled up from the first sample on.

    >>> in_groups(3, 2).tolist()
    [[0, 1], [2, 0]]
    """
    import numpy as np

    n_groups = -(-n_samples // n_queries)
    return (np.arange(n_groups * n_queries) % max(1, n_samples)).reshape(n_groups, n_queries)


def encoded(samples: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what one device is asked in each group, given samples of shape (n, *shape) and its weights of the queries."""
    import numpy as np

    queries = samples[in_groups(len(samples), len(weights))]
    asked: NDArray[np.float32] = np.einsum("gk...,k->g...", queries, weights).astype(np.float32)
    return asked


@dataclass(frozen=True, slots=True, eq=False)
class QueryGroups:
    """A network that answers groups of queries.

    Parameters
    ----------
    plan : the steps of one group.
    code : of the queries.
    results : what each device gives in each group of test samples, shape (devices, groups, *output).
    n_samples : size of the test split.
    needs : the transfers without which a result does not count.
    is_patient : whether the merger waits until enough is there.
    facts : what `describe` returns.
    here : makes the kernels.
    """

    plan: Plan
    code: Code
    results: NDArray[np.float32]
    n_samples: int
    needs: tuple[frozenset[str], ...]
    is_patient: bool
    facts: dict[str, Any]
    here: Here = field(default_factory=Here)

    @property
    def n_queries(self) -> int:
        """Samples that a request asks about, see `edgesim.interfaces.Grouping`."""
        return int(self.code.encoding().shape[1])

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers to the test split, shape (n, *output): each sample is a query of its group, with the results that arrived.

        Raises
        ------
        PlanError
            When the answers did not reach the sink, or too few results came and the merger waits for ever.
        """
        require_delivered(sorted(self.plan.transfer_ids.difference(*self.needs)), delivery)
        arrived = [delivery.are_whole(needed) for needed in self.needs]
        if self.is_patient and sum(arrived) < self.n_queries:
            raise PlanError(f"{sum(arrived)} of {self.n_queries} results arrived, and the merger waits for the others")
        return decoded(self.code, self.results, arrived, self.n_samples)

    def describe(self) -> dict[str, Any]:
        """Return the code, devices, and scores on the validation split by what is lost."""
        return self.facts


def decoded(code: Code, results: NDArray[np.float32], arrived: Sequence[bool], n_samples: int) -> NDArray[np.float32]:
    """Return the answers to samples from the results of their groups that arrived, shape (n, *output)."""
    import numpy as np

    weights = code.decoding(arrived).astype(np.float32)
    answers = np.einsum("kw,wg...->gk...", weights, results)
    flat: NDArray[np.float32] = answers.reshape(-1, *answers.shape[2:])[:n_samples].astype(np.float32)
    return flat
