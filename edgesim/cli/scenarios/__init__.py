"""Commands on scenarios."""
