"""What was measured beside what was simulated: figures, a fit as a scenario, and a timeline."""
