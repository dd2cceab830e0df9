"""Normalisation layers and the arithmetic that they share."""
