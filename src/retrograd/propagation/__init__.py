"""Backpropagation: the pass forward and back, and what can be read off it."""
