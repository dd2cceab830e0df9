"""Layers, one concept a file; importing this package registers them all."""
