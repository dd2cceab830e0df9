"""Activations that look at more than one element: along an axis, or at pairs of features."""
