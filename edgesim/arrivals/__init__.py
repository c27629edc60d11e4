"""When requests are released."""
