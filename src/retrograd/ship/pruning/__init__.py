"""Removing units, channels and heads from a trained network, which is then trained further."""
