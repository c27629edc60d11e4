"""From a plan to what does not change between trials; both engines read it."""
