"""From a shape of samples to an untrained network."""
