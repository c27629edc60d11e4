"""How long devices compute."""
