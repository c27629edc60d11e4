"""What a network costs, the samples it is asked about, how it is trained and how its filters are divided."""
