"""From a strategy to a deployment that has all that one must have."""

from __future__ import annotations

from edgesim.forms import check_form
from edgesim.interfaces import AttackableDeployment, Bundled, Deployment, DeploymentContext, PartialDeployment, Strategy


def deployed(strategy: Strategy, context: DeploymentContext) -> Deployment:
    """Return the deployment of a strategy.

    Raises
    ------
    EdgesimError
        When it is none: a method is missing or hardly spelt as meant, or takes other parameters. And whatever the strategy raises.
    """
    made = strategy.deploy(context)
    own = [name for name in dir(made) if not name.startswith("_")]
    subject = f"the deployment of {type(strategy).__qualname__}"
    check_form(subject, type(made), (Deployment,), (PartialDeployment, AttackableDeployment, Bundled), also=own)
    return made
