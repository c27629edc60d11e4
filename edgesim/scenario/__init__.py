"""Scenario files: reading, checking, and building what they describe."""
