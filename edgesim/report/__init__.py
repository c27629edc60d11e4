"""Tables and figures of results; matplotlib lives only here."""
