"""Requests that end where a device is sure enough of the answer."""
