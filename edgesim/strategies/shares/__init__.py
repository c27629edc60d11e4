"""From a deadline to the shares of layers that cost least energy within it."""
