"""Devices that are machines of their own, reached by a command such as ssh: ``--mode hosts``."""
