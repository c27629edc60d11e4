"""Factor points, replications, workers, statistics and stored results."""
