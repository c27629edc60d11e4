"""What changes during a trial, and what is measured of it."""
