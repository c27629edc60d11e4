"""Networks cut into a chain of segments, in which later ones can do without earlier ones."""
