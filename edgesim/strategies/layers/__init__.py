"""Strategies that divide layers over devices, and what they share."""
