"""Layers that draw at random in training: dropout and its kin."""
