"""Implementations of the same training step, one file each."""
