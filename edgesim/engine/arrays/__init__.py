"""From a program to thousands of trials at once, array by array."""
