"""From a network on graphs to its vertices divided over devices, round by round of messages."""
