"""From the failures of a scenario to what becomes of each request, simulated, so that what is executed meets the same."""
