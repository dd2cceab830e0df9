"""Activations that depend on several elements: along an axis, or on pairs of features."""
