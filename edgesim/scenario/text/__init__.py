"""From text to values that know their line, and from findings to messages."""
