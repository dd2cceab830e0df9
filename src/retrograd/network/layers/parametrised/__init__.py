"""Layers whose weights are made from other numbers, which are trained in their place."""
