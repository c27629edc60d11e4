"""Kernels of networks that are cut into stages, which devices compute together."""
