"""Methods that distribute a network over devices."""
