"""From a scenario to cases: what is distributed, and what is simulated."""
