"""Gradient checks: every layer's contract, whole networks, and users' NumPy functions."""
