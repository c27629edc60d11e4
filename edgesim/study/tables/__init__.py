"""From trials to estimates with intervals."""
