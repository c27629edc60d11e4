"""What is said of a finished study: its answer, tables and warnings, as they are shown and kept."""
