"""Trained networks that leave for places where there is neither retrograd nor JAX."""
