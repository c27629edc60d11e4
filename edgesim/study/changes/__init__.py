"""What changes of the devices and links would do to the latency."""
