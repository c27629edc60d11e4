"""How messages are on the wire: over connections of TCP, which nodes keep, and as datagrams of UDP."""
