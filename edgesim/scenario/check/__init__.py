"""From plain data to a valid scenario, or to all that is wrong with it."""
