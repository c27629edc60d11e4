"""What each device computes of a group of queries, by the steps of its plan."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute, Transfer
from edgesim.errors import PlanError
from edgesim.strategies.ends import ANSWER_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgesim.domain.plan import Plan
    from edgesim.interfaces import Kernel
    from edgesim.strategies.queries.codes import Code

ENCODE_ID, DECODE_ID = "encode", "decode"
"""Ids of the computations of the source and of the merger."""
MOST = 12
"""Results of which every set has weights of its own in what the merger executes: 4096 sets."""


def query_kernels(plan: Plan, code: Code, networks: Sequence[nn.Module], names: Sequence[str]) -> dict[str, Kernel]:
    """Return the kernels of a plan of queries by the ids of its steps.

    Parameters
    ----------
    plan : as `edgesim.strategies.queries.groups.group_plan` writes it.
    code : of the queries.
    networks : of each result.
    names : of the inputs of the network.

    Raises
    ------
    PlanError
        When there are more results than the merger has weights for.
    """
    from edgesim.nn.kernels.queries import DecodeKernel, EncodeKernel, ResultKernel
    from edgesim.nn.kernels.whole import arrival

    step_of = {step.step_id: step for step in plan.steps}
    gathered = step_of[DECODE_ID].inputs
    if len(gathered) > MOST:
        raise PlanError(
            f"{len(gathered)} results are simulated, but a merger executes at most {MOST}: it holds weights for each set of results; match fewer devices"
        )
    kernels: dict[str, Kernel] = {plan.answer_id: arrival}
    sent: dict[str, NDArray[np.float64]] = {}
    kept: list[NDArray[np.float64]] = []
    for row, name, network in zip(code.encoding(), gathered, networks, strict=True):
        step = step_of[name]
        goals = [name] if isinstance(step, Transfer) else []
        computed = step_of[step.inputs[0]] if isinstance(step, Transfer) else step
        given = step_of[computed.inputs[0]] if computed.inputs else None
        if given is None:
            kernels[computed.step_id] = ResultKernel(network, names, goals, row=int(row.argmax()))
        elif isinstance(given, Compute):
            kernels[computed.step_id] = ResultKernel(network, names, goals, first=len(kept) * len(names))
            kept.append(row)
        else:
            kernels[computed.step_id] = ResultKernel(network, names, goals)
            if given.inputs:
                sent[given.step_id] = row
            else:
                kernels[given.step_id] = EncodeKernel({given.step_id: row}, ())
    kernels[ENCODE_ID] = EncodeKernel(sent, kept)
    kernels[DECODE_ID] = DecodeKernel(gathered, [ANSWER_ID], _weights(code, len(gathered)))
    return kernels


def _weights(code: Code, n_results: int) -> NDArray[np.float32]:
    """Return the weights of the results for each set of them, by the number whose bits say which came."""
    import numpy as np

    sets = (bits[::-1] for bits in product((False, True), repeat=n_results))
    return np.stack([code.decoding(bits) for bits in sets]).astype(np.float32)
