"""Topologies from and to graph files."""
