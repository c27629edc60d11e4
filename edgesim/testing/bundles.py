"""What a deployment promises that says what runs where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.delivery import Delivery
from edgesim.errors import PlanError
from edgesim.interfaces import n_queries
from edgesim.testbed.bundle import Execution, bundled
from edgesim.testing.expect import expect

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Samples
    from edgesim.interfaces import Bundled


def check_bundle(
    deployment: Bundled, samples: Samples, *, is_written: bool = True, n_samples: int = 2, tolerance: float = 1e-4
) -> None:
    """Check what `edgesim.interfaces.Bundled` promises.

    Every message is as large as the plan says. Executed step by step in this process, request by request, the plan gives what `predict` gives: with everything delivered, with each one transfer lost,
    and with all lost. Where `predict` has no answer, the plan comes to none, and only there.

    Parameters
    ----------
    deployment : of a strategy, not pickled.
    samples : the test split.
    is_written : whether kernels are executed as graphs of operators, as devices do, or, what is faster, as they are.
    n_samples : how many requests ask about the first of them.
    tolerance : largest allowed difference of an answer, relative to the largest number in it.

    Raises
    ------
    AssertionError
        When it does not hold.
    """
    n = n_queries(deployment)
    sample = samples[:n].inputs
    execution = (
        Execution.of_bundle(bundled(deployment, sample)) if is_written else Execution.of_kernels(deployment, sample)
    )
    plan = deployment.plan
    one_lost = [frozenset({transfer.step_id}) for transfer in plan.transfers]
    for lost in (frozenset[str](), *one_lost, plan.transfer_ids):
        what = f"with {', '.join(sorted(lost)) or 'nothing'} lost"
        try:
            expected = deployment.predict(Delivery(lost))
        except PlanError:
            expected = None
        for number in range(min(n_samples, len(samples) // n)):
            own = slice(number * n, (number + 1) * n)
            answer = execution.answer(samples[own].inputs, lost)
            expect(
                answer is not None or (expected is None and lost),
                f"{what}, predict answers, but the executed plan comes to none",
            )
            if answer is None:
                continue
            expect(expected is not None, f"{what}, the executed plan answers, but predict raises PlanError")
            if expected is not None:
                difference = _difference(answer, expected[own])
                expect(
                    difference <= tolerance,
                    f"{what}, the executed plan answers request {number} otherwise than predict, by {difference:.2g} of the largest number",
                )


def _difference(answer: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number; infinite where one is no number and the other is."""
    if not np.array_equal(np.isnan(answer), np.isnan(expected)):
        return float("inf")
    answer, expected = np.nan_to_num(answer), np.nan_to_num(expected)
    largest = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(answer - expected).max()) / largest
