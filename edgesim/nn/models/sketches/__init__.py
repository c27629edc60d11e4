"""Networks for sketches, which are strokes of points."""
