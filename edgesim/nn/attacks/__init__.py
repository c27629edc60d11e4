"""From a network and samples to samples that mislead it."""
