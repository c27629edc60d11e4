"""From a strategy to a deployment that has all that one must have."""

from __future__ import annotations

from edgesim.domain.plan import Plan
from edgesim.errors import PlanError
from edgesim.forms import check_form
from edgesim.interfaces import (
    AttackableDeployment,
    Bundled,
    Deployment,
    DeploymentContext,
    PartialDeployment,
    SampleDependent,
    Strategy,
)


def deployed(strategy: Strategy, context: DeploymentContext) -> Deployment:
    """Return the deployment of a strategy.

    Raises
    ------
    EdgesimError
        When it is none: a method is missing or hardly spelt as meant, or takes other parameters; or when its samples and plans do not
        fit each other. And whatever the strategy raises.
    """
    made = strategy.deploy(context)
    own = [name for name in dir(made) if not name.startswith("_")]
    subject = f"the deployment of {type(strategy).__qualname__}"
    check_form(
        subject,
        type(made),
        (Deployment,),
        (PartialDeployment, SampleDependent, AttackableDeployment, Bundled),
        also=own,
    )
    if isinstance(made, SampleDependent):
        _check_plans(subject, made, len(context.dataset.test))
    return made


def plans_of(deployment: Deployment) -> tuple[Plan, ...]:
    """Return the plans of a deployment, of which each request follows one."""
    return tuple(deployment.plans) if isinstance(deployment, SampleDependent) else (deployment.plan,)


def plan_of_sample(deployment: Deployment) -> tuple[int, ...]:
    """Return which plan each test sample follows; nothing where there is only one."""
    if not isinstance(deployment, SampleDependent) or len(deployment.plans) == 1:
        return ()
    return tuple(int(number) for number in deployment.plan_of_sample)


def _check_plans(subject: str, made: SampleDependent, n_samples: int) -> None:
    """Raise `PlanError` unless every test sample has a plan, and every plan a sample."""
    numbers = [int(number) for number in made.plan_of_sample]
    if not made.plans or made.plan != made.plans[0]:
        raise PlanError(f"{subject}: its `plan` must be the first of its `plans`")
    if len(made.plans) == 1 and not any(numbers):
        return
    if len(numbers) != n_samples:
        raise PlanError(
            f"{subject} says of {len(numbers)} samples which plan they follow, but the test split has {n_samples}"
            + ("; give the workload a data set" if not n_samples else "")
        )
    if set(numbers) != set(range(len(made.plans))):
        raise PlanError(
            f"{subject} has {len(made.plans)} plans, but its samples follow those of numbers {sorted(set(numbers))}"
        )
