"""What lies in a result folder, written whole or not at all."""
