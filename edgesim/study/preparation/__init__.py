"""From a scenario to what is simulated: trained networks, deployments, compiled plans."""
