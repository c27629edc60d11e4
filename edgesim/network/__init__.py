"""How links and media are shared."""
