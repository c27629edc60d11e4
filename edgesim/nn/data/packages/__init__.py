"""Data sets that Python packages ship: read where they are installed, never copied."""
