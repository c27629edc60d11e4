"""Discrete-event simulation of distributed neural networks on edge devices."""

__version__ = "0.1.0"
