"""Commands on studies and their results."""
