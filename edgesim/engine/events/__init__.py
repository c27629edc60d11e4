"""From a program to the records of one trial, event by event."""
