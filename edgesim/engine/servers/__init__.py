"""Devices, links and media: what computes and carries, one after another or shared."""
