"""Conformance checks for plug-ins, also for those of third parties.

A check raises `AssertionError` with what was expected and what was found; it returns nothing when all is well.
"""

from edgesim.testing.bundles import check_bundle
from edgesim.testing.failures import check_failure_model
from edgesim.testing.objectives import check_objective
from edgesim.testing.rates import check_rates
from edgesim.testing.recoveries import check_recovery
from edgesim.testing.strategies import check_strategy, deployment_context
from edgesim.testing.tasks import check_task

__all__ = [
    "check_bundle",
    "check_failure_model",
    "check_objective",
    "check_rates",
    "check_recovery",
    "check_strategy",
    "check_task",
    "deployment_context",
]
