"""Layers whose weights are computed from other numbers, which are trained instead."""
