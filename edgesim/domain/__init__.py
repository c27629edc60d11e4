"""Frozen dataclasses that all layers share; SI units, named in the fields. They store and check, and never compute long."""
