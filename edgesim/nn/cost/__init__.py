"""From a network to its graph, with the work and the bytes of every layer."""
