"""What a scenario may hold: keys, options, units, factors."""
