"""What a scenario may hold: keys, options, units, factors; and what is wrong where it holds something else."""
