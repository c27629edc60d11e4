"""From shapes, ranges, files and profiles to devices and links."""
