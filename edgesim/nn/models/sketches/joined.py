"""Which points SketchGNN joins."""

N_NEAREST = 8
"""Near points that are joined to each."""
DILATIONS = (1, 4, 8, 16)
"""Of each layer: every how many of the nearest points is one of them."""
