"""Transformed columns kept in files for training."""
