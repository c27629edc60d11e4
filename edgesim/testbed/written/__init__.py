"""What is written of measurements: a fit as a scenario, and a timeline."""
