"""Networks that answer with a map: something for each pixel of an image."""
