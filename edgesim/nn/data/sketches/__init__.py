"""Sketches: strokes of points, each point with the class of what it is part of."""
