"""From a network to its layers cut over devices, and their answer when something is lost."""
