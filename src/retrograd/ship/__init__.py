"""Trained networks for places without retrograd and JAX."""
