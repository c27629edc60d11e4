"""A detector in stages, of which each passes on the candidates that it does not reject."""
