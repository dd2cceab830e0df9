"""Layers that show a network its rows changed at random, in training only."""
