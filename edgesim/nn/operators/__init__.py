"""From a layer to what a box of its output reads, and to that box computed from nothing else."""
