"""What is done about what was lost."""
