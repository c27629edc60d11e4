"""Code that a scenario names: what may run, and what it brings."""
