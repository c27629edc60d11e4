"""Decoders of language that are trained here."""
