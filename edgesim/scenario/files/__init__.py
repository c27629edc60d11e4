"""What files that a scenario names put into it, and where such files and folders lie."""
