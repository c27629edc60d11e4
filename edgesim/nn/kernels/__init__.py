"""From what a device computes to a graph of named operators that holds no code, and that graph run."""
