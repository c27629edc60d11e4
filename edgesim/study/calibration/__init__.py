"""From measured latencies to a device profile that predicts others."""
