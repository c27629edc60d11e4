"""What a search has found, as a table, a figure and plain data."""
