"""What scenarios can name: device profiles, link classes, Wi-Fi standards; each number with its reference, or "assumed"."""
