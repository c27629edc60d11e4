"""From a teacher and its parts to students."""
