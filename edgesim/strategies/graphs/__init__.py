"""Strategies for networks on graphs."""
