"""Losses of predicted quantities: how far they lie from their targets."""
