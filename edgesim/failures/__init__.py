"""What takes devices and links down, and what loses messages."""
